package storetest

import (
	"slices"
	"testing"

	"freshet/coordinator"
)

func salvageTests() []Test {
	return []Test{
		{"Salvage/IsWrittenOnce", testSalvageOnce},
		{"Salvage/NewestFirst", testSalvageOrder},
		{"Salvage/NeedsNoLeadership", testSalvageUnfenced},
		{"Salvage/IsDropped", testDropSalvage},
	}
}

func salvaged(attempt, of string, intentRevision int64) coordinator.Salvage {
	return coordinator.Salvage{
		App: app, Group: of, Attempt: attempt, Incarnation: 1, IntentRevision: intentRevision,
		Tokens: []coordinator.Token{{Name: nameOf(tokens()[0]), Value: coordinator.NewSecret("of " + attempt)}},
		Began:  at(1),
	}
}

func testSalvageOnce(t *testing.T, h Harness) {
	w := newWorld(t, h)
	first, second := salvaged("a1", group, 7), salvaged("a1", group, 8)
	w.must(w.store.Salvage(soon(t), first))
	before := w.records()
	w.must(w.store.Salvage(soon(t), second))
	w.must(h.Node(1).Salvage(soon(t), second))
	if diff := diffRecords(before, w.records()); diff != "" {
		t.Errorf("salvaging an attempt again changed something (-before +after):\n%s", diff)
	}
	first.Revision = w.read().Salvage[0].Revision
	if diff := diff([]coordinator.Salvage{first}, w.read().Salvage); diff != "" {
		t.Errorf("salvage (-want +got):\n%s", diff)
	}
}

func testSalvageOrder(t *testing.T, h Harness) {
	w := newWorld(t, h)
	for attempt, of := range map[string]struct{ incarnation, generation, intent int64 }{
		"b": {1, 0, 9}, "a": {1, 0, 30}, "c": {1, 0, 11}, "d": {1, 0, 100},
		"e": {1, 2, 8}, "f": {1, 2, 40}, "g": {1, 10, 7}, "h": {2, 1, 6},
	} {
		s := salvaged(attempt, group, of.intent)
		s.Incarnation, s.Generation = of.incarnation, of.generation
		w.must(w.store.Salvage(soon(t), s))
	}
	w.must(w.store.Salvage(soon(t), salvaged("x", group+"2", 50)))
	other := salvaged("y", group, 60)
	other.App += "2"
	w.must(w.store.Salvage(soon(t), other))
	var order []string
	for _, s := range w.read().Salvage {
		order = append(order, s.Attempt)
	}
	if want := []string{"h", "g", "f", "e", "d", "a", "c", "b"}; !slices.Equal(order, want) {
		t.Errorf("salvage of the group is listed as %q, want %q: by incarnation, generation and intent revision, newest first", order, want)
	}
}

func testSalvageUnfenced(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.leader.stop()
	w.must(w.store.Salvage(soon(t), salvaged("a1", group, 7)))
	if n := len(w.read().Salvage); n != 1 {
		t.Errorf("%d results were salvaged, want 1", n)
	}
}

func testDropSalvage(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.must(w.store.Salvage(soon(t), salvaged("a1", group, 7)))
	w.must(w.store.Salvage(soon(t), salvaged("a2", group, 8)))
	w.must(w.store.DropSalvage(soon(t), w.leader.Epoch, salvaged("a1", group, 7)))
	if s := w.read().Salvage; len(s) != 1 || s[0].Attempt != "a2" {
		t.Errorf("salvage: got %+v, want only a2", s)
	}
}
