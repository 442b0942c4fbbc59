package storetest

import (
	"testing"

	"freshet/coordinator"
)

// The tests below are runs that the model of the refresh protocol found where a
// rule is missing, as far as the transactions decide them.
func traceTests() []Test {
	return []Test{
		{"Trace/OpeningThatArrivesLate", testLateOpening},
		{"Trace/SavingIsRebuiltOnWhatChanged", testRebuilt},
		{"Trace/SalvageArrivesAfterASecondTakeover", testSalvageAfterTakeover},
		{"Trace/CopyOfSalvageComesBack", testSalvageComesBack},
	}
}

// An opening stays on its way. While another intent is open it is refused; when
// that one was voided it is accepted, and taken over like any (C8, C14).
func testLateOpening(t *testing.T, h Harness) {
	w := newWorld(t, h)
	late := w.opening("late")
	late.Budgets = nil
	w.openAlone("a1")
	w.refused(coordinator.ErrConflict, func() error { return w.tryOpen(late) })
	w.must(w.store.Void(soon(t), *w.read().Intent))
	w.must(w.tryOpen(late))
	orphan := *w.read().Intent
	i := w.open("a2")
	w.refused(coordinator.ErrConflict, func() error { return w.store.Void(soon(t), orphan) })
	w.must(w.tryPublish(w.publication(i, w.leader.Epoch)))
	w.refused(coordinator.ErrConflict, func() error { return w.tryOpen(late) })
}

// A result is saved without leadership. What was computed from a state that has
// changed is refused, whatever the intent says; computed anew it is one version
// above what is there (C3, C4).
func testRebuilt(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i := w.open("a1")
	stale := w.publication(i, 0)
	w.leader.stop()
	w.leader = elect(t, h.Node(1), "node-1")
	state := w.read().States[0]
	state.Version += 4
	w.must(h.Node(1).Note(soon(t), coordinator.Note{Epoch: w.leader.Epoch, State: state}))
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(stale) })
	w.must(w.tryPublish(w.publication(i, 0)))
	if got := w.read().States[0].Version; got != state.Version+1 {
		t.Errorf("version %d after %d", got, state.Version)
	}
}

// The result of a1 is salvaged when the attempt that took it over has ended
// without one: the next attempt finds it, and it goes with what that publishes (C7).
func testSalvageAfterTakeover(t *testing.T, h Harness) {
	w := newWorld(t, h)
	first := w.open("a1")
	late := w.publication(first, 0)
	failed := w.publication(w.open("a2"), w.leader.Epoch)
	failed.Tokens = nil
	for n := range failed.States {
		failed.States[n].Version--
	}
	w.must(w.tryPublish(failed))
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(late) })
	w.must(w.store.Salvage(soon(t), salvaged("a1", group, first.Revision)))
	p := w.publication(w.open("a3"), w.leader.Epoch)
	if p.Salvage = w.read().Salvage; len(p.Salvage) != 1 || p.Salvage[0].IntentRevision != first.Revision {
		t.Fatalf("salvage found: %+v, want that of a1", p.Salvage)
	}
	w.must(w.tryPublish(p))
	if now := w.read(); len(now.Salvage) != 0 || now.States[0].Version != 1 {
		t.Errorf("%d salvaged results are left, version %d", len(now.Salvage), now.States[0].Version)
	}
}

// A second copy of a salvage arrives after the first was used: it says the same
// of itself, so that whoever finds it can tell that it is superseded (C10, C12).
func testSalvageComesBack(t *testing.T, h Harness) {
	w := newWorld(t, h)
	s := salvaged("a1", group, 7)
	w.must(w.store.Salvage(soon(t), s))
	w.must(w.store.DropSalvage(soon(t), w.leader.Epoch, s))
	w.must(h.Node(1).Salvage(soon(t), s))
	back := w.read().Salvage
	if len(back) != 1 || back[0].IntentRevision != 7 || back[0].Incarnation != 1 {
		t.Fatalf("what came back: %+v", back)
	}
	w.must(w.store.DropSalvage(soon(t), w.leader.Epoch, back[0]))
	if n := len(w.read().Salvage); n != 0 {
		t.Errorf("%d salvaged results are left", n)
	}
}
