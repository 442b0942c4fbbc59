package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"freshet/coordinator"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// The fetch group all tests about attempts work on: two tokens of an app with a parent.
const (
	app    = "shop"
	parent = "mall"
	group  = "access_token"
	window = "2026-11-22/token"
)

func tokens() []string { return []string{"access_token", "jsapi_ticket"} }

func nameOf(token string) coordinator.Name { return coordinator.Name{App: app, Token: token} }

// soon returns a context for what must happen within patience.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// world is a cluster with two apps and a leader.
type world struct {
	*testing.T
	h      Harness
	store  coordinator.Store // node 0's
	leader *leader
}

// newWorld makes the apps and lets node 0 lead.
func newWorld(t *testing.T, h Harness) *world {
	t.Helper()
	w := &world{T: t, h: h, store: h.Node(0)}
	w.putApp(appNamed(parent, 1), nil)
	var states []coordinator.State
	for _, token := range tokens() {
		states = append(states, coordinator.State{
			Name: nameOf(token), Incarnation: 1, Status: coordinator.StatusPending, Due: at(0),
		})
	}
	w.putApp(appNamed(app, 1), states)
	w.leader = elect(t, h.Node(0), "node-0")
	return w
}

// at returns an instant that every encoding should keep.
func at(seconds int) time.Time {
	return time.Now().Truncate(time.Hour).Add(2*time.Hour + time.Duration(seconds)*time.Second).UTC()
}

func appNamed(name string, incarnation int64) coordinator.App {
	a := coordinator.App{
		Name: name, Provider: "wechat", Incarnation: incarnation,
		Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret("secret of " + name)},
		Tokens:      map[string]coordinator.TokenSettings{},
	}
	if name != parent {
		a.Parent = parent
	}
	for _, token := range tokens() {
		a.Tokens[token] = coordinator.TokenSettings{}
	}
	return a
}

// must stops the test at an error.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// putApp writes an app as somebody who has seen everything.
func (w *world) putApp(a coordinator.App, states []coordinator.State) {
	w.Helper()
	w.must(w.store.PutApp(soon(w.T), coordinator.AppChange{App: a, States: states, Seen: w.read().Revision}))
}

// read reads the fetch group.
func (w *world) read() coordinator.Situation { return w.readAs(w.store) }

func (w *world) readAs(store coordinator.Store) coordinator.Situation {
	w.Helper()
	q := coordinator.Query{
		App: app, Group: group, Tokens: tokens(), Lineage: []string{app, parent},
		Budgets: []string{window}, Account: app,
	}
	if w.leader != nil {
		q.Epoch = w.leader.Epoch
	}
	situation, err := store.Read(soon(w.T), q)
	w.must(err)
	if len(situation.States) != 2 || len(situation.Tokens) != 2 || len(situation.Budgets) != 1 || len(situation.Lineage) != 2 {
		w.Fatalf("Read returned %d states, %d tokens, %d budgets, %d ancestors; want 2, 2, 1, 2",
			len(situation.States), len(situation.Tokens), len(situation.Budgets), len(situation.Lineage))
	}
	return situation
}

// opening is what a leader would open an attempt with, having just read.
func (w *world) opening(attempt string) coordinator.Opening {
	w.Helper()
	now := w.read()
	return coordinator.Opening{
		Epoch: w.leader.Epoch,
		Intent: coordinator.Intent{
			App: app, Group: group, Attempt: attempt, Epoch: w.leader.Epoch, Node: "node-0", Incarnation: 1,
			Timeout: 10 * time.Second, Reason: coordinator.ReasonDue, Began: at(1),
		},
		Foreign: now.Intent,
		States:  now.States,
		Lineage: now.Lineage,
		Budgets: []coordinator.Budget{{
			App: app, Window: window, Calls: now.Budgets[0].Calls + 1, Ends: at(3600), Revision: now.Budgets[0].Revision,
		}},
	}
}

// open opens an attempt, or takes over the one that is open.
func (w *world) open(attempt string) coordinator.Intent {
	w.Helper()
	i, err := w.store.Open(soon(w.T), w.opening(attempt))
	w.must(err)
	return i
}

// publication is how the owner of an intent would publish, having just read.
func (w *world) publication(i coordinator.Intent, epoch coordinator.Epoch) coordinator.Publication {
	w.Helper()
	now := w.read()
	p := coordinator.Publication{Epoch: epoch, Intent: i, Lineage: now.Lineage}
	for n, state := range now.States {
		state.Version++
		state.Status = coordinator.StatusFresh
		state.Issued, state.Expires = at(2), at(7200)
		p.States = append(p.States, state.WithOutcome(coordinator.Outcome{
			Attempt: i.Attempt, Epoch: i.Epoch, Result: coordinator.ResultPublished, Version: state.Version, Began: at(1),
		}))
		p.Tokens = append(p.Tokens, coordinator.Token{
			Name: nameOf(tokens()[n]), Value: coordinator.NewSecret(i.Attempt + tokens()[n]), Version: state.Version,
			Issued: at(2), Expires: at(7200), Epoch: i.Epoch,
		})
	}
	return p
}

// publish opens and publishes attempt a1.
func (w *world) publish() {
	w.Helper()
	_, err := w.store.Publish(soon(w.T), w.publication(w.open("a1"), w.leader.Epoch))
	w.must(err)
}

// note changes the state of one token.
func (w *world) note(token int) {
	w.Helper()
	state := w.read().States[token]
	state.Failures++
	w.must(w.store.Note(soon(w.T), coordinator.Note{Epoch: w.leader.Epoch, State: state}))
}

// newCredentials changes the credentials of an app, and nothing else.
func (w *world) newCredentials(name string) {
	w.Helper()
	a := appNamed(name, 1)
	a.Credentials["secret"] = coordinator.NewSecret("newer secret of " + name)
	w.putApp(a, nil)
}

// refused checks that a write returned the error wanted and changed nothing.
func (w *world) refused(want error, write func() error) {
	w.Helper()
	before := w.records()
	if err := write(); !errors.Is(err, want) {
		w.Fatalf("got error %v, want %v", err, want)
	}
	if diff := diffRecords(before, w.records()); diff != "" {
		w.Errorf("a refused write changed something (-before +after):\n%s", diff)
	}
}
