package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"freshet/coordinator"
)

func leadTests() []Test {
	return []Test{
		{"Lead/OneAtATime", testOneLeads},
		{"Lead/LeavesItsMark", testLeadMarks},
		{"Lead/CanWriteWhileItDrains", testDrain},
		{"Lead/CampaignsAgainWhenLeadReturns", testLeadReturns},
		{"Lead/EndsWithItsContext", testLeadEnds},
	}
}

func testOneLeads(t *testing.T, h Harness) {
	const handOvers = 5
	var (
		running atomic.Int32
		past    []coordinator.Leadership
		elected = make(chan *leader)
		changes = watch(t, h.Node(0))
	)
	for n := range Nodes {
		store := h.Node(n)
		start(t, func(ctx context.Context) {
			_ = store.Lead(ctx, nodeName(n), func(leading context.Context, l coordinator.Leadership) error {
				if running.Add(1) > 1 {
					t.Error("two nodes lead at a time")
				}
				defer running.Add(-1)
				if !l.Held() {
					t.Error("the leader does not hold its leadership")
				}
				leading, cancel := context.WithCancel(leading)
				defer cancel()
				var beating sync.WaitGroup
				beating.Go(func() { beat(leading, store, l) })
				select {
				case elected <- &leader{Leadership: l, stop: cancel}:
				case <-leading.Done():
				}
				beating.Wait()
				return nil // resigns, and another takes over
			})
		})
	}
	for range handOvers {
		l := eventually(t, "an election", elected)
		for _, p := range past {
			if p.Held() {
				t.Errorf("epoch %d is held while %d leads", p.Epoch, l.Epoch)
			}
			if l.Epoch <= p.Epoch || l.Revision <= p.Revision {
				t.Errorf("epoch %d, taken over at %d, follows epoch %d, taken over at %d", l.Epoch, l.Revision, p.Epoch, p.Revision)
			}
		}
		past = append(past, l.Leadership)
		// Time for the others to campaign, and to lead if nothing kept them; a busy
		// machine may have lost this leader its session meanwhile.
		changes.until(beatSince(l.Epoch))
		l.stop()
	}
}

func nodeName(n int) string { return fmt.Sprintf("node-%d", n) }

func beatOf(epoch coordinator.Epoch) func(coordinator.Event) bool {
	return func(e coordinator.Event) bool {
		b, ok := e.Record.(coordinator.Heartbeat)
		return ok && b.Epoch == epoch
	}
}

// beatSince chooses a beat of a leader or of one after it.
func beatSince(epoch coordinator.Epoch) func(coordinator.Event) bool {
	return func(e coordinator.Event) bool {
		b, ok := e.Record.(coordinator.Heartbeat)
		return ok && !e.Deleted && b.Epoch >= epoch
	}
}

func testLeadMarks(t *testing.T, h Harness) {
	var fingerprint string
	for range 2 {
		changes := watch(t, h.Node(1))
		l := elect(t, h.Node(0), "node-0")
		records := snapshot(t, h.Node(2))
		e, _ := find(records, coordinator.Elected{})
		if e.Epoch != l.Epoch || e.Node != "node-0" || e.Revision != l.Revision || e.At.IsZero() {
			t.Errorf("got %+v, want epoch %d of node-0 at revision %d", e, l.Epoch, l.Revision)
		}
		f, _ := find(records, coordinator.FingerprintKey{})
		if f.Key.IsZero() || f.Revision > l.Revision {
			t.Errorf("the fingerprint key of revision %d was not made before the takeover at %d", f.Revision, l.Revision)
		}
		if fingerprint != "" && f.Key.Reveal() != fingerprint {
			t.Error("the second leadership made another fingerprint key")
		}
		fingerprint = f.Key.Reveal()
		changes.until(beatOf(l.Epoch))
		l.stop()
	}
}

func testDrain(t *testing.T, h Harness) {
	store, ended := h.Node(0), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	start(t, func(context.Context) {
		ended <- store.Lead(ctx, "node-0", func(leading context.Context, l coordinator.Leadership) error {
			cancel()
			<-leading.Done()
			if cause := context.Cause(leading); errors.Is(cause, coordinator.ErrLeadershipLost) {
				t.Errorf("the end of Lead's context is told as %v", cause)
			}
			if !l.Held() {
				t.Error("leadership is not held while it drains")
			}
			draining, done := context.WithTimeout(context.WithoutCancel(leading), patience)
			defer done()
			if err := store.Beat(draining, coordinator.Heartbeat{Epoch: l.Epoch}); err != nil {
				t.Errorf("writing while draining: %v", err)
			}
			return nil
		})
	})
	if err := eventually(t, "the end of Lead", ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Lead returned %v, want nothing but the error of its context", err)
	}
	elect(t, h.Node(1), "node-1") // not held up: node 0 has resigned
}

func testLeadReturns(t *testing.T, h Harness) {
	epochs := make(chan coordinator.Epoch, 3)
	start(t, func(ctx context.Context) {
		_ = h.Node(0).Lead(ctx, "node-0", func(leading context.Context, l coordinator.Leadership) error {
			select {
			case epochs <- l.Epoch:
				return errors.New("a mishap")
			default:
				<-leading.Done()
				return nil
			}
		})
	})
	var last coordinator.Epoch
	for range cap(epochs) {
		epoch := eventually(t, "an election", epochs)
		if epoch <= last {
			t.Errorf("epoch %d follows %d", epoch, last)
		}
		last = epoch
	}
}

func testLeadEnds(t *testing.T, h Harness) {
	leads := elect(t, h.Node(0), "node-0")
	waiting := campaign(t, h.Node(1), "node-1")
	waiting.stop() // returns, although another leads
	if !leads.Held() {
		t.Error("the leader fell with another candidate")
	}
	next := campaign(t, h.Node(2), "node-2")
	leads.stop()
	if l := next.await(t); l.Epoch <= leads.Epoch {
		t.Errorf("epoch %d follows %d", l.Epoch, leads.Epoch)
	}
	if leads.Held() {
		t.Error("leadership is held after Lead returned")
	}
}
