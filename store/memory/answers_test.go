package memory_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/store/memory"
)

// write is one good call.
type write struct {
	op   memory.Op
	call func() error
}

// writes are calls of every write that compares something, in an order in which
// each finds what it needs.
func writes(t *testing.T, s *memory.Store, epoch coordinator.Epoch) []write {
	ctx := t.Context()
	app := coordinator.App{Name: "shop", Incarnation: 1}
	client := coordinator.Client{Name: "orders"}
	salvage := coordinator.Salvage{App: "shop", Group: "g", Attempt: "a0"}
	read := func() coordinator.Situation {
		now, err := s.Read(ctx, coordinator.Query{App: "shop", Group: "g", Tokens: []string{shopToken().Token}, Lineage: []string{"shop"}})
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	open := func(attempt string) func() error {
		return func() error {
			i := coordinator.Intent{App: "shop", Group: "g", Attempt: attempt}
			_, err := s.Open(ctx, coordinator.Opening{Epoch: epoch, Intent: i, Lineage: read().Lineage})
			return err
		}
	}
	given := coordinator.Grant{App: "shop", Incarnation: 1, Generation: 1, Current: coordinator.NewSecret("given")}
	rotated := coordinator.Grant{App: "shop", Incarnation: 1, Generation: 2, Previous: given.Current}
	publish := func() error {
		now := read()
		state := now.States[0].WithOutcome(coordinator.Outcome{Attempt: now.Intent.Attempt})
		_, err := s.Publish(ctx, coordinator.Publication{
			Epoch: epoch, Intent: *now.Intent, States: []coordinator.State{state}, Lineage: now.Lineage,
			Spent: now.Grant, Grant: &rotated,
		})
		return err
	}
	note := func() error {
		state := read().States[0]
		state.Failures++
		return s.Note(ctx, coordinator.Note{Epoch: epoch, State: state})
	}
	ask := func() error {
		return s.Ask(ctx, coordinator.Request{Name: shopToken(), Reason: coordinator.ReasonReport}, read().States[0])
	}
	input := coordinator.Input{Name: shopToken(), ID: "p1", Expires: time.Now().Add(time.Hour)}
	take := func() error {
		state := read().States[0].WithOutcome(coordinator.Outcome{Attempt: input.ID})
		taken := input
		taken.Revision = revisionOfInput(ctx, t, s)
		_, err := s.TakeInput(ctx, coordinator.Intake{Epoch: epoch, Input: taken, State: state})
		return err
	}
	return []write{
		{memory.OpPutApp, func() error {
			return s.PutApp(ctx, coordinator.AppChange{App: app, Grant: &given, Seen: read().Revision})
		}},
		{memory.OpOpen, open("a1")},
		{memory.OpPublish, publish},
		{memory.OpOpen, open("a2")},
		{memory.OpVoid, func() error { return s.Void(ctx, *read().Intent) }},
		{memory.OpSalvage, func() error { return s.Salvage(ctx, salvage) }},
		{memory.OpDropSalvage, func() error { return s.DropSalvage(ctx, epoch, salvage) }},
		{memory.OpNote, note},
		{memory.OpAsk, ask},
		{memory.OpPutInput, func() error { return s.PutInput(ctx, input, read().States[0]) }},
		{memory.OpTakeInput, take},
		{memory.OpPutClient, func() error { return s.PutClient(ctx, client, nil) }},
		{memory.OpDeleteClient, func() error {
			client.Revision = revisionOfClient(ctx, t, s)
			return s.DeleteClient(ctx, client, nil)
		}},
		{memory.OpPutPaused, func() error {
			return s.PutPaused(ctx, &coordinator.Paused{By: "me"}, &coordinator.Audit{ID: "01", At: time.Now()})
		}},
		{memory.OpLiftBars, func() error {
			return s.LiftBars(ctx, []coordinator.Bar{{App: "shop", Egress: "n1"}}, &coordinator.Audit{ID: "02", At: time.Now()})
		}},
		{memory.OpDeleteApp, func() error {
			return s.DeleteApp(ctx, coordinator.AppChange{App: app, States: read().States, Seen: read().Revision})
		}},
	}
}

func revisionOfInput(ctx context.Context, t *testing.T, s *memory.Store) int64 {
	t.Helper()
	for b, err := range s.Watch(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if i, ok := e.Record.(coordinator.Input); ok {
				return i.Revision
			}
		}
		break
	}
	return 0
}

func revisionOfClient(ctx context.Context, t *testing.T, s *memory.Store) int64 {
	t.Helper()
	for b, err := range s.Watch(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if c, ok := e.Record.(coordinator.Client); ok {
				return c.Revision
			}
		}
		break
	}
	return 0
}

func TestLostAnswersAreSettled(t *testing.T) {
	for _, persist := range []bool{true, false} {
		bubble(t, func(t *testing.T, h *harness) {
			r := <-lead(t, h.nodes[0], true)
			for _, w := range writes(t, h.nodes[0], r.Epoch) {
				before := h.cluster.Revision()
				h.nodes[0].LoseAnswer(w.op, persist)
				if err := w.call(); err != nil {
					t.Errorf("%s, persisted %v: got error %v, want it settled", w.op, persist, err)
				}
				if made := h.cluster.Revision() - before; made != 1 {
					t.Errorf("%s, persisted %v: made %d changes, want 1", w.op, persist, made)
				}
			}
		})
	}
}

func TestFailuresComeInPairs(t *testing.T) {
	mishap := errors.New("mishap")
	for _, persist := range []bool{true, false} {
		bubble(t, func(t *testing.T, h *harness) {
			r := <-lead(t, h.nodes[0], true)
			for _, w := range writes(t, h.nodes[0], r.Epoch) {
				before := h.cluster.Revision()
				h.nodes[0].FailNext(w.op, 1, persist, mishap)
				if err := w.call(); !errors.Is(err, mishap) {
					t.Errorf("%s: got error %v, want %v", w.op, err, mishap)
				}
				if changed := h.cluster.Revision() != before; changed != persist {
					t.Errorf("%s: changed %v, want %v", w.op, changed, persist)
				}
				if persist {
					continue
				}
				if err := w.call(); err != nil { // the next call is sound
					t.Errorf("%s after a failure: %v", w.op, err)
				}
			}
		})
	}
}

func TestLostAnswerIsNotMistakenForAnother(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		s, r := h.nodes[0], <-lead(t, h.nodes[0], true)
		o := coordinator.Opening{Epoch: r.Epoch, Intent: coordinator.Intent{App: "shop", Group: "g", Attempt: "a1"}}
		first, err := s.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		s.LoseAnswer(memory.OpOpen, true)
		o.Intent.Attempt = "a2"
		if _, err := s.Open(t.Context(), o); !errors.Is(err, coordinator.ErrConflict) {
			t.Errorf("opening: got error %v, want ErrConflict: the intent there is another's", err)
		}
		o.Foreign = &first
		if _, err := s.Open(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		s.LoseAnswer(memory.OpPublish, true)
		state := coordinator.State{Name: shopToken()}.WithOutcome(coordinator.Outcome{Attempt: "a1"})
		p := coordinator.Publication{Intent: first, States: []coordinator.State{state}}
		if _, err := s.Publish(t.Context(), p); !errors.Is(err, coordinator.ErrConflict) {
			t.Errorf("publishing: got error %v, want ErrConflict: the attempt was taken over", err)
		}
	})
}

func TestReadFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		mishap := errors.New("mishap")
		h.nodes[0].FailNext(memory.OpRead, 1, false, mishap)
		if _, err := h.nodes[0].Read(t.Context(), coordinator.Query{}); !errors.Is(err, mishap) {
			t.Errorf("got error %v, want %v", err, mishap)
		}
	})
}

// publishToken publishes a value that expires after d.
func publishToken(t *testing.T, s *memory.Store, epoch coordinator.Epoch, attempt string, revision int64, d time.Duration) int64 {
	t.Helper()
	i, err := s.Open(t.Context(), coordinator.Opening{Epoch: epoch, Intent: coordinator.Intent{App: "shop", Group: "g", Attempt: attempt}})
	if err != nil {
		t.Fatal(err)
	}
	revision, err = s.Publish(t.Context(), coordinator.Publication{
		Epoch: epoch, Intent: i,
		States: []coordinator.State{{Name: shopToken(), Revision: revision}},
		Tokens: []coordinator.Token{{Name: shopToken(), Value: coordinator.NewSecret("v"), Expires: time.Now().Add(d)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func TestExpiredValueIsRemoved(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		r := <-lead(t, h.nodes[0], false)
		revision := publishToken(t, h.nodes[0], r.Epoch, "a1", 0, time.Hour)
		time.Sleep(time.Minute)
		publishToken(t, h.nodes[0], r.Epoch, "a2", revision, 2*time.Hour)
		from := time.Now()
		for b, err := range h.nodes[1].Watch(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Events {
				if v, ok := e.Record.(coordinator.Token); ok && e.Deleted {
					if after := time.Since(from); after != 2*time.Hour+15*time.Minute || v.Name != shopToken() {
						t.Errorf("the value of %v went after %v, want 15 min after its expiry", v.Name, after)
					}
					return
				}
			}
		}
	})
}

func TestBudgetOutlivesItsWindowByADay(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		r := <-lead(t, h.nodes[0], false)
		_, err := h.nodes[0].Open(t.Context(), coordinator.Opening{
			Epoch: r.Epoch, Intent: coordinator.Intent{App: "shop", Group: "g"},
			Budgets: []coordinator.Budget{{App: "shop", Window: "w", Calls: 1, Ends: time.Now().Add(time.Hour)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			time.Sleep(24*time.Hour + 30*time.Minute)
			now, err := h.nodes[0].Read(t.Context(), coordinator.Query{Account: "shop", Budgets: []string{"w"}})
			if err != nil {
				t.Fatal(err)
			}
			if now.Budgets[0].Calls != want {
				t.Errorf("got %d calls, want %d", now.Budgets[0].Calls, want)
			}
		}
	})
}

func TestTimesAreThoseOfTheWallClock(t *testing.T) {
	s := memory.New(memory.Config{}).Store()
	now := time.Now().In(time.FixedZone("elsewhere", 3600))
	if err := s.PutPaused(t.Context(), &coordinator.Paused{At: now}, nil); err != nil {
		t.Fatal(err)
	}
	for b, err := range s.Watch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		// == and not Equal: a monotonic reading or a zone would not survive the way to another process.
		if got := b.Events[0].Record.(coordinator.Paused).At; got != now.Round(0).UTC() {
			t.Errorf("got %#v, want %#v", got, now.Round(0).UTC())
		}
		break
	}
}

func TestRecordsShareNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		s, ctx := h.nodes[0], t.Context()
		app := coordinator.App{
			Name: "shop", Labels: map[string]string{"k": "v"},
			Tokens: map[string]coordinator.TokenSettings{"access_token": {Options: map[string]string{"k": "v"}}},
		}
		client := coordinator.Client{Name: "orders", Can: map[coordinator.Verb][]string{coordinator.VerbRead: {"v"}}}
		if err := errors.Join(s.PutApp(ctx, coordinator.AppChange{App: app}), s.PutClient(ctx, client, nil)); err != nil {
			t.Fatal(err)
		}
		spoil := func(app coordinator.App, client coordinator.Client) {
			app.Labels["k"], app.Tokens["access_token"].Options["k"], client.Can[coordinator.VerbRead][0] = "x", "x", "x"
		}
		spoil(app, client)
		for range 2 {
			var a coordinator.App
			var c coordinator.Client
			for _, r := range h.cluster.Records() {
				switch r := r.(type) {
				case coordinator.App:
					a = r
				case coordinator.Client:
					c = r
				}
			}
			if a.Labels["k"] != "v" || a.Tokens["access_token"].Options["k"] != "v" || c.Can[coordinator.VerbRead][0] != "v" {
				t.Errorf("the cluster holds %v and %v, changed from outside", a, c)
			}
			spoil(a, c)
		}
	})
}

// follow collects the batches of a watch that have events.
func follow(t *testing.T, s *memory.Store) <-chan coordinator.Batch {
	batches := make(chan coordinator.Batch)
	run(t, func(ctx context.Context) {
		for b, err := range s.Watch(ctx) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the watch ended: %v", err)
				}
				return
			}
			if !b.Snapshot && len(b.Events) == 0 {
				continue
			}
			select {
			case batches <- b:
			case <-ctx.Done():
			}
		}
	})
	return batches
}

func TestPartitionedWatchIsSilentAndCatchesUp(t *testing.T) {
	for _, compacted := range []bool{false, true} {
		bubble(t, func(t *testing.T, h *harness) {
			batches := follow(t, h.nodes[1])
			<-batches
			h.nodes[1].Partition()
			for _, client := range []string{"a", "b"} {
				if err := h.nodes[0].PutClient(t.Context(), coordinator.Client{Name: client}, nil); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case b := <-batches:
				t.Errorf("a partitioned watch yielded revision %d", b.Revision)
			case <-time.After(time.Hour):
			}
			if compacted {
				h.cluster.Compact()
			}
			h.nodes[1].Heal()
			b := <-batches
			if b.Snapshot != compacted || len(b.Events) == 1 == compacted {
				t.Errorf("compacted %v: went on with %d events, snapshot %v", compacted, len(b.Events), b.Snapshot)
			}
		})
	}
}

func TestWatchThatIsTooFarBehindStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Config{History: 4}).Store()
		batches := follow(t, s)
		<-batches
		for n := range 20 {
			if err := s.PutClient(t.Context(), coordinator.Client{Name: strconv.Itoa(n)}, nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the watch now waits for its consumer with the first change
		}
		<-batches
		if b := <-batches; !b.Snapshot || len(b.Events) != 20 {
			t.Errorf("went on with %d events, snapshot %v; want a snapshot of 20", len(b.Events), b.Snapshot)
		}
	})
}
