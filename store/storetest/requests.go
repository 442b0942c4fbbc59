package storetest

import (
	"context"
	"testing"

	"freshet/coordinator"
)

func requestTests() []Test {
	return []Test{
		{"Ask/ManyAreOneRequest", testAskCoalesces},
		{"Ask/OnlyMoreReplaces", testAskReplaces},
		{"Ask/RefusedWhenTheStateChanged", testAskConflict},
		{"Note/WritesTheStateAndEndsTheRequest", testNote},
		{"Note/KeepsANewerRequest", testNoteKeepsNewerRequest},
		{"Note/RefusedWhenTheStateChanged", testNoteConflict},
	}
}

func request(above int64, reason coordinator.Reason) coordinator.Request {
	return coordinator.Request{Name: nameOf(tokens()[0]), Above: above, Reason: reason, At: at(1)}
}

// requested returns the request there is; nil for none.
func (w *world) requested() *coordinator.Request {
	w.Helper()
	if r, found := find(w.records(), coordinator.Request{Name: nameOf(tokens()[0])}); found {
		return &r
	}
	return nil
}

func testAskCoalesces(t *testing.T, h Harness) {
	w := newWorld(t, h)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	seen := w.read().States[0]
	answers := make(chan error, 100)
	for n := range cap(answers) {
		store := h.Node(n % Nodes)
		start(t, func(ctx context.Context) { answers <- store.Ask(ctx, request(0, coordinator.ReasonRefresh), seen) })
	}
	for range cap(answers) {
		w.must(eventually(t, "an answer to Ask", answers))
	}
	written := 0
	for _, b := range changes.until(marker(t, w.store, "after-asking")) {
		for _, e := range b.Events {
			if _, ok := e.Record.(coordinator.Request); ok {
				written++
			}
		}
	}
	if written != 1 {
		t.Errorf("%d asks for the same made %d changes, want 1", cap(answers), written)
	}
}

func testAskReplaces(t *testing.T, h Harness) {
	w := newWorld(t, h)
	seen := w.read().States[0]
	for _, step := range []struct {
		above    int64
		reason   coordinator.Reason
		replaces bool
	}{
		{1, coordinator.ReasonRefresh, true},
		{1, coordinator.ReasonRefresh, false},
		{0, coordinator.ReasonRefresh, false},
		{2, coordinator.ReasonRefresh, true},
		{2, coordinator.ReasonReport, true},
		{2, coordinator.ReasonRefresh, false},
		{2, coordinator.ReasonReport, false},
		{3, coordinator.ReasonForce, true},
		{2, coordinator.ReasonForce, false},
		{3, coordinator.ReasonRefresh, false},
	} {
		want, r := w.requested(), request(step.above, step.reason)
		w.must(w.store.Ask(soon(t), r, seen))
		if step.replaces {
			r.Revision = w.requested().Revision
			want = &r
		}
		if diff := diff(want, w.requested()); diff != "" {
			t.Errorf("after asking above %d for %s (-want +got):\n%s", step.above, step.reason, diff)
		}
	}
}

func testAskConflict(t *testing.T, h Harness) {
	w := newWorld(t, h)
	seen := w.read().States[0]
	w.note(0)
	ask := func() error { return w.store.Ask(soon(t), request(0, coordinator.ReasonRefresh), seen) }
	w.refused(coordinator.ErrConflict, ask)
	seen = w.read().States[0]
	w.must(ask())
	w.note(0)
	w.refused(coordinator.ErrConflict, ask) // although the request exists
}

func testNote(t *testing.T, h Harness) {
	w := newWorld(t, h)
	state := w.read().States[0]
	w.must(w.store.Ask(soon(t), request(0, coordinator.ReasonReport), state))
	state.Verdict = coordinator.Verdict{Version: 1, Answer: coordinator.AnswerAlive, At: at(1)}
	w.must(w.store.Note(soon(t), coordinator.Note{Epoch: w.leader.Epoch, State: state, Request: w.requested()}))
	if r := w.requested(); r != nil {
		t.Errorf("got request %+v, want it gone", r)
	}
	got := w.read().States[0]
	if got.Revision <= state.Revision {
		t.Errorf("the state's revision is %d, not after %d", got.Revision, state.Revision)
	}
	state.Revision = got.Revision
	if diff := diff(state, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func testNoteKeepsNewerRequest(t *testing.T, h Harness) {
	w := newWorld(t, h)
	state := w.read().States[0]
	w.must(w.store.Ask(soon(t), request(0, coordinator.ReasonRefresh), state))
	old := w.requested()
	w.must(w.store.Ask(soon(t), request(0, coordinator.ReasonForce), state))
	w.must(w.store.Note(soon(t), coordinator.Note{Epoch: w.leader.Epoch, State: state, Request: old}))
	if r := w.requested(); r == nil || r.Reason != coordinator.ReasonForce {
		t.Errorf("got request %+v, want the newer one kept", r)
	}
	if got := w.read().States[0].Revision; got == state.Revision {
		t.Error("the state was not written")
	}
}

func testNoteConflict(t *testing.T, h Harness) {
	w := newWorld(t, h)
	state := w.read().States[0]
	w.must(w.store.Ask(soon(t), request(0, coordinator.ReasonRefresh), state))
	w.note(0)
	n := coordinator.Note{Epoch: w.leader.Epoch, State: state, Request: w.requested()}
	w.refused(coordinator.ErrConflict, func() error { return w.store.Note(soon(t), n) })
}
