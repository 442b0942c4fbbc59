package storetest

import (
	"context"
	"testing"

	"freshet/coordinator"
)

func readTests() []Test {
	return []Test{
		{"Read/SeesWhatThereIs", testReadSeesWhatThereIs},
		{"Read/TellsWhoLeads", testReadTellsWhoLeads},
	}
}

func testReadSeesWhatThereIs(t *testing.T, h Harness) {
	w := newWorld(t, h)
	empty := w.read()
	if empty.Intent != nil || len(empty.Salvage) > 0 || empty.Budgets[0].Revision != 0 || empty.Tokens[0].Revision != 0 {
		t.Errorf("before any attempt: got %+v, want no intent, salvage, budget or token", empty)
	}
	w.publish()
	i := w.open("a2")
	now := w.readAs(h.Node(1))
	if diff := diff(&i, now.Intent); diff != "" {
		t.Errorf("intent (-opened +read):\n%s", diff)
	}
	for n, token := range tokens() {
		if s := now.States[n]; s.Name != nameOf(token) || s.Version != 1 || s.Revision == 0 {
			t.Errorf("state %d: got %v, version %d, revision %d", n, s.Name, s.Version, s.Revision)
		}
		if v := now.Tokens[n]; v.Name != nameOf(token) || v.Value.Reveal() != "a1"+token || v.Revision != now.States[n].Revision {
			t.Errorf("token %d: got %v, revision %d; want that of its state, %d", n, v.Name, v.Revision, now.States[n].Revision)
		}
	}
	if b := now.Budgets[0]; b.Calls != 2 || b.Revision != i.Revision {
		t.Errorf("budget: got %+v, want 2 calls, charged with the intent at %d", b, i.Revision)
	}
	for n, name := range []string{app, parent} {
		if a := now.Lineage[n]; a.App != name || a.Incarnation != 1 || a.Revision == 0 {
			t.Errorf("ancestor %d: got %+v", n, a)
		}
	}
	if now.Revision < i.Revision {
		t.Errorf("Read is as of revision %d, older than what was committed before it, %d", now.Revision, i.Revision)
	}
}

func testReadTellsWhoLeads(t *testing.T, h Harness) {
	w := newWorld(t, h)
	if !w.readAs(h.Node(1)).Leads {
		t.Error("the leader's epoch does not lead")
	}
	w.leader.stop()
	if w.read().Leads {
		t.Error("the epoch of a leader that has resigned leads")
	}
	w.leader.Epoch = 0
	if w.read().Leads {
		t.Error("epoch 0 leads")
	}
}

func openTests() []Test {
	all := []Test{
		{"Open/WritesIntentAndBudget", testOpenWrites},
		{"Open/TakesOver", testOpenTakesOver},
		{"Open/OneOfManyWins", testOneOpenWins},
	}
	for name, disturb := range inOrder(map[string]func(w *world){
		"StateChanged":             func(w *world) { w.note(1) },
		"CredentialsChanged":       func(w *world) { w.newCredentials(app) },
		"ParentCredentialsChanged": func(w *world) { w.newCredentials(parent) },
		"BudgetChanged":            func(w *world) { w.must(w.store.Void(soon(w.T), w.open("other"))) },
		"IntentExists":             func(w *world) { w.openAlone("other") },
	}) {
		all = append(all, Test{"Open/RefusedWhen" + name, func(t *testing.T, h Harness) {
			w := newWorld(t, h)
			o := w.opening("a1")
			disturb(w)
			w.refused(coordinator.ErrConflict, func() error { return w.tryOpen(o) })
		}})
	}
	for name, disturb := range inOrder(map[string]func(w *world){
		"ForeignIntentTakenOver": func(w *world) { w.openAlone("a2") },
		"ForeignIntentEnded":     func(w *world) { w.must(w.store.Void(soon(w.T), *w.read().Intent)) },
		"StateChanged":           func(w *world) { w.note(0) },
	}) {
		all = append(all, Test{"Open/TakeoverRefusedWhen" + name, func(t *testing.T, h Harness) {
			w := newWorld(t, h)
			w.open("a1")
			o := w.opening("a3")
			disturb(w)
			w.refused(coordinator.ErrConflict, func() error { return w.tryOpen(o) })
		}})
	}
	return all
}

func (w *world) tryOpen(o coordinator.Opening) error {
	_, err := w.store.Open(soon(w.T), o)
	return err
}

// openAlone opens or takes over an attempt and charges no budget.
func (w *world) openAlone(attempt string) {
	w.Helper()
	o := w.opening(attempt)
	o.Budgets = nil
	w.must(w.tryOpen(o))
}

func testOpenWrites(t *testing.T, h Harness) {
	w := newWorld(t, h)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	o := w.opening("a1")
	i, err := w.store.Open(soon(t), o)
	w.must(err)
	b := changes.change()
	if b.Revision != i.Revision || len(b.Events) != 2 {
		t.Fatalf("got %d changes at revision %d, want intent and budget at the intent's %d", len(b.Events), b.Revision, i.Revision)
	}
	want := o.Intent
	want.Revision = i.Revision
	if diff := diff(want, i); diff != "" {
		t.Errorf("intent returned (-want +got):\n%s", diff)
	}
	got, _ := find(sorted(b), coordinator.Budget{App: app, Window: window})
	o.Budgets[0].Revision = i.Revision
	if diff := diff(o.Budgets[0], got); diff != "" {
		t.Errorf("budget (-want +got):\n%s", diff)
	}
}

func testOpenTakesOver(t *testing.T, h Harness) {
	w := newWorld(t, h)
	first := w.open("a1")
	o := w.opening("a2")
	o.Intent.Previous = "a1"
	second, err := w.store.Open(soon(t), o)
	w.must(err)
	if second.Revision <= first.Revision {
		t.Errorf("the takeover has revision %d, not after the first's %d", second.Revision, first.Revision)
	}
	if diff := diff(&second, w.read().Intent); diff != "" {
		t.Errorf("intent (-taken over +read):\n%s", diff)
	}
}

func testOneOpenWins(t *testing.T, h Harness) {
	w := newWorld(t, h)
	o := w.opening("")
	o.Budgets = nil
	results := make(chan error, 12)
	for n := range cap(results) {
		mine, store := o, h.Node(n%Nodes)
		mine.Intent.Attempt = string(rune('a' + n))
		start(t, func(ctx context.Context) {
			_, err := store.Open(ctx, mine)
			results <- err
		})
	}
	won := 0
	for range cap(results) {
		if w.decided(eventually(t, "an answer to Open", results)) {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %d openings of one group were accepted, want 1", won, cap(results))
	}
}
