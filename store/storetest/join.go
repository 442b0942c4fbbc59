package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"freshet/coordinator"
)

func joinTests() []Test {
	return []Test{
		{"Join/RegistersFollowsAndLeaves", testJoin},
		{"Join/NameTaken", testNameTaken},
		{"Join/NameIsInherited", testNameInherited},
		{"Join/ComesBackAfterItsSessionExpired", testJoinAgain},
	}
}

func info(instance string, applied int64) coordinator.NodeInfo {
	return coordinator.NodeInfo{Name: "n1", Instance: instance, Started: at(0), Applied: applied}
}

// join starts Join and returns its error when it ends.
func join(t *testing.T, store coordinator.Store, info func() coordinator.NodeInfo) (ended <-chan error, leave func()) {
	result := make(chan error, 1)
	return result, start(t, func(ctx context.Context) { result <- store.Join(ctx, info) })
}

// node returns what chooses the events of n1.
func node(chosen func(n coordinator.NodeInfo, deleted bool) bool) func(coordinator.Event) bool {
	return func(e coordinator.Event) bool {
		n, ok := e.Record.(coordinator.NodeInfo)
		return ok && n.Name == "n1" && chosen(n, e.Deleted)
	}
}

func registered(instance string, applied int64) func(coordinator.Event) bool {
	return node(func(n coordinator.NodeInfo, deleted bool) bool {
		return !deleted && n.Instance == instance && n.Applied == applied
	})
}

func gone() func(coordinator.Event) bool {
	return node(func(_ coordinator.NodeInfo, deleted bool) bool { return deleted })
}

func testJoin(t *testing.T, h Harness) {
	changes := watch(t, h.Node(1))
	var applied atomic.Int64
	ended, leave := join(t, h.Node(0), func() coordinator.NodeInfo { return info("a", applied.Load()) })
	changes.until(registered("a", 0))
	applied.Store(7)
	changes.until(registered("a", 7))
	leave()
	changes.until(gone())
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Join returned %v, want nothing but the error of its context", err)
	}
}

func testNameTaken(t *testing.T, h Harness) {
	changes := watch(t, h.Node(2))
	join(t, h.Node(0), func() coordinator.NodeInfo { return info("a", 0) })
	changes.until(registered("a", 0))
	ended, _ := join(t, h.Node(1), func() coordinator.NodeInfo { return info("b", 0) })
	if err := eventually(t, "the end of Join", ended); !errors.Is(err, coordinator.ErrNameTaken) {
		t.Errorf("Join returned %v, want %v", err, coordinator.ErrNameTaken)
	}
	if n, _ := find(snapshot(t, h.Node(2)), info("a", 0)); n.Instance != "a" {
		t.Errorf("the name belongs to instance %q, want it kept by \"a\"", n.Instance)
	}
}

func testNameInherited(t *testing.T, h Harness) {
	changes := watch(t, h.Node(2))
	_, leave := join(t, h.Node(0), func() coordinator.NodeInfo { return info("a", 0) })
	changes.until(registered("a", 0))
	join(t, h.Node(1), func() coordinator.NodeInfo { return info("b", 0) })
	leave()
	changes.until(registered("b", 0))
}

func testJoinAgain(t *testing.T, h Harness) {
	faults, ok := h.(SessionExpirer)
	if !ok {
		t.Skip("the harness cannot expire sessions")
	}
	changes := watch(t, h.Node(1))
	join(t, h.Node(0), func() coordinator.NodeInfo { return info("a", 0) })
	changes.until(registered("a", 0))
	faults.ExpireSessions(0)
	changes.until(gone())
	changes.until(registered("a", 0))
}
