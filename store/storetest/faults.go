package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"freshet/coordinator"
)

func faultTests() []Test {
	return []Test{
		{"Lead/FallsWithItsElectionKey", testElectionKeyDropped},
		{"Lead/FallsWithItsSession", testSessionExpired},
		{"Lead/WaitsForItsFormerSelf", testFormerSelf},
	}
}

func testElectionKeyDropped(t *testing.T, h Harness) {
	faults, ok := h.(ElectionKeyDropper)
	if !ok {
		t.Skip("the harness cannot remove an election key")
	}
	testFall(t, h, func(l *leader) { faults.DropElectionKey(l.Epoch) })
}

func testSessionExpired(t *testing.T, h Harness) {
	faults, ok := h.(SessionExpirer)
	if !ok {
		t.Skip("the harness cannot expire sessions")
	}
	testFall(t, h, func(*leader) { faults.ExpireSessions(0) })
}

// testFall checks what must follow when node 0 loses its leadership.
func testFall(t *testing.T, h Harness, lose func(*leader)) {
	w := newWorld(t, h)
	p := w.publication(w.open("a1"), w.leader.Epoch)
	fallen := w.leader
	lose(fallen)
	next := campaign(t, h.Node(1), "node-1")
	w.refused(coordinator.ErrFenced, func() error { return w.tryPublish(p) })
	if cause := eventually(t, "the end of the leader's context", fallen.ended); !errors.Is(cause, coordinator.ErrLeadershipLost) {
		t.Errorf("the leader's context ended with cause %v, want %v", cause, coordinator.ErrLeadershipLost)
	}
	fallen.stop()
	if l := next.await(t); l.Epoch <= fallen.Epoch {
		t.Errorf("epoch %d follows %d", l.Epoch, fallen.Epoch)
	}
	if fallen.Held() {
		t.Error("leadership is held after it was lost")
	}
}

func testFormerSelf(t *testing.T, h Harness) {
	faults, ok := h.(SessionExpirer)
	if !ok {
		t.Skip("the harness cannot expire sessions")
	}
	entered, release := make(chan coordinator.Leadership), make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	var running atomic.Int32
	start(t, func(ctx context.Context) {
		_ = h.Node(0).Lead(ctx, "node-0", func(_ context.Context, l coordinator.Leadership) error {
			if running.Add(1) > 1 {
				t.Error("lead is called again before it returned")
			}
			defer running.Add(-1)
			select {
			case entered <- l:
			case <-ctx.Done():
			}
			<-release // whatever becomes of its context
			return nil
		})
	})
	t.Cleanup(let) // also where the test fails early, before Lead is waited for
	first := eventually(t, "an election", entered)
	faults.ExpireSessions(0)
	last := first.Epoch
	for n := range 4 { // while node 0 has not let go, it is passed over
		l := elect(t, h.Node(1+n%2), "other")
		last = l.Epoch
		l.stop()
	}
	let()
	again := eventually(t, "another election of node 0", entered)
	if first.Epoch >= last || last >= again.Epoch {
		t.Errorf("epochs %d, %d, %d do not grow", first.Epoch, last, again.Epoch)
	}
}
