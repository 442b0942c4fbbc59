package store

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// bench is a leader on a cluster with one app, whose answers can be lost.
type bench struct {
	*testing.T
	s      *Store
	raw    *clientv3.Client
	faults *faults
	epoch  coordinator.Epoch
}

func newBench(t *testing.T) *bench {
	t.Helper()
	f := &faults{}
	b := &bench{T: t, s: open(t, spoilt(f.spoil), sealedBy(newRing(t)), func(c *Config) { c.SessionTTL = time.Minute }), raw: raw(t), faults: f}
	putShop(t, b.s)
	// Without beats, so that only what a test does can meet a fault.
	elected, _ := campaign(t, b.s, true)
	b.epoch = await(t, "an election", elected).Epoch
	return b
}

func (b *bench) look() coordinator.Situation { return look(b.T, b.s, b.epoch) }

// open opens attempt a1.
func (b *bench) open() coordinator.Intent {
	b.Helper()
	i, err := b.s.Open(soon(b.T), opening(b.look(), b.epoch, "a1"))
	must(b.T, err)
	return i
}

func (b *bench) seen() int64 { return b.look().Revision }

func (b *bench) app() coordinator.App {
	return coordinator.App{Name: "shop", Provider: "wechat", Incarnation: 1, Labels: map[string]string{"new": "label"}}
}

func (b *bench) input(id string) coordinator.Input {
	return coordinator.Input{Name: shop, ID: id, Value: coordinator.NewSecret("value of " + id), Expires: time.Now().Add(time.Hour)}
}

// pushed writes an input and returns what publishes it.
func (b *bench) pushed(id string) coordinator.Intake {
	b.Helper()
	i := b.input(id)
	must(b.T, b.s.PutInput(soon(b.T), i, b.look().States[0]))
	i.Revision = at(b.T, b.raw, b.s.keys.of(i)).Kvs[0].ModRevision
	return intakeOf(b.look().States[0], i, b.epoch)
}

func intakeOf(state coordinator.State, i coordinator.Input, epoch coordinator.Epoch) coordinator.Intake {
	state.Version++
	state = state.WithOutcome(coordinator.Outcome{Attempt: i.ID, Version: state.Version})
	return coordinator.Intake{Epoch: epoch, Input: i, State: state, Token: &coordinator.Token{
		Name: i.Name, Value: i.Value, Version: state.Version, Expires: i.Expires,
	}}
}

// writes are all writes there are: each prepares itself, and returns what to
// send and the key that tells how often it was committed.
func writes() map[string]func(b *bench) (write func(context.Context) error, key string) {
	all := writesOfAttempts()
	maps.Copy(all, otherWrites())
	maps.Copy(all, recordedWrites())
	return all
}

func writesOfAttempts() map[string]func(b *bench) (write func(context.Context) error, key string) {
	return map[string]func(b *bench) (func(context.Context) error, string){
		"Open": func(b *bench) (func(context.Context) error, string) {
			o := opening(b.look(), b.epoch, "a1")
			return func(ctx context.Context) error {
				i, err := b.s.Open(ctx, o)
				if err == nil && i.Revision != b.look().Intent.Revision { //nolint:contextcheck // the look has one of its own
					b.Errorf("Open returned revision %d, not that of the intent", i.Revision)
				}
				return err
			}, b.s.keys.intent("shop", "g")
		},
		"TakeOver": func(b *bench) (func(context.Context) error, string) {
			foreign := b.open()
			o := opening(b.look(), b.epoch, "a2")
			o.Foreign = &foreign
			o.Budgets = []coordinator.Budget{{App: "shop", Window: "takeovers", Calls: 1, Ends: time.Now()}}
			return func(ctx context.Context) error { return second(b.s.Open(ctx, o)) }, b.s.keys.of(o.Budgets[0])
		},
		"Publish": func(b *bench) (func(context.Context) error, string) {
			b.open()
			p := publication(b.look(), b.epoch)
			return func(ctx context.Context) error {
				revision, err := b.s.Publish(ctx, p)
				if err == nil && revision != b.look().Tokens[0].Revision { //nolint:contextcheck // the look has one of its own
					b.Errorf("Publish returned revision %d, not that of the token", revision)
				}
				return err
			}, b.s.keys.token(shop)
		},
		"PublishWithoutLeadership": func(b *bench) (func(context.Context) error, string) {
			b.open()
			p := publication(b.look(), 0)
			return func(ctx context.Context) error { return second(b.s.Publish(ctx, p)) }, b.s.keys.token(shop)
		},
		"PublishGrant": func(b *bench) (func(context.Context) error, string) {
			b.open()
			p := rotation(b.look(), b.epoch)
			return func(ctx context.Context) error {
				revision, err := b.s.Publish(ctx, p)
				if now := b.look(); err == nil && (revision != now.Grant.Revision || revision != now.Tokens[0].Revision) { //nolint:contextcheck // the look has one of its own
					b.Errorf("Publish returned revision %d, not that of grant and token", revision)
				}
				return err
			}, b.s.keys.grant("shop")
		},
		"PublishGrantWithoutLeadership": func(b *bench) (func(context.Context) error, string) {
			b.open()
			p := rotation(b.look(), 0)
			return func(ctx context.Context) error { return second(b.s.Publish(ctx, p)) }, b.s.keys.grant("shop")
		},
		"PublishNothing": func(b *bench) (func(context.Context) error, string) {
			i := b.open()
			return func(ctx context.Context) error {
				return second(b.s.Publish(ctx, coordinator.Publication{Epoch: b.epoch, Intent: i}))
			}, ""
		},
		"Salvage": func(b *bench) (func(context.Context) error, string) {
			v := coordinator.Salvage{App: "shop", Group: "g", Attempt: "a0"}
			return func(ctx context.Context) error { return b.s.Salvage(ctx, v) }, b.s.keys.of(v)
		},
		"DropSalvage": func(b *bench) (func(context.Context) error, string) {
			v := coordinator.Salvage{App: "shop", Group: "g", Attempt: "a0"}
			must(b.T, b.s.Salvage(soon(b.T), v))
			return func(ctx context.Context) error { return b.s.DropSalvage(ctx, b.epoch, v) }, ""
		},
		"Void": func(b *bench) (func(context.Context) error, string) {
			i := b.open()
			return func(ctx context.Context) error { return b.s.Void(ctx, i) }, ""
		},
	}
}

func otherWrites() map[string]func(b *bench) (write func(context.Context) error, key string) {
	return map[string]func(b *bench) (func(context.Context) error, string){
		"Ask": func(b *bench) (func(context.Context) error, string) {
			r := coordinator.Request{Name: shop, Above: 1, Reason: coordinator.ReasonRefresh}
			seen := b.look().States[0]
			return func(ctx context.Context) error { return b.s.Ask(ctx, r, seen) }, b.s.keys.of(r)
		},
		"PutInput": func(b *bench) (func(context.Context) error, string) {
			i, seen := b.input("p1"), b.look().States[0]
			return func(ctx context.Context) error { return b.s.PutInput(ctx, i, seen) }, b.s.keys.of(i)
		},
		"TakeInput": func(b *bench) (func(context.Context) error, string) {
			in := b.pushed("p1")
			return func(ctx context.Context) error {
				revision, err := b.s.TakeInput(ctx, in)
				if err == nil && revision != b.look().Tokens[0].Revision { //nolint:contextcheck // the look has one of its own
					b.Errorf("TakeInput returned revision %d, not that of the token", revision)
				}
				return err
			}, b.s.keys.token(shop)
		},
		"Note": func(b *bench) (func(context.Context) error, string) {
			// Under a name of its own, so that it is the first to write its key.
			state := coordinator.State{Name: coordinator.Name{App: "shop", Token: "noted"}, Failures: 1}
			return func(ctx context.Context) error {
				return b.s.Note(ctx, coordinator.Note{Epoch: b.epoch, State: state})
			}, b.s.keys.of(state)
		},
		"PutApp": func(b *bench) (func(context.Context) error, string) {
			c := coordinator.AppChange{App: b.app(), Seen: b.seen(), States: []coordinator.State{
				{Name: coordinator.Name{App: "shop", Token: "new"}, Incarnation: 1},
			}}
			return func(ctx context.Context) error { return b.s.PutApp(ctx, c) }, b.s.keys.of(c.States[0])
		},
		"PutAppWithGrant": func(b *bench) (func(context.Context) error, string) {
			c := coordinator.AppChange{App: b.app(), Grant: &coordinator.Grant{App: "shop", Generation: 1, Current: coordinator.NewSecret("given")}, Seen: b.seen()}
			return func(ctx context.Context) error { return b.s.PutApp(ctx, c) }, b.s.keys.grant("shop")
		},
		"DeleteApp": func(b *bench) (func(context.Context) error, string) {
			c := coordinator.AppChange{App: b.app(), Seen: b.seen()}
			return func(ctx context.Context) error { return b.s.DeleteApp(ctx, c) }, ""
		},
		"PutClient": func(b *bench) (func(context.Context) error, string) {
			c := coordinator.Client{Name: "orders", Note: "n"}
			return func(ctx context.Context) error { return b.s.PutClient(ctx, c, nil) }, b.s.keys.of(c)
		},
		"DeleteClient": func(b *bench) (func(context.Context) error, string) {
			c := coordinator.Client{Name: "orders"}
			must(b.T, b.s.PutClient(soon(b.T), c, nil))
			c.Revision = at(b.T, b.raw, b.s.keys.of(c)).Kvs[0].ModRevision
			return func(ctx context.Context) error { return b.s.DeleteClient(ctx, c, nil) }, ""
		},
	}
}

func second[T any](_ T, err error) error { return err }

// Faults come in pairs: the answer is lost and it was not committed, and the
// answer is lost and it was. The caller must not be able to tell.
func TestALostAnswerIsSettledWhetherOrNotItWasCommitted(t *testing.T) {
	for name, prepare := range writes() {
		for kind, fate := range map[string]fate{"Dropped": dropped, "Committed": lost} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				write, key := prepare(b)
				b.faults.fail(fate, 2, nil)
				if err := write(soon(t)); err != nil {
					t.Errorf("got error %v, want none", err)
				}
				if n := b.faults.suffered(); n != 2 {
					t.Errorf("%d answers were lost, want 2", n)
				}
				if key == "" {
					return
				}
				if kvs := at(t, b.raw, key).Kvs; len(kvs) != 1 || kvs[0].Version != 1 {
					t.Errorf("%s was written %v times, want once", key, kvs)
				}
			})
		}
	}
}

// What was not ours must not be taken for ours, just because an answer was lost.
func TestALostAnswerDoesNotClaimAnothersWrite(t *testing.T) {
	b := newBench(t)
	i := b.open()
	now := b.look()
	stale := publication(now, b.epoch)
	winner := now.States[0]
	winner.Failures++
	must(t, b.s.Note(soon(t), coordinator.Note{Epoch: b.epoch, State: winner}))
	b.faults.fail(dropped, 1, nil)
	if _, err := b.s.Publish(soon(t), stale); !errors.Is(err, coordinator.ErrConflict) {
		t.Errorf("publishing over a changed state: got error %v, want %v", err, coordinator.ErrConflict)
	}
	foreign := i
	o := opening(b.look(), b.epoch, "a2")
	o.Foreign = &foreign
	must(t, second(b.s.Open(soon(t), o)))
	o.Intent.Attempt, o.Budgets = "a3", nil
	b.faults.fail(dropped, 1, nil)
	if _, err := b.s.Open(soon(t), o); !errors.Is(err, coordinator.ErrConflict) {
		t.Errorf("taking over what was taken over: got error %v, want %v", err, coordinator.ErrConflict)
	}
	b.faults.fail(dropped, 1, nil)
	if err := b.s.PutClient(soon(t), coordinator.Client{Name: "c", Note: "x", Revision: 5}, nil); !errors.Is(err, coordinator.ErrConflict) {
		t.Errorf("writing a client that is gone: got error %v, want %v", err, coordinator.ErrConflict)
	}
}

func TestAnOutcomeThatStaysUnknownIsSaid(t *testing.T) {
	b := newBench(t)
	o := opening(b.look(), b.epoch, "a1")
	b.faults.fail(lost, 1000, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.s.Open(ctx, o); !errors.Is(err, coordinator.ErrAmbiguous) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want %v", err, coordinator.ErrAmbiguous)
	}
	b.faults.fail(spared, 0, nil)
	if i, err := b.s.Open(soon(t), o); err != nil || i.Attempt != "a1" {
		t.Errorf("sending it again: got %q, %v; want the attempt recognised", i.Attempt, err)
	}
}

func TestWhatWasNeverSentIsNotAmbiguous(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.s.PutClient(ctx, coordinator.Client{Name: "c"}, nil)
	if errors.Is(err, coordinator.ErrAmbiguous) || !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that of the context alone", err)
	}
}

func TestATransactionThatIsTooLargeIsRefusedInWords(t *testing.T) {
	b := newBench(t)
	c := coordinator.AppChange{App: b.app(), Seen: b.seen()}
	for range maxOps {
		c.States = append(c.States, coordinator.State{Name: coordinator.Name{App: "shop", Token: "x"}})
	}
	err := b.s.PutApp(soon(t), c)
	if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), "fewer tokens") {
		t.Errorf("got error %v, want one that says what to do", err)
	}
}

func TestWhatEtcdRefusesForGoodIsNotTriedForEver(t *testing.T) {
	b := newBench(t)
	c := coordinator.Client{Name: "big", Note: strings.Repeat("x", 3<<20)}
	if err := b.s.PutClient(soon(t), c, nil); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want etcd's", err)
	}
}

// Of a new incarnation every wait ends, also of groups nobody named.
func TestANewIncarnationEndsEveryIntentOfTheApp(t *testing.T) {
	b := newBench(t)
	b.open()
	a := b.app()
	must(t, b.s.PutApp(soon(t), coordinator.AppChange{App: a, Seen: b.seen()}))
	now := b.look()
	if now.Intent == nil || now.Lineage[0].Incarnation != 1 {
		t.Fatalf("a change of labels: got intent %v, incarnation %d; want both kept", now.Intent, now.Lineage[0].Incarnation)
	}
	a.Incarnation = 2
	must(t, b.s.PutApp(soon(t), coordinator.AppChange{App: a, Seen: b.seen()}))
	if after := b.look(); after.Intent != nil || after.Lineage[0].Revision == now.Lineage[0].Revision {
		t.Errorf("a new incarnation: got intent %v, credentials at %d; want none, and others", after.Intent, after.Lineage[0].Revision)
	}
}

func TestAChangeWithoutNewCredentialsKeepsThem(t *testing.T) {
	b := newBench(t)
	before := at(t, b.raw, b.s.keys.credentials("shop")).Kvs[0]
	must(t, b.s.PutApp(soon(t), coordinator.AppChange{App: b.app(), Seen: b.seen()}))
	after := at(t, b.raw, b.s.keys.credentials("shop")).Kvs[0]
	if after.ModRevision != before.ModRevision || string(after.Value) != string(before.Value) {
		t.Error("credentials were written again, which makes every open attempt read all again")
	}
}

// The request that is written in between must not be overwritten by a lesser one.
func TestAskLooksAgainWhenAnotherRequestComesInBetween(t *testing.T) {
	b := newBench(t)
	seen := b.look().States[0]
	force := coordinator.Request{Name: shop, Above: 5, Reason: coordinator.ReasonForce}
	key := b.s.keys.of(force)
	b.faults.fail(spared, 1, func(then []clientv3.Op) bool {
		if len(then) == 1 && string(then[0].KeyBytes()) == key {
			_, err := b.raw.Put(t.Context(), key, string(encodeRecord(force)))
			return err == nil
		}
		return false
	})
	must(t, b.s.Ask(soon(t), coordinator.Request{Name: shop, Above: 1, Reason: coordinator.ReasonRefresh}, seen))
	if b.faults.suffered() != 1 {
		t.Error("nothing came in between: this test shows nothing")
	}
	if kvs := at(t, b.raw, key).Kvs; string(kvs[0].Value) != string(encodeRecord(force)) {
		t.Error("the stronger request was overwritten")
	}
}
