package storetest

import (
	"errors"
	"testing"

	"freshet/coordinator"
)

// decided reports whether a write was accepted; a write that was not must have met a conflict.
func (w *world) decided(err error) bool {
	w.Helper()
	if err != nil && !errors.Is(err, coordinator.ErrConflict) {
		w.Errorf("got error %v, want none or %v", err, coordinator.ErrConflict)
	}
	return err == nil
}

func publishTests() []Test {
	all := []Test{
		{"Publish/IsOneBatch", testPublishIsOneBatch},
		{"Publish/DeletesSalvageAndRequests", testPublishDeletes},
		{"Publish/WithoutLeadership", testPublishWithoutLeadership},
		{"Publish/AFailureKeepsTheValue", testPublishFailure},
		{"Fence/RefusesEveryWriteOfAnEndedLeadership", testFence},
		{"Fence/NoEpochIsNoLicence", testNoEpoch},
		{"Void/DeletesTheIntentWithoutLeadership", testVoid},
		{"Void/RefusedAfterTakeover", testVoidRefused},
	}
	for name, disturb := range inOrder(map[string]func(w *world){
		"IntentTakenOver":    func(w *world) { w.open("a2") },
		"IntentEnded":        func(w *world) { w.must(w.store.Void(soon(w.T), *w.read().Intent)) },
		"StateChanged":       func(w *world) { w.note(1) },
		"CredentialsChanged": func(w *world) { w.newCredentials(app) },
		"ParentChanged":      func(w *world) { w.newCredentials(parent) },
		"AppDeleted":         func(w *world) { w.deleteApp() },
	}) {
		for _, fenced := range []bool{true, false} {
			if !fenced {
				name += "AndNotFenced"
			}
			all = append(all, Test{"Publish/RefusedWhen" + name, func(t *testing.T, h Harness) {
				w := newWorld(t, h)
				p := w.publication(w.open("a1"), 0)
				if fenced {
					p.Epoch = w.leader.Epoch
				}
				disturb(w)
				w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(p) })
			}})
		}
	}
	return append(all, Test{"Publish/RefusedWithoutAnIntent", testPublishWithoutIntent})
}

func (w *world) tryPublish(p coordinator.Publication) error {
	_, err := w.store.Publish(soon(w.T), p)
	return err
}

// deleteApp deletes the app as somebody who has seen everything.
func (w *world) deleteApp() {
	w.Helper()
	now := w.read()
	for n := range now.States {
		now.States[n].Deleted = true
		now.States[n].Incarnation++
	}
	w.must(w.store.DeleteApp(soon(w.T), coordinator.AppChange{
		App: appNamed(app, 2), States: now.States, Seen: now.Revision,
	}))
}

func testPublishIsOneBatch(t *testing.T, h Harness) {
	w := newWorld(t, h)
	p := w.publication(w.open("a1"), w.leader.Epoch)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	revision, err := w.store.Publish(soon(t), p)
	w.must(err)
	b := changes.change()
	if b.Revision != revision {
		t.Errorf("Publish returned revision %d, the watch saw it at %d", revision, b.Revision)
	}
	got := map[string]coordinator.Event{}
	for _, e := range b.Events {
		got[identify(e.Record)] = e
	}
	want := map[string]coordinator.Event{
		identify(p.Intent): {Record: coordinator.Intent{App: app, Group: group}, Deleted: true},
	}
	for n := range p.States {
		p.States[n].Revision, p.Tokens[n].Revision = revision, revision
		want[identify(p.States[n])] = coordinator.Event{Record: p.States[n]}
		want[identify(p.Tokens[n])] = coordinator.Event{Record: p.Tokens[n]}
	}
	if diff := diff(want, got); diff != "" {
		t.Errorf("batch of a publication (-want +got):\n%s", diff)
	}
}

func testPublishDeletes(t *testing.T, h Harness) {
	w := newWorld(t, h)
	salvage := coordinator.Salvage{App: app, Group: group, Attempt: "a0", IntentRevision: 1}
	kept := coordinator.Salvage{App: app, Group: group, Attempt: "a9", IntentRevision: 2}
	w.must(w.store.Salvage(soon(t), salvage))
	w.must(w.store.Salvage(soon(t), kept))
	for n, state := range w.read().States {
		r := coordinator.Request{Name: nameOf(tokens()[n]), Above: 0, Reason: coordinator.ReasonRefresh}
		w.must(w.store.Ask(soon(t), r, state))
	}
	p := w.publication(w.open("a1"), w.leader.Epoch)
	p.Salvage, p.Answered = []coordinator.Salvage{salvage}, []coordinator.Name{nameOf(tokens()[0])}
	w.must(w.tryPublish(p))
	if s := w.read().Salvage; len(s) != 1 || s[0].Attempt != "a9" {
		t.Errorf("salvage: got %+v, want only a9", s)
	}
	after := w.records()
	if _, found := find(after, coordinator.Request{Name: nameOf(tokens()[0])}); found {
		t.Error("an answered request was kept")
	}
	if _, found := find(after, coordinator.Request{Name: nameOf(tokens()[1])}); !found {
		t.Error("a request that was not answered went")
	}
}

func testPublishWithoutLeadership(t *testing.T, h Harness) {
	w := newWorld(t, h)
	p := w.publication(w.open("a1"), 0)
	w.leader.stop()
	elect(t, h.Node(1), "node-1")
	w.must(w.tryPublish(p))
	if now := w.read(); now.Intent != nil || now.States[0].Version != 1 {
		t.Errorf("got intent %v and version %d, want none and 1", now.Intent, now.States[0].Version)
	}
	before := w.records()
	if w.decided(w.tryPublish(p)) {
		t.Log("publishing again is answered like the first time")
	}
	if diff := diffRecords(before, w.records()); diff != "" {
		t.Errorf("publishing again changed something (-before +after):\n%s", diff)
	}
}

func testPublishFailure(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.publish()
	p := w.publication(w.open("a2"), w.leader.Epoch)
	p.Tokens = nil
	w.must(w.tryPublish(p))
	now := w.read()
	if now.Intent != nil || !now.States[0].Ended("a2") {
		t.Error("a failure did not end its attempt")
	}
	if got := now.Tokens[0].Value.Reveal(); got != "a1access_token" {
		t.Errorf("after a failed attempt the value is %q, want that of a1", got)
	}
}

func testPublishWithoutIntent(t *testing.T, h Harness) {
	w := newWorld(t, h)
	never := coordinator.Intent{App: app, Group: group, Attempt: "a1"}
	for _, epoch := range []coordinator.Epoch{0, w.leader.Epoch} {
		p := w.publication(never, epoch)
		w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(p) })
	}
}

// fenced are all writes that need leadership, each good but for its epoch.
func (w *world) fenced(i coordinator.Intent, epoch coordinator.Epoch) map[string]func() error {
	takeover, now := w.opening("a2"), w.read()
	takeover.Epoch = epoch
	salvage := coordinator.Salvage{App: app, Group: group, Attempt: "a0"}
	w.must(w.store.Salvage(soon(w.T), salvage))
	intake := w.intake(w.push("late"))
	intake.Epoch = epoch
	return map[string]func() error{
		"Open":        func() error { return w.tryOpen(takeover) },
		"Publish":     func() error { return w.tryPublish(w.publication(i, epoch)) },
		"TakeInput":   func() error { return w.tryTake(intake) },
		"DropSalvage": func() error { return w.store.DropSalvage(soon(w.T), epoch, salvage) },
		"Note": func() error {
			return w.store.Note(soon(w.T), coordinator.Note{Epoch: epoch, State: now.States[0]})
		},
		"Beat": func() error { return w.store.Beat(soon(w.T), coordinator.Heartbeat{Epoch: epoch, Node: "late"}) },
		"PutAppliedFile": func() error {
			return w.store.PutAppliedFile(soon(w.T), epoch, coordinator.AppliedFile{File: "apps.yaml", Hash: "late"}, nil)
		},
	}
}

func testFence(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i := w.open("a1")
	writes := w.fenced(i, w.leader.Epoch)
	w.leader.stop()
	elect(t, h.Node(1), "node-1")
	for name, write := range writes {
		t.Log(name)
		w.refused(coordinator.ErrFenced, write)
	}
	for _, r := range snapshot(t, w.store) {
		if b, ok := r.(coordinator.Heartbeat); ok && b.Node == "late" {
			t.Error("a beat of an ended leadership was written")
		}
	}
}

func testNoEpoch(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i := w.open("a1")
	for _, epoch := range []coordinator.Epoch{0, w.leader.Epoch - 1, w.leader.Epoch + 1} {
		writes := w.fenced(i, epoch)
		if epoch == 0 {
			delete(writes, "Publish") // which means that leadership was lost
		}
		for name, write := range writes {
			t.Log(name, epoch)
			w.refused(coordinator.ErrFenced, write)
		}
	}
}

func testVoid(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i := w.open("a1")
	w.leader.stop()
	w.must(w.store.Void(soon(t), i))
	if got := w.read().Intent; got != nil {
		t.Errorf("after Void: got intent %+v, want none", got)
	}
}

func testVoidRefused(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i := w.open("a1")
	w.open("a2")
	w.refused(coordinator.ErrConflict, func() error { return w.store.Void(soon(t), i) })
}
