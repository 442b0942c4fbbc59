package storetest

import (
	"testing"

	"freshet/coordinator"
)

func inputTests() []Test {
	all := []Test{
		{"Input/TakesThePlaceOfTheOneThatWaits", testPutInput},
		{"Input/TakingIsOneBatch", testTakeInput},
		{"Input/MayBeDropped", testTakeInputDrops},
		{"Input/IsTakenOnce", testTakeInputOnce},
	}
	for name, disturb := range inOrder(map[string]func(w *world){
		"StateChanged": func(w *world) { w.note(0) },
		"AnotherCame":  func(w *world) { w.push("p0") },
		"AppDeleted":   func(w *world) { w.deleteApp() },
	}) {
		all = append(all, Test{"Input/RefusedWhen" + name, func(t *testing.T, h Harness) {
			w := newWorld(t, h)
			seen, i := w.read().States[0], w.input("p1")
			disturb(w)
			w.refused(coordinator.ErrConflict, func() error { return w.store.PutInput(soon(t), i, seen) })
		}})
	}
	for name, disturb := range inOrder(map[string]func(w *world){
		"StateChanged":    func(w *world) { w.note(0) },
		"AnotherCame":     func(w *world) { w.push("p2") },
		"AppDeleted":      func(w *world) { w.deleteApp() },
		"TokenWasDropped": func(w *world) { w.drop(nameOf(tokens()[0])) },
	}) {
		all = append(all, Test{"Input/TakingRefusedWhen" + name, func(t *testing.T, h Harness) {
			w := newWorld(t, h)
			intake := w.intake(w.push("p1"))
			disturb(w)
			w.refused(coordinator.ErrConflict, func() error { return w.tryTake(intake) })
		}})
	}
	return all
}

// input is what a node would write that has just read, and is pushed a value.
func (w *world) input(id string) coordinator.Input {
	w.Helper()
	i := coordinator.Input{
		Name: nameOf(tokens()[0]), ID: id, Incarnation: 1, Value: coordinator.NewSecret("value of " + id),
		Pushed: at(1), Expires: at(3600), Wanted: w.read().States[0].Version + 1, By: "somebody",
	}
	if there := w.waiting(); there != nil {
		i.Revision = there.Revision
	}
	return i
}

// push writes an input, and returns it as it is there.
func (w *world) push(id string) coordinator.Input {
	w.Helper()
	w.must(w.store.PutInput(soon(w.T), w.input(id), w.read().States[0]))
	return *w.waiting()
}

// waiting returns the input there is; nil for none.
func (w *world) waiting() *coordinator.Input {
	w.Helper()
	if i, found := find(w.records(), coordinator.Input{Name: nameOf(tokens()[0])}); found {
		return &i
	}
	return nil
}

// intake is how a refresher would publish an input, having just read.
func (w *world) intake(i coordinator.Input) coordinator.Intake {
	w.Helper()
	state := w.read().States[0]
	state.Version++
	state.Status, state.Issued, state.Expires = coordinator.StatusFresh, i.Pushed, i.Expires
	state = state.WithOutcome(coordinator.Outcome{Attempt: i.ID, Result: coordinator.ResultPublished, Version: state.Version, Began: i.Pushed})
	return coordinator.Intake{Epoch: w.leader.Epoch, Input: i, State: state, Token: &coordinator.Token{
		Name: i.Name, Value: i.Value, Version: state.Version, Issued: i.Pushed, Expires: i.Expires, Epoch: w.leader.Epoch,
	}}
}

func (w *world) tryTake(in coordinator.Intake) error {
	_, err := w.store.TakeInput(soon(w.T), in)
	return err
}

// drop takes a token away from the app and leaves all others.
func (w *world) drop(name coordinator.Name) {
	w.Helper()
	w.must(w.store.PutApp(soon(w.T), coordinator.AppChange{App: appNamed(app, 1), Drop: []coordinator.Name{name}, Seen: w.read().Revision}))
}

func testPutInput(t *testing.T, h Harness) {
	w := newWorld(t, h)
	for _, id := range []string{"p1", "p2"} {
		want := w.input(id)
		got := w.push(id)
		want.Revision = got.Revision
		if diff := diff(want, got); diff != "" {
			t.Errorf("the input that waits (-want +got):\n%s", diff)
		}
	}
}

func testTakeInput(t *testing.T, h Harness) {
	w := newWorld(t, h)
	in := w.intake(w.push("p1"))
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	revision, err := w.store.TakeInput(soon(t), in)
	w.must(err)
	b := changes.change()
	if b.Revision != revision {
		t.Errorf("TakeInput returned revision %d, the watch saw it at %d", revision, b.Revision)
	}
	got := map[string]coordinator.Event{}
	for _, e := range b.Events {
		got[identify(e.Record)] = e
	}
	in.State.Revision, in.Token.Revision = revision, revision
	want := map[string]coordinator.Event{
		identify(in.Input):  {Record: coordinator.Input{Name: in.Input.Name}, Deleted: true},
		identify(in.State):  {Record: in.State},
		identify(*in.Token): {Record: *in.Token},
	}
	if diff := diff(want, got); diff != "" {
		t.Errorf("batch of what was pushed (-want +got):\n%s", diff)
	}
}

func testTakeInputDrops(t *testing.T, h Harness) {
	w := newWorld(t, h)
	in := w.intake(w.push("p1"))
	in.Token = nil
	w.must(w.tryTake(in))
	if now := w.read(); now.Tokens[0].Revision != 0 || w.waiting() != nil {
		t.Errorf("after it was dropped: token %+v, input %+v; want none", now.Tokens[0], w.waiting())
	}
}

// Whoever is late finds that it was published, whether by itself or by another.
func testTakeInputOnce(t *testing.T, h Harness) {
	w := newWorld(t, h)
	in := w.intake(w.push("p1"))
	w.must(w.tryTake(in))
	before := w.records()
	if w.decided(w.tryTake(in)) {
		t.Log("taking it again is answered like the first time")
	}
	in.State.Revision = w.read().States[0].Revision
	if w.decided(w.tryTake(in)) {
		t.Log("so it is on the state that it made")
	}
	if diff := diffRecords(before, w.records()); diff != "" {
		t.Errorf("taking it again changed something (-before +after):\n%s", diff)
	}
}
