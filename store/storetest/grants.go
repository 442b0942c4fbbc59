package storetest

import (
	"strconv"
	"testing"

	"freshet/coordinator"
)

func grantTests() []Test {
	all := []Test{
		{"Grant/IsReadWithItsApp", testGrantRead},
		{"Grant/IsPublishedWithItsTokens", testGrantIsOneBatch},
		{"Grant/WhoSpendsNoneComparesNone", testGrantNotSpent},
		{"Grant/IsPublishedOnlyInPlaceOfAnother", testGrantInvalid},
		{"Grant/GivenIsOneBatchWithItsApp", testGrantGiven},
		{"Grant/GivenToANewLifeReplacesWhatIsThere", testGrantOfANewLife},
		{"Grant/GivenWithinALifeReplacesWhatWasRead", testGrantWithinALife},
		{"Grant/StaysWhereNoneIsGiven", testGrantStays},
	}
	for _, fenced := range []bool{true, false} {
		name := ""
		if !fenced {
			name = "AndNotFenced"
		}
		all = append(all,
			Test{"Grant/PublishRefusedWhenItChanged" + name, func(t *testing.T, h Harness) { testGrantChanged(t, h, fenced) }},
			Test{"Grant/PublishRefusedAfterAHumanGaveOne" + name, func(t *testing.T, h Harness) { testGrantOfAHumanStays(t, h, fenced) }},
		)
	}
	return append(all, Test{"Grant/OpenRefusedWhenItChanged", testGrantChangedBeforeOpen})
}

// grantOf returns a grant as a human gives it.
func grantOf(name string, incarnation, generation int64) coordinator.Grant {
	return coordinator.Grant{
		App: name, Incarnation: incarnation, Generation: generation,
		Current: coordinator.NewSecret("refresh " + strconv.FormatInt(generation, 10)), Rotated: at(1),
	}
}

// give gives an app its next grant, and changes nothing else that an attempt compares.
func (w *world) give(name string) *coordinator.Grant {
	w.Helper()
	g := grantOf(name, 1, 1)
	if there, found := find(w.records(), coordinator.Grant{App: name}); found {
		g.Generation, g.Previous, g.Revision = there.Generation+1, there.Current, there.Revision
	}
	w.must(w.store.PutApp(soon(w.T), coordinator.AppChange{App: appNamed(name, 1), Grant: &g, Seen: w.read().Revision}))
	there, _ := find(w.records(), coordinator.Grant{App: name})
	return &there
}

// rotation is a publication with the refresh token that came with the tokens.
func (w *world) rotation(i coordinator.Intent, epoch coordinator.Epoch, spent *coordinator.Grant) coordinator.Publication {
	w.Helper()
	p := w.publication(i, epoch)
	next := *spent
	next.Generation, next.Base, next.IntentRevision = spent.Generation+1, spent.Generation, i.Revision
	next.Current, next.Previous = coordinator.NewSecret("refresh of "+i.Attempt), spent.Current
	p.Spent, p.Grant = spent, &next
	return p
}

func (w *world) epochIf(fenced bool) coordinator.Epoch {
	if fenced {
		return w.leader.Epoch
	}
	return 0
}

func testGrantRead(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.give(parent)
	if got := w.read().Grant; got != nil {
		t.Errorf("an app without a grant: got %+v, want none", *got)
	}
	given := w.give(app)
	if diff := diff(given, w.readAs(h.Node(1)).Grant); diff != "" {
		t.Errorf("grant (-watched +read):\n%s", diff)
	}
}

func testGrantIsOneBatch(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.give(app)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	for n, fenced := range []bool{true, false} {
		i := w.open("a" + strconv.Itoa(n))
		changes.change() // the intent
		p := w.rotation(i, w.epochIf(fenced), w.read().Grant)
		revision, err := w.store.Publish(soon(t), p)
		w.must(err)
		b := changes.change()
		p.Grant.Revision = revision
		if b.Revision != revision || len(b.Events) != 1+1+2*len(tokens()) {
			t.Errorf("got %d changes at revision %d, want intent, grant, tokens and states at %d", len(b.Events), b.Revision, revision)
		}
		got, _ := find(sorted(b), *p.Grant)
		if diff := diff(*p.Grant, got); diff != "" {
			t.Errorf("grant (-published +watched):\n%s", diff)
		}
		if now := w.read(); now.Grant.Revision != revision || now.Tokens[0].Revision != revision {
			t.Errorf("grant and token are of revisions %d and %d, want both of %d", now.Grant.Revision, now.Tokens[0].Revision, revision)
		}
	}
}

func testGrantChanged(t *testing.T, h Harness, fenced bool) {
	w := newWorld(t, h)
	none := &coordinator.Grant{App: app}
	i := w.open("a1")
	w.give(app)
	rotated, failed := w.rotation(i, w.epochIf(fenced), none), w.publication(i, w.epochIf(fenced))
	failed.Tokens, failed.Spent = nil, none
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(rotated) }) // there was none
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(failed) })
	rotated = w.rotation(i, w.epochIf(fenced), w.read().Grant)
	failed.Spent = w.read().Grant
	w.give(app)
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(rotated) })
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(failed) })
	w.must(w.tryPublish(w.rotation(i, w.epochIf(fenced), w.read().Grant)))
}

func testGrantChangedBeforeOpen(t *testing.T, h Harness) {
	w := newWorld(t, h)
	first := w.opening("a1")
	first.Grant = &coordinator.Grant{App: app}
	w.give(app)
	w.refused(coordinator.ErrConflict, func() error { return w.tryOpen(first) }) // there was none
	first.Grant = w.read().Grant
	w.give(app)
	w.refused(coordinator.ErrConflict, func() error { return w.tryOpen(first) })
	first.Grant = w.read().Grant
	w.must(w.tryOpen(first))
	takeover := w.opening("a2")
	takeover.Grant = w.read().Grant
	w.give(app)
	w.refused(coordinator.ErrConflict, func() error { return w.tryOpen(takeover) })
	takeover.Grant = w.read().Grant
	w.must(w.tryOpen(takeover))
}

func testGrantNotSpent(t *testing.T, h Harness) {
	w := newWorld(t, h)
	o := w.opening("a1")
	w.give(app)
	i, err := w.store.Open(soon(t), o)
	w.must(err)
	p := w.publication(i, w.leader.Epoch)
	given := w.give(app)
	w.must(w.tryPublish(p))
	if diff := diff(given, w.read().Grant); diff != "" {
		t.Errorf("grant (-before +after):\n%s", diff)
	}
}

func testGrantInvalid(t *testing.T, h Harness) {
	w := newWorld(t, h)
	given := w.give(app)
	i := w.open("a1")
	for _, epoch := range []coordinator.Epoch{0, w.leader.Epoch} {
		unspent, stateless, foreign := w.rotation(i, epoch, given), w.rotation(i, epoch, given), w.rotation(i, epoch, given)
		unspent.Spent, stateless.States, foreign.Grant.App = nil, nil, parent
		for _, p := range []coordinator.Publication{unspent, stateless, foreign} {
			w.refused(coordinator.ErrInvalid, func() error { return w.tryPublish(p) })
		}
	}
	g := grantOf(parent, 1, 1)
	c := coordinator.AppChange{App: appNamed(app, 1), Grant: &g, Seen: w.read().Revision}
	w.refused(coordinator.ErrInvalid, func() error { return w.store.PutApp(soon(t), c) })
}

func testGrantGiven(t *testing.T, h Harness) {
	w := newWorld(t, h)
	changes := watch(t, h.Node(1))
	changes.change() // the snapshot
	g := grantOf(app, 2, 1)
	w.must(w.store.PutApp(soon(t), coordinator.AppChange{App: appNamed(app, 2), Grant: &g, Seen: w.read().Revision}))
	b := changes.change()
	var got []string
	for _, r := range sorted(b) {
		got = append(got, identify(r))
	}
	if diff := diff([]string{"app shop", "credentials shop", "grant shop"}, got); diff != "" {
		t.Errorf("batch of an app with a grant (-want +got):\n%s", diff)
	}
	g.Revision = b.Revision
	if diff := diff(&g, w.read().Grant); diff != "" {
		t.Errorf("grant (-given +read):\n%s", diff)
	}
}

// What a human gives is newer than whatever an attempt of the former life has
// made of the old one, whether the human has seen that or not.
func testGrantOfANewLife(t *testing.T, h Harness) {
	w := newWorld(t, h)
	w.give(app)
	i := w.open("a1")
	w.must(w.tryPublish(w.rotation(i, w.leader.Epoch, w.read().Grant)))
	g := grantOf(app, 2, 7)
	w.must(w.store.PutApp(soon(t), coordinator.AppChange{App: appNamed(app, 2), Grant: &g, Seen: w.read().Revision}))
	if got := w.read().Grant; got.Generation != 7 || got.Incarnation != 2 {
		t.Errorf("got generation %d of incarnation %d, want 7 of 2", got.Generation, got.Incarnation)
	}
	seen := *w.read().Grant
	seen.Revision-- // one that says what it replaces is held to it
	c := coordinator.AppChange{App: appNamed(app, 3), Grant: &seen, Seen: w.read().Revision}
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutApp(soon(t), c) })
}

// Even one that has read the new grant, and compares it.
func testGrantOfAHumanStays(t *testing.T, h Harness, fenced bool) {
	w := newWorld(t, h)
	w.give(app)
	i := w.open("a1")
	before := w.rotation(i, w.epochIf(fenced), w.read().Grant)
	g := grantOf(app, 2, 2)
	w.must(w.store.PutApp(soon(t), coordinator.AppChange{App: appNamed(app, 2), Grant: &g, Seen: w.read().Revision}))
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(before) })
	after := w.rotation(i, w.epochIf(fenced), w.read().Grant)
	w.refused(coordinator.ErrConflict, func() error { return w.tryPublish(after) })
}

func testGrantWithinALife(t *testing.T, h Harness) {
	w := newWorld(t, h)
	given := *w.give(app)
	i := w.open("a1")
	w.must(w.tryPublish(w.rotation(i, w.leader.Epoch, w.read().Grant)))
	for _, revision := range []int64{0, given.Revision} {
		stale := given
		stale.Revision = revision
		c := coordinator.AppChange{App: appNamed(app, 1), Grant: &stale, Seen: w.read().Revision}
		w.refused(coordinator.ErrConflict, func() error { return w.store.PutApp(soon(t), c) })
	}
	if got := w.give(app); got.Generation != 3 {
		t.Errorf("got generation %d, want 3", got.Generation)
	}
}

func testGrantStays(t *testing.T, h Harness) {
	w := newWorld(t, h)
	given := w.give(app)
	for _, incarnation := range []int64{1, 2} {
		w.putApp(appNamed(app, incarnation), nil)
		if diff := diff(given, w.read().Grant); diff != "" {
			t.Errorf("grant after a change of incarnation %d (-before +after):\n%s", incarnation, diff)
		}
	}
}
