package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/store/seal"
)

// The two builds of a rolling upgrade. Only the number of the format differs.
const (
	former = formatNewest
	next   = formatNewest + 1
)

// openBuild returns a store of a build that reads formats up to newest.
func openBuild(t *testing.T, newest int, change ...func(*Config)) *Store {
	t.Helper()
	s := open(t, change...)
	s.codec.newest = newest
	return s
}

// joined registers a store as a node until stop is called.
func joined(t *testing.T, s *Store, name string) (stop func()) {
	t.Helper()
	stop = run(t, func(ctx context.Context) {
		_ = s.Join(ctx, func() coordinator.NodeInfo {
			return coordinator.NodeInfo{Name: name, Instance: name, Build: "b-" + name}
		})
	})
	c := raw(t)
	eventually(t, name+" does not register", func() bool { return len(at(t, c, s.keys.node(name)).Kvs) == 1 })
	return stop
}

// raise raises a cluster's format without asking anybody.
func raise(t *testing.T, s *Store) {
	t.Helper()
	must(t, second(raw(t).Put(soon(t), s.keys.schema(), string(encode(schema{Format: next}, schemaFields)))))
}

// written is the format of each record in a cluster.
func written(t *testing.T, s *Store) map[byte][]string {
	t.Helper()
	formats := map[byte][]string{}
	for _, kv := range everything(t, s) {
		if _, ok := s.keys.identify(string(kv.Key)); ok {
			formats[kv.Value[0]] = append(formats[kv.Value[0]], string(kv.Key))
		}
	}
	return formats
}

// refresh makes one attempt and returns the token's stored form.
func refresh(t *testing.T, s *Store, epoch coordinator.Epoch, attempt string) *mvccpb.KeyValue {
	t.Helper()
	must(t, second(s.Open(soon(t), opening(look(t, s, epoch), epoch, attempt))))
	must(t, second(s.Publish(soon(t), publication(look(t, s, epoch), epoch))))
	return at(t, raw(t), s.keys.token(shop)).Kvs[0]
}

// A cluster is upgraded node by node: the new build writes what the former one
// reads until somebody says that no former one is left.
func TestARollingUpgradeEndsWhenItIsFinalized(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	old := openBuild(t, former, sealedBy(ring))
	leaveOld := joined(t, old, "old")
	putShop(t, old)
	l := elect(t, old)
	refresh(t, old, l.Epoch, "a1")
	l.stop()

	s := openBuild(t, next, sealedBy(ring))
	joined(t, s, "new")
	follow(t, s)
	l = elect(t, s)
	refresh(t, s, l.Epoch, "a2")
	if there := written(t, s); len(there[next]) > 0 {
		t.Errorf("the new build writes beside the former one what that cannot read: %q", there[next])
	}
	if got := look(t, old, 0).Tokens[0].Value.Reveal(); got != "value of a2" {
		t.Errorf("the former build reads %q of what the new one wrote", got)
	}
	for who, by := range map[string]*Store{"the new node": s, "the old node": old} {
		_, err := by.Finalize(soon(t), nil)
		if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), `upgrade or stop "old" (build "b-old") first`) {
			t.Errorf("finalizing by %s beside a former build: got error %v, want one that names it", who, err)
		}
	}

	leaveOld()
	if got, err := s.Finalize(soon(t), nil); got != next || err != nil {
		t.Fatalf("with new nodes only the format is %d, error %v; want %d", got, err, next)
	}
	eventually(t, "the running node does not learn of the raise", func() bool { return s.codec.written() == next })
	opensAs(t, s, refresh(t, s, l.Epoch, "a3"))
	now := look(t, s, l.Epoch) // with credentials of the former format
	if got := now.Tokens[0].Value.Reveal(); got != "value of a3" {
		t.Errorf("the new build reads %q of what it wrote", got)
	}
	if got, err := s.Finalize(soon(t), nil); got != next || err != nil {
		t.Errorf("finalizing again: format %d, error %v; want %d", got, err, next)
	}
	refuses(t, "a former build that starts", openBuild(t, former, sealedBy(ring)).PutPaused(soon(t), nil, nil))
}

// opensAs makes sure that a token has the new format, and opens as no other.
func opensAs(t *testing.T, s *Store, kv *mvccpb.KeyValue) {
	t.Helper()
	if kv.Value[0] != next {
		t.Errorf("a token is written in format %d, want %d", kv.Value[0], next)
	}
	kv.Value[0] = former
	if _, err := s.codec.decode(coordinator.Token{Name: shop}, kv.Value, 0); !errors.Is(err, seal.ErrMismatch) {
		t.Errorf("a sealed record opens as one of another format: %v", err)
	}
}

func refuses(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "format 2, and this build reads formats up to 1; upgrade this node") {
		t.Errorf("%s gets error %v, want one that says what to do", what, err)
	}
}

// readyFormer returns a store of the former build that has looked at the cluster.
func readyFormer(t *testing.T, change ...func(*Config)) *Store {
	t.Helper()
	s := openBuild(t, former, change...)
	must(t, s.PutPaused(soon(t), nil, nil))
	return s
}

// A node that was cut off is not asked when the format is raised.
func TestARunningNodeOfTheFormerBuildEndsWhenItHearsOfTheRaise(t *testing.T) {
	t.Parallel()
	old := readyFormer(t)
	leading := elect(t, openBuild(t, next))
	ended, first := make(chan error, 1), make(chan struct{}, 1)
	run(t, func(ctx context.Context) {
		for b, err := range old.Watch(ctx) {
			if b.Snapshot {
				first <- struct{}{}
			}
			if err != nil {
				ended <- err
			}
		}
	})
	await(t, "the snapshot", first)
	candidate := make(chan error, 1)
	run(t, func(ctx context.Context) {
		candidate <- old.Lead(ctx, "old", func(context.Context, coordinator.Leadership) error {
			t.Error("the former build leads")
			return nil
		})
	})
	c := raw(t)
	eventually(t, "it does not campaign", func() bool { return len(candidates(t, c, old)) == 2 })

	raise(t, old)
	refuses(t, "its watch", await(t, "the end of the watch", ended))
	leading.stop()
	refuses(t, "its campaign", await(t, "the end of the campaign", candidate))
	// What it holds it may still save, and any build reads it.
	saved := coordinator.Salvage{App: "shop", Group: "g", Attempt: "a1"}
	must(t, old.Salvage(soon(t), saved))
	if got := at(t, c, old.keys.of(saved)).Kvs[0].Value[0]; got != former {
		t.Errorf("it saves in format %d, want %d", got, former)
	}
}

func TestANodeOfTheFormerBuildDoesNotComeBackAfterTheRaise(t *testing.T) {
	t.Parallel()
	old := readyFormer(t)
	raise(t, old)
	info := func() coordinator.NodeInfo { return coordinator.NodeInfo{Name: "old", Instance: "i"} }
	refuses(t, "joining", old.Join(soon(t), info))
	for _, err := range old.Watch(soon(t)) {
		refuses(t, "listing", err)
	}
}

func TestARaiseDuringATakeoverIsNotOverlooked(t *testing.T) {
	t.Parallel()
	f := &faults{}
	old := readyFormer(t, spoilt(f.spoil))
	f.fail(spared, 1, func(then []clientv3.Op) bool {
		if len(then) > 0 && string(then[0].KeyBytes()) == old.keys.epoch() {
			raise(t, old)
		}
		return false
	})
	refuses(t, "its campaign", old.Lead(soon(t), "old", func(context.Context, coordinator.Leadership) error {
		t.Error("the former build leads")
		return nil
	}))
}

func TestTheFormatIsRaisedToWhatEveryNodeReads(t *testing.T) {
	t.Parallel()
	s, c := readyFormer(t), raw(t)
	s.codec.newest = next + 1
	register := func(name string, newest int) {
		n := coordinator.NodeInfo{Name: name, SchemaMin: 1, SchemaMax: newest}
		must(t, second(c.Put(soon(t), s.keys.of(n), string(encodeRecord(n)))))
	}
	register("new", next+1)
	register("old", next)
	if got, err := s.Finalize(soon(t), nil); got != next || err != nil {
		t.Errorf("got format %d, error %v; want %d", got, err, next)
	}
	register("old", former)
	if got, err := s.Finalize(soon(t), nil); got != next || err == nil {
		t.Errorf("the format went back to %d, error %v", got, err)
	}
	s.codec.newest = former
	register("old", next+1)
	if got, err := s.Finalize(soon(t), nil); got != next || err == nil {
		t.Errorf("a node raised the format beyond what it reads: %d, error %v", got, err)
	}
}

func TestAFormatThatIsTooOldIsRefusedWithWhatToDo(t *testing.T) {
	s := open(t)
	must(t, second(raw(t).Put(soon(t), s.keys.schema(), string(encode(schema{Format: formatOldest - 1}, schemaFields)))))
	if err := s.PutPaused(soon(t), nil, nil); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "freshet finalize") {
		t.Errorf("got error %v, want one that says what to do", err)
	}
}

// What sys/schema holds is read by every build there will be; one that cannot
// read it anyway must not take it for something else.
func TestASchemaOfAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	s := openBuild(t, next)
	value := encode(schema{Format: former}, schemaFields)
	value[0] = next
	must(t, second(raw(t).Put(soon(t), s.keys.schema(), string(value))))
	if err := s.PutPaused(soon(t), nil, nil); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "upgrade this node") {
		t.Errorf("got error %v, want one that says what to do", err)
	}
}

func TestARecordOfANewerFormatIsNotSealedAnew(t *testing.T) {
	t.Parallel()
	s := openBuild(t, former, sealedBy(newRing(t)))
	value := encodeRecord(coordinator.Credentials{App: "shop", Incarnation: 1})
	value[0] = next
	if done, err := s.reseal(soon(t), fence{}, kv(s.keys.credentials("shop"), value, 1)); done || !errors.Is(err, ErrUnsupported) {
		t.Errorf("sealed anew: %t, error %v; want %v", done, err, ErrUnsupported)
	}
}

// The answer is lost, and the format is raised before it is known what it was.
func TestALostAnswerIsSettledOverARaise(t *testing.T) {
	t.Parallel()
	f := &faults{}
	s := openBuild(t, next, spoilt(f.spoil))
	must(t, second(raw(t).Put(soon(t), s.keys.schema(), string(encode(schema{Format: former}, schemaFields)))))
	must(t, s.PutPaused(soon(t), nil, nil))
	f.fail(lost, 1, func(then []clientv3.Op) bool {
		chosen := len(then) > 0 && string(then[0].KeyBytes()) == s.keys.changed()
		return chosen && s.codec.adopt(next) == nil
	})
	putShop(t, s)
	if n := f.suffered(); n != 1 {
		t.Errorf("%d answers were lost, want 1", n)
	}
}

// A write is put into words before the first look at the cluster.
func TestTheFirstWriteHasAFormatThatEveryNodeReads(t *testing.T) {
	t.Parallel()
	s := openBuild(t, next)
	must(t, s.PutPaused(soon(t), &coordinator.Paused{By: "me"}, nil))
	if there := written(t, s); len(there) != 1 || len(there[formatOldest]) != 1 {
		t.Errorf("records by format: %q, want one of format %d", there, formatOldest)
	}
}
