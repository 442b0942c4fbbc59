package storetest

import (
	"context"
	"slices"
	"testing"

	"freshet/coordinator"
)

func appTests() []Test {
	return []Test{
		{"PutApp/IsOneBatch", testPutAppIsOneBatch},
		{"PutApp/RefusedWhenAnyAppChanged", testPutAppSeen},
		{"PutApp/RefusedWhenAnyAppWasDeleted", testPutAppSeenDeletion},
		{"PutApp/RefusedWhenAStateChanged", testPutAppState},
		{"PutApp/OneOfManyWins", testOnePutAppWins},
		{"PutApp/DropsAndVoids", testPutAppDrops},
		{"PutApp/NewIncarnationEndsIntents", testPutAppIncarnation},
		{"PutApp/KeepsCredentialsThatDidNotChange", testPutAppKeepsCredentials},
		{"DeleteApp/LeavesTombstonesAndOtherApps", testDeleteApp},
		{"DeleteApp/RefusedWhenAnyAppChanged", testDeleteAppSeen},
		{"DeleteApp/RefusedWhenAStateChanged", testDeleteAppState},
	}
}

func testPutAppIsOneBatch(t *testing.T, h Harness) {
	w := newWorld(t, h)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	a, states := appNamed(app, 2), w.read().States
	a.Credentials["secret"] = coordinator.NewSecret("another")
	a.Labels = map[string]string{"team": "retail"}
	for n := range states {
		states[n].Incarnation = 2
	}
	w.putApp(a, states)
	b := changes.change()
	want := []coordinator.Record{
		a,
		coordinator.Credentials{App: app, Incarnation: 2, Fields: a.Credentials, Revision: b.Revision},
		states[0], states[1],
	}
	for n, r := range want {
		switch r := r.(type) {
		case coordinator.App:
			r.Credentials, r.Revision = nil, b.Revision
			want[n] = r
		case coordinator.State:
			r.Revision = b.Revision
			want[n] = r
		}
	}
	if diff := diffRecords(want, sorted(b)); diff != "" {
		t.Errorf("batch of an app (-want +got):\n%s", diff)
	}
	if got := w.read().Lineage[0]; got.Revision != b.Revision || got.Incarnation != 2 {
		t.Errorf("ancestor: got %+v, want incarnation 2 at revision %d", got, b.Revision)
	}
}

func testPutAppSeen(t *testing.T, h Harness) {
	w := newWorld(t, h)
	seen := w.read().Revision
	w.putApp(appNamed("unrelated", 1), nil)
	c := coordinator.AppChange{App: appNamed(app, 2), Seen: seen}
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutApp(soon(t), c) })
	c.App = appNamed("new", 1)
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutApp(soon(t), c) })
	c.Seen = w.read().Revision
	w.publish() // which is no change of an app
	w.must(w.store.PutApp(soon(t), c))
}

func testPutAppSeenDeletion(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.putApp(appNamed("unrelated", 1), nil)
	seen := w.read().Revision
	w.must(w.store.DeleteApp(soon(t), coordinator.AppChange{App: appNamed("unrelated", 1), Seen: seen}))
	c := coordinator.AppChange{App: appNamed(app, 2), Seen: seen}
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutApp(soon(t), c) })
}

func testPutAppState(t *testing.T, h Harness) {
	w := newWorld(t, h)
	now := w.read()
	w.note(1)
	c := coordinator.AppChange{App: appNamed(app, 2), States: now.States, Seen: w.read().Revision}
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutApp(soon(t), c) })
}

func testOnePutAppWins(t *testing.T, h Harness) {
	w := newWorld(t, h)
	seen := w.read().Revision
	results := make(chan error, 12)
	for n := range cap(results) {
		store := h.Node(n % Nodes)
		c := coordinator.AppChange{App: appNamed("new-"+string(rune('a'+n)), 1), Seen: seen}
		start(t, func(ctx context.Context) { results <- store.PutApp(ctx, c) })
	}
	won := 0
	for range cap(results) {
		if w.decided(eventually(t, "an answer to PutApp", results)) {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %d changes that had seen the same apps were accepted, want 1", won, cap(results))
	}
}

// busy gives the app a value, a grant, an intent, salvage, requests and inputs, and another app
// of a similar name the same.
func (w *world) busy() (intent coordinator.Intent, neighbour []coordinator.Record) {
	w.Helper()
	w.publish()
	i := w.open("a2")
	next := coordinator.Name{App: app + "2", Token: tokens()[0]}
	w.give(app)
	w.give(next.App)
	o := w.opening("b1")
	o.Intent.App, o.Foreign, o.States, o.Lineage, o.Budgets = next.App, nil, nil, nil, nil
	w.must(w.tryOpen(o))
	s := salvaged("b0", group, 1)
	s.App = next.App
	w.must(w.store.Salvage(soon(w.T), s))
	w.must(w.store.Salvage(soon(w.T), salvaged("a0", group, 1)))
	w.must(w.store.Ask(soon(w.T), coordinator.Request{Name: next, Reason: coordinator.ReasonRefresh}, coordinator.State{Name: next}))
	for _, state := range w.read().States {
		r := coordinator.Request{Name: state.Name, Above: 1, Reason: coordinator.ReasonRefresh}
		w.must(w.store.Ask(soon(w.T), r, state))
		w.must(w.store.PutInput(soon(w.T), coordinator.Input{Name: state.Name, ID: "p1", Expires: at(3600)}, state))
	}
	w.must(w.store.PutInput(soon(w.T), coordinator.Input{Name: next, ID: "p2", Expires: at(3600)}, coordinator.State{Name: next}))
	return i, slices.DeleteFunc(w.records(), func(r coordinator.Record) bool { return ownerOf(r) == app })
}

// ownerOf returns the app whose deletion takes the record with it, or changes it.
func ownerOf(r coordinator.Record) string {
	switch r := r.(type) {
	case coordinator.App:
		return r.Name
	case coordinator.Credentials:
		return r.App
	case coordinator.State:
		return r.Name.App
	case coordinator.Token:
		return r.Name.App
	case coordinator.Grant:
		return r.App
	case coordinator.Intent:
		return r.App
	case coordinator.Salvage:
		return r.App
	case coordinator.Request:
		return r.Name.App
	case coordinator.Input:
		return r.Name.App
	}
	return ""
}

// identities returns what is there of an app.
func (w *world) identities(of string) []string {
	w.Helper()
	var all []string
	for _, r := range w.records() {
		if ownerOf(r) == of {
			all = append(all, identify(r))
		}
	}
	return all
}

func testPutAppDrops(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i, neighbour := w.busy()
	p := w.publication(i, 0)
	w.must(w.store.PutApp(soon(t), coordinator.AppChange{
		App: appNamed(app, 1), Drop: []coordinator.Name{nameOf("jsapi_ticket")}, Void: []string{group, "none"},
		Seen: w.read().Revision,
	}))
	want := []string{
		"app shop", "credentials shop", "grant shop", "input shop/access_token", "request shop/access_token",
		"state shop/access_token", "state shop/jsapi_ticket", "token shop/access_token",
	}
	if diff := diff(want, w.identities(app)); diff != "" {
		t.Errorf("what is left of the app (-want +got):\n%s", diff)
	}
	w.unharmed(neighbour)
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(p) })
}

func testPutAppIncarnation(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i, neighbour := w.busy()
	p := w.publication(i, 0)
	w.putApp(appNamed(app, 2), nil) // the same credentials, but another life
	now := w.read()
	if now.Intent != nil || now.Lineage[0].Incarnation != 2 {
		t.Errorf("got intent %+v and incarnation %d, want none and 2", now.Intent, now.Lineage[0].Incarnation)
	}
	if len(now.Salvage) != 1 {
		t.Errorf("%d salvaged results, want 1: only their group's name voids them", len(now.Salvage))
	}
	w.unharmed(neighbour)
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(p) })
}

// An operator who changes a label must not make every attempt read all again,
// and whoever has not seen the credentials must not delete them.
func testPutAppKeepsCredentials(t *testing.T, h Harness) {
	w := newWorld(t, h)
	for _, credentials := range []map[string]coordinator.Secret{appNamed(app, 1).Credentials, nil} {
		before := w.read().Lineage[0]
		p := w.publication(w.open("a1"), w.leader.Epoch)
		a := appNamed(app, 1)
		a.Credentials, a.Paused = credentials, true
		w.putApp(a, nil)
		if diff := diff(before, w.read().Lineage[0]); diff != "" {
			t.Errorf("ancestor (-before +after):\n%s", diff)
		}
		w.must(w.tryPublish(p))
	}
	got, _ := find(w.records(), coordinator.Credentials{App: app})
	if diff := diff(appNamed(app, 1).Credentials, got.Fields); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
}

// unharmed checks that what does not belong to the app is what it was.
func (w *world) unharmed(neighbour []coordinator.Record) {
	w.Helper()
	after := slices.DeleteFunc(w.records(), func(r coordinator.Record) bool { return ownerOf(r) == app })
	if diff := diffRecords(neighbour, after); diff != "" {
		w.Errorf("other apps and budgets (-before +after):\n%s", diff)
	}
}

func testDeleteApp(t *testing.T, h Harness) {
	w := newWorld(t, h)
	i, neighbour := w.busy()
	p := w.publication(i, 0)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	gone := len(w.identities(app))
	w.deleteApp()
	if b := changes.change(); len(b.Events) != gone {
		t.Errorf("the deletion is a batch of %d events, want one for each of %d records", len(b.Events), gone)
	}
	if diff := diff([]string{"state shop/access_token", "state shop/jsapi_ticket"}, w.identities(app)); diff != "" {
		t.Errorf("what is left of the app (-want +got):\n%s", diff)
	}
	for _, s := range w.read().States {
		if !s.Deleted || s.Version != 1 {
			t.Errorf("tombstone: got deleted %v, version %d; want true, 1", s.Deleted, s.Version)
		}
	}
	if a := w.read().Lineage[0]; a.Revision != 0 {
		t.Errorf("ancestor: got %+v, want none", a)
	}
	w.unharmed(neighbour)
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(p) })
}

func testDeleteAppSeen(t *testing.T, h Harness) {
	w := newWorld(t, h)
	now := w.read()
	child := appNamed("child", 1)
	child.Parent = app
	w.putApp(child, nil)
	c := coordinator.AppChange{App: appNamed(app, 2), States: now.States, Seen: now.Revision}
	w.refused(coordinator.ErrConflict, func() error { return w.store.DeleteApp(soon(t), c) })
}

func testDeleteAppState(t *testing.T, h Harness) {
	w := newWorld(t, h)
	now := w.read()
	w.publish()
	c := coordinator.AppChange{App: appNamed(app, 2), States: now.States, Seen: w.read().Revision}
	w.refused(coordinator.ErrConflict, func() error { return w.store.DeleteApp(soon(t), c) })
}
