package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/store/memory"
)

const ttl = memory.DefaultSessionTTL

// shopToken is the token all tests here work on.
func shopToken() coordinator.Name { return coordinator.Name{App: "shop", Token: "access_token"} }

// bubble runs a test with a fresh harness in virtual time.
func bubble(t *testing.T, test func(t *testing.T, h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, open(ttl)) })
}

// run runs f until the test ends.
func run(t *testing.T, f func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		f(ctx)
	}()
}

// reign is one leadership.
type reign struct {
	coordinator.Leadership
	ended <-chan error // yields the cause of its end, once
}

// lead makes a node campaign; it beats while it leads, unless it is hung.
func lead(t *testing.T, store *memory.Store, hung bool) <-chan reign {
	reigns := make(chan reign, 10)
	run(t, func(ctx context.Context) {
		_ = store.Lead(ctx, "n", func(ctx context.Context, l coordinator.Leadership) error {
			ended := make(chan error, 1)
			reigns <- reign{l, ended}
			for ctx.Err() == nil {
				if !hung {
					_ = store.Beat(ctx, coordinator.Heartbeat{Epoch: l.Epoch})
				}
				select {
				case <-ctx.Done():
				case <-time.After(coordinator.HeartbeatEvery):
				}
			}
			ended <- context.Cause(ctx)
			return nil
		})
	})
	return reigns
}

// lost waits for the end of a leadership and returns how long that took.
func lost(t *testing.T, r reign, from time.Time) time.Duration {
	t.Helper()
	if cause := <-r.ended; !errors.Is(cause, coordinator.ErrLeadershipLost) {
		t.Errorf("leadership ended with cause %v", cause)
	}
	if r.Held() {
		t.Error("leadership is held after it was lost")
	}
	return time.Since(from)
}

func TestPartitionedLeaderStopsBeforeItIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		first := <-lead(t, h.nodes[0], false)
		second := lead(t, h.nodes[1], false)
		time.Sleep(time.Hour)
		if !first.Held() {
			t.Fatal("a healthy leader lost its leadership")
		}
		cut := time.Now()
		h.nodes[0].Partition()
		stopped := lost(t, first, cut)
		next := <-second
		replaced := time.Since(cut)
		if stopped > ttl-time.Second || replaced <= stopped || replaced > ttl {
			t.Errorf("stopped after %v, replaced after %v; want the first below %v, the second after it within %v",
				stopped, replaced, ttl-time.Second, ttl)
		}
		h.nodes[0].Heal()
		if err := h.nodes[0].Beat(t.Context(), coordinator.Heartbeat{Epoch: first.Epoch}); !errors.Is(err, coordinator.ErrFenced) {
			t.Errorf("a write of the former leader: got error %v, want ErrFenced", err)
		}
		if next.Epoch <= first.Epoch {
			t.Errorf("epoch %d follows %d", next.Epoch, first.Epoch)
		}
	})
}

func TestShortPartitionKeepsTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		r := <-lead(t, h.nodes[0], false)
		h.nodes[0].Partition()
		time.Sleep(ttl / 2)
		h.nodes[0].Heal()
		time.Sleep(time.Hour)
		if !r.Held() || len(r.ended) > 0 {
			t.Error("a partition shorter than the session ended the leadership")
		}
	})
}

func TestHungLeaderIsDeposed(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		from := time.Now()
		r := <-lead(t, h.nodes[0], true)
		next := lead(t, h.nodes[1], false)
		if after := lost(t, r, from); after != ttl {
			t.Errorf("a leader that never beat was deposed after %v, want %v", after, ttl)
		}
		<-next
	})
}

func TestLostSession(t *testing.T) {
	for told, within := range map[bool]time.Duration{true: 0, false: ttl - time.Second} {
		bubble(t, func(t *testing.T, h *harness) {
			r := <-lead(t, h.nodes[0], true)
			from := time.Now()
			h.nodes[0].LoseSession(told)
			if after := lost(t, r, from); after != within {
				t.Errorf("told %v: the leader noticed after %v, want %v", told, after, within)
			}
		})
	}
}

func TestFencedWriteTellsTheLeader(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		r := <-lead(t, h.nodes[0], true)
		h.nodes[0].LoseSession(false)
		synctest.Wait()
		if !r.Held() {
			t.Fatal("a leader that was not told knows already")
		}
		if err := h.nodes[0].Beat(t.Context(), coordinator.Heartbeat{Epoch: r.Epoch}); !errors.Is(err, coordinator.ErrFenced) {
			t.Fatalf("got error %v, want ErrFenced", err)
		}
		if after := lost(t, r, time.Now()); after != 0 {
			t.Errorf("the leader stepped down %v after a fenced write", after)
		}
	})
}

func TestDeletedElectionKeyEndsLeadership(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		r := <-lead(t, h.nodes[0], false)
		if !h.nodes[0].DeleteElectionKey() || h.nodes[1].DeleteElectionKey() {
			t.Fatal("want a key of node 0 and none of node 1")
		}
		lost(t, r, time.Now())
	})
}

// join registers a node until leave is called or the test ends.
func join(t *testing.T, store *memory.Store, instance string) (ended <-chan error, leave func()) {
	result := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	run(t, func(context.Context) {
		defer cancel()
		result <- store.Join(ctx, func() coordinator.NodeInfo {
			return coordinator.NodeInfo{Name: "n1", Instance: instance}
		})
	})
	synctest.Wait()
	return result, cancel
}

func TestNameOfADeadProcessIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		join(t, h.nodes[0], "dead")
		h.nodes[0].Partition()
		alive, _ := join(t, h.nodes[1], "alive")
		time.Sleep(ttl)
		synctest.Wait()
		if instance := registered(h); instance != "alive" {
			t.Errorf("the name belongs to %q, want it inherited", instance)
		}
		h.nodes[0].Heal()
		time.Sleep(time.Hour)
		select {
		case err := <-alive:
			t.Errorf("the heir was driven out: %v", err)
		default:
		}
	})
}

func TestRegistrationOutlivesAFormerSession(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		ended, leave := join(t, h.nodes[0], "same")
		h.nodes[0].Partition()
		leave() // without being able to say so
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Join ended with error %v, want that of its context", err)
		}
		h.nodes[0].Heal()
		join(t, h.nodes[0], "same")
		revision := h.cluster.Revision()
		time.Sleep(2 * ttl)
		if registered(h) != "same" || h.cluster.Revision() != revision {
			t.Error("the end of a former session removed what a newer one holds")
		}
	})
}

func registered(h *harness) string {
	for _, r := range h.cluster.Records() {
		if n, ok := r.(coordinator.NodeInfo); ok {
			return n.Instance
		}
	}
	return ""
}

func TestPartitionedCalls(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.nodes[0].Partition()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := h.nodes[0].PutClient(ctx, coordinator.Client{Name: "orders"}, nil)
		if !errors.Is(err, coordinator.ErrAmbiguous) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a write: got error %v, want ErrAmbiguous and that of the context", err)
		}
		if _, err := h.nodes[0].Read(ctx, coordinator.Query{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read: got error %v, want that of the context", err)
		}
		answered := make(chan error, 1)
		run(t, func(ctx context.Context) {
			answered <- h.nodes[0].PutClient(ctx, coordinator.Client{Name: "orders"}, nil)
		})
		time.Sleep(time.Hour)
		h.nodes[0].Heal()
		if err := <-answered; err != nil {
			t.Errorf("a write that waited for the end of the partition: %v", err)
		}
	})
}

func TestHeldTransactionCommitsLate(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		for _, late := range []error{nil, coordinator.ErrConflict} {
			held := h.nodes[0].HoldNext(memory.OpPutClient)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			c := coordinator.Client{Name: "orders", Note: "late"}
			if err := h.nodes[0].PutClient(ctx, c, nil); !errors.Is(err, coordinator.ErrAmbiguous) {
				t.Errorf("got error %v, want ErrAmbiguous", err)
			}
			cancel()
			if err := held.Deliver(); !errors.Is(err, late) {
				t.Errorf("delivered late: got error %v, want %v", err, late)
			}
		}
		if n := len(h.cluster.Records()); n != 1 {
			t.Errorf("%d records after two deliveries, want 1", n)
		}
	})
}

func TestHeldCallGoesOnAfterDelivery(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		held := h.nodes[0].HoldNext(memory.OpPutClient)
		answered := make(chan error, 1)
		run(t, func(ctx context.Context) {
			answered <- h.nodes[0].PutClient(ctx, coordinator.Client{Name: "orders"}, nil)
		})
		<-held.Sent()
		if err := held.Deliver(); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Errorf("the call did not recognise its own commit: %v", err)
		}
	})
}
