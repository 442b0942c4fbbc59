package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

func TestAPartitionedLeaderStopsBeforeAnotherIsElected(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	l := elect(t, open(t, over(p.endpoint())))
	next, _ := campaign(t, open(t), false)
	waitForTwo(t, raw(t), open(t))
	p.hold()
	for l.Held() { // by the clock alone
		sleep(soon(t), time.Millisecond)
	}
	began := time.Now()
	await(t, "the end of the leadership", l.ctx.Done())
	if late := time.Since(began); late > testTTL/8 {
		t.Errorf("its context ended %s after it could not be relied on any more", late)
	}
	select {
	case <-next:
		t.Error("another leader was elected before the first one stopped")
	default:
	}
	if l.Held() {
		t.Error("leadership is held after its context ended")
	}
	if cause := context.Cause(l.ctx); !errors.Is(cause, coordinator.ErrLeadershipLost) {
		t.Errorf("it ended with cause %v, want %v", cause, coordinator.ErrLeadershipLost)
	}
	second := await(t, "an election", next)
	if second.Epoch <= l.Epoch {
		t.Errorf("epoch %d follows %d", second.Epoch, l.Epoch)
	}
	p.release()
}

func TestALeaderThatDoesNotBeatIsDeposed(t *testing.T) {
	t.Parallel()
	mute, _ := campaign(t, open(t), true)
	l := await(t, "an election", mute)
	next, _ := campaign(t, open(t), false)
	await(t, "the end of the leadership", l.ctx.Done())
	if cause := context.Cause(l.ctx); !errors.Is(cause, coordinator.ErrLeadershipLost) || !strings.Contains(cause.Error(), "beat") {
		t.Errorf("it ended with cause %v, want %v for want of beats", cause, coordinator.ErrLeadershipLost)
	}
	await(t, "an election", next)
}

// A leader that hangs for ever must not keep its session, or nobody could follow.
func TestALeaderThatNeverReturnsIsFollowedAllTheSame(t *testing.T) {
	t.Parallel()
	release, began := make(chan struct{}), make(chan struct{})
	s := open(t)
	run(t, func(ctx context.Context) {
		_ = s.Lead(ctx, "n", func(context.Context, coordinator.Leadership) error {
			close(began)
			<-release
			return nil
		})
	})
	t.Cleanup(func() { close(release) })
	await(t, "an election", began)
	elect(t, open(t))
}

func TestTwoClocksAreAsked(t *testing.T) {
	held := func(sent time.Time) bool {
		h := session{ttl: 10 * time.Second}
		h.renewed.Store(&sent)
		return h.alive()
	}
	now := time.Now()
	if !held(now) {
		t.Error("a session that was just renewed is not relied on")
	}
	if held(now.Add(-9500 * time.Millisecond)) {
		t.Error("a session is relied on to its last second")
	}
	// After the machine was suspended, the monotonic clock has not moved.
	if suspended := withMonotonicOf(now.Add(-time.Hour), now); held(suspended) {
		t.Error("a session is relied on after an hour in which the machine was suspended")
	}
	// After somebody set the time back, the wall clock has not moved.
	if setBack := withMonotonicOf(now, now.Add(-time.Hour)); held(setBack) {
		t.Error("a session is relied on for as long as the time is set back")
	}
}

// withMonotonicOf returns the wall clock's reading of one time with the
// monotonic clock's reading of another.
func withMonotonicOf(wall, monotonic time.Time) time.Time {
	type layout struct { // of time.Time
		wall uint64
		ext  int64
		loc  *time.Location
	}
	(*layout)(unsafe.Pointer(&wall)).ext = (*layout)(unsafe.Pointer(&monotonic)).ext
	return wall
}

func TestTheNameOfADeadProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	s, c := open(t), raw(t)
	lease, err := c.Grant(soon(t), int64(testTTL/time.Second)) // of a process that died
	must(t, err)
	waitForName(t, s, c, lease.ID)
}

// TestTheNameOfADeadProcessIsWaitedForThroughAnElectionOfEtcd renews the dead
// process's lease once, as a new leader of etcd does with every lease.
func TestTheNameOfADeadProcessIsWaitedForThroughAnElectionOfEtcd(t *testing.T) {
	t.Parallel()
	s, c := open(t), raw(t)
	lease, err := c.Grant(soon(t), int64(testTTL/time.Second)+1)
	must(t, err)
	var renewing sync.WaitGroup
	defer renewing.Wait()
	renewing.Go(func() {
		<-time.After(3 * testTTL / 4)
		if _, err := c.KeepAliveOnce(soon(t), lease.ID); err != nil {
			t.Error(err)
		}
	})
	waitForName(t, s, c, lease.ID)
}

// waitForName lets a dead process have a name under a lease, and waits until a
// living one has it.
func waitForName(t *testing.T, s *Store, c *clientv3.Client, lease clientv3.LeaseID) {
	t.Helper()
	dead := coordinator.NodeInfo{Name: "n", Instance: "dead"}
	must(t, second(c.Put(soon(t), s.keys.of(dead), string(encodeRecord(dead)), clientv3.WithLease(lease))))
	run(t, func(ctx context.Context) {
		if err := s.Join(ctx, func() coordinator.NodeInfo { return coordinator.NodeInfo{Name: "n", Instance: "alive"} }); !errors.Is(err, context.Canceled) {
			t.Errorf("Join returned %v", err)
		}
	})
	for b := range follow(t, open(t)) {
		for _, e := range b.Events {
			if n, ok := e.Record.(coordinator.NodeInfo); ok && n.Instance == "alive" {
				return
			}
		}
	}
}

func TestANodeWhoseRecordWasDeletedComesBack(t *testing.T) {
	s, c := open(t), raw(t)
	started := time.Now()
	run(t, func(ctx context.Context) {
		_ = s.Join(ctx, func() coordinator.NodeInfo {
			return coordinator.NodeInfo{Name: "n", Instance: "i", Applied: int64(time.Since(started))}
		})
	})
	seen := 0
	for b := range follow(t, open(t)) {
		for _, e := range b.Events {
			if _, ok := e.Record.(coordinator.NodeInfo); !ok || e.Deleted {
				continue
			}
			if seen++; seen > 1 {
				return
			}
			must(t, second(c.Delete(soon(t), s.keys.node("n"))))
		}
	}
}

func TestANameThatIsTakenIsExplained(t *testing.T) {
	t.Parallel()
	s, c := open(t), raw(t)
	other := coordinator.NodeInfo{Name: "n", Instance: "other", Address: "10.0.0.9:7480"}
	must(t, second(c.Put(soon(t), s.keys.of(other), string(encodeRecord(other)))))
	err := s.Join(soon(t), func() coordinator.NodeInfo { return coordinator.NodeInfo{Name: "n", Instance: "i"} })
	if !errors.Is(err, coordinator.ErrNameTaken) {
		t.Fatalf("Join returned %v, want %v", err, coordinator.ErrNameTaken)
	}
	for _, want := range []string{"10.0.0.9:7480", "give this node another name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestATakeoverIsFenced(t *testing.T) {
	b := newBench(t)
	before := at(t, b.raw, b.s.keys.epoch()).Kvs[0].ModRevision
	gone := fence{key: b.s.keys.candidates() + "gone", epoch: b.epoch}
	if _, err := b.s.takeOver(soon(t), gone, "phantom"); !errors.Is(err, coordinator.ErrFenced) {
		t.Errorf("taking over without an election key: got error %v, want %v", err, coordinator.ErrFenced)
	}
	if after := at(t, b.raw, b.s.keys.epoch()).Kvs[0].ModRevision; after != before {
		t.Error("a leadership that does not exist was written down")
	}
}

// A leader that hears nothing learns that it was deposed from what it writes.
func TestAFencedWriteEndsTheLeadership(t *testing.T) {
	var d deaf
	d.left.Store(1 << 20)
	s := open(t, func(c *Config) { c.SessionTTL = time.Minute }, spoilt(func(c *clientv3.Client) { c.Watcher = &d }))
	c := raw(t)
	mute, _ := campaign(t, s, true)
	l := await(t, "an election", mute)
	must(t, second(c.Delete(soon(t), string(candidates(t, c, s)[0].Key))))
	if err := s.Beat(soon(t), coordinator.Heartbeat{Epoch: l.Epoch}); !errors.Is(err, coordinator.ErrFenced) {
		t.Errorf("Beat returned %v, want %v", err, coordinator.ErrFenced)
	}
	await(t, "the end of the leadership", l.ctx.Done())
	if l.Held() {
		t.Error("leadership is held after a write was fenced")
	}
}
