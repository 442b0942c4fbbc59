package coordinator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is what a store holds, and changes at random.
type world struct {
	dice     *rand.Rand
	apps     map[string]App
	states   map[Name]State
	tokens   map[Name]Token
	revision int64
}

func (w *world) app() string { return fmt.Sprintf("app%d", w.dice.IntN(8)) }

func (w *world) name() Name {
	return Name{App: w.app(), Token: []string{DefaultToken, "ticket", "other"}[w.dice.IntN(3)]}
}

// change makes one change; what it names need not exist, nor fit together, since
// a node takes in what a store says.
func (w *world) change() []Event {
	switch w.dice.IntN(10) {
	case 0:
		app := w.app()
		delete(w.apps, app)
		events := []Event{{Record: App{Name: app}, Deleted: true}}
		for name, state := range w.states {
			if name.App != app {
				continue
			}
			delete(w.tokens, name)
			w.states[name] = tombstone(state, state.Incarnation)
			events = append(events, Event{Record: w.states[name]}, Event{Record: Token{Name: name}, Deleted: true})
		}
		return events
	case 1, 2, 3, 4:
		a := App{Name: w.app(), Provider: "grouped", Paused: w.dice.IntN(4) == 0, Tokens: map[string]TokenSettings{w.name().Token: {}}}
		if w.dice.IntN(2) == 0 {
			a.Parent = w.app()
		}
		if w.dice.IntN(2) == 0 {
			a.Options = map[string]string{"id": fmt.Sprintf("wx%d", w.dice.IntN(4))}
		}
		w.apps[a.Name] = a
		return []Event{{Record: a}}
	case 5:
		name := w.name()
		delete(w.tokens, name)
		return []Event{{Record: Token{Name: name}, Deleted: true}}
	default:
		name := w.name()
		expires := time.Now().Add(time.Hour)
		state := State{
			Name: name, Version: w.states[name].Version + 1, Incarnation: w.states[name].Incarnation + w.dice.Int64N(2),
			Status: StatusFresh, Due: expires, Expires: expires, Revision: w.revision,
		}
		w.states[name] = state
		if w.dice.IntN(4) == 0 {
			return []Event{{Record: state}} // and its value cannot be read
		}
		token := Token{Name: name, Version: state.Version, Value: NewSecret(fmt.Sprintf("value %d", w.dice.IntN(20))), Expires: expires}
		w.tokens[name] = token
		return []Event{{Record: token}, {Record: state}}
	}
}

// batch is what a node is told next: changes, or all there is, also of a store
// that has forgotten some of it.
func (w *world) batch() Batch {
	w.revision++
	b := Batch{Revision: w.revision}
	if w.dice.IntN(10) > 0 {
		for range 1 + w.dice.IntN(4) {
			b.Events = append(b.Events, w.change()...)
		}
		return b
	}
	b.Snapshot, b.Restored, b.LeftOut = true, w.dice.IntN(3) == 0, w.dice.IntN(5) == 0
	if b.Restored {
		maps.DeleteFunc(w.apps, func(string, App) bool { return w.dice.IntN(4) == 0 })
		maps.DeleteFunc(w.states, func(Name, State) bool { return w.dice.IntN(4) == 0 })
		maps.DeleteFunc(w.tokens, func(name Name, _ Token) bool { return w.states[name].Revision == 0 })
	}
	b.Events = append(b.Events, Event{Record: FingerprintKey{Key: NewSecret("a key of fingerprints")}})
	for _, a := range w.apps {
		b.Events = append(b.Events, Event{Record: a})
	}
	for _, s := range w.states {
		b.Events = append(b.Events, Event{Record: s})
	}
	for _, token := range w.tokens {
		b.Events = append(b.Events, Event{Record: token})
	}
	w.dice.Shuffle(len(b.Events), func(i, j int) { b.Events[i], b.Events[j] = b.Events[j], b.Events[i] })
	return b
}

// However apps, tokens and snapshots follow each other, what a node looks things up
// by says what a look at all records would.
func TestIndexesSayWhatALookAtAllWould(t *testing.T) {
	for seed := range uint64(100) {
		w := &world{dice: rand.New(rand.NewPCG(seed, 1)), apps: map[string]App{}, states: map[Name]State{}, tokens: map[Name]Token{}}
		n := follower(t)
		n.providers = map[string]Provider{"grouped": grouped{}}
		r := newPlan(n)
		n.apply(t.Context(), Batch{Revision: 0, Snapshot: true})
		for step := range 60 {
			n.apply(t.Context(), w.batch())
			if w.dice.IntN(3) > 0 {
				continue // several batches are looked at as one
			}
			n.identify()
			r.takeInbox()
			for what, wrong := range map[string]string{
				"families": wrongFamilies(&n.cache.records), "lives": wrongLives(&n.cache.records), "identities": wrongIdentities(n),
				"cells": wrongCells(&n.cache.cells), "values": wrongValues(n.cache), "plan": wrongPlan(r),
			} {
				if wrong != "" {
					t.Fatalf("seed %d, step %d: %s: %s", seed, step, what, wrong)
				}
			}
		}
	}
}

func newPlan(n *Node) *refresher {
	return &refresher{
		node: n, planned: map[groupID]task{}, ofApp: map[string][]groupID{}, live: map[groupID]string{}, resting: map[groupID]time.Time{},
		probes: map[groupID]time.Time{}, eased: map[groupID]time.Time{},
	}
}

func differs[T any](got, want T) string {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		return fmt.Sprintf("%s, want %s", g, w)
	}
	return ""
}

func wrongFamilies(r *records) string {
	want := map[string]map[string]struct{}{}
	for _, app := range r.apps {
		if app.Parent == "" {
			continue
		}
		if want[app.Parent] == nil {
			want[app.Parent] = map[string]struct{}{}
		}
		want[app.Parent][app.Name] = struct{}{}
	}
	return differs(r.families, want)
}

func wrongLives(r *records) string {
	want := map[string]int64{}
	for _, state := range r.states {
		want[state.Name.App] = max(want[state.Name.App], state.Incarnation)
	}
	return differs(r.lives, want)
}

func wrongIdentities(n *Node) string {
	want, holders := map[string]string{}, map[string][]string{}
	for app := range n.cache.records.apps {
		if identity := n.identityOf(app); identity != "" {
			want[app] = identity
			holders[identity] = append(holders[identity], app)
		}
	}
	got := map[string][]string{}
	n.cache.named.apps.Range(func(identity, apps any) bool {
		got[identity.(string)] = slices.Sorted(slices.Values(apps.([]string))) //nolint:forcetypeassert // apps holds nothing else
		return true
	})
	for _, apps := range holders {
		slices.Sort(apps)
	}
	if wrong := differs(n.cache.named.of, want); wrong != "" {
		return wrong
	}
	return differs(got, holders)
}

func wrongCells(c *cells) string {
	all := map[Name]*cell{}
	for name, cell := range c.all() {
		if all[name] != nil || c.find(name) != cell || c.get(name) != cell {
			return fmt.Sprintf("%s has several", name)
		}
		all[name] = cell
	}
	within := map[Name]*cell{}
	for i := range 8 {
		maps.Insert(within, c.within(Reach{apps: []string{fmt.Sprintf("app%d", i)}, bounded: true}))
	}
	return differs(within, all)
}

func wrongValues(c *cache) string {
	want, got := map[valueSum]map[Name]bool{}, map[valueSum]map[Name]bool{}
	note := func(of map[valueSum]map[Name]bool, sum valueSum, name Name) {
		if of[sum] == nil {
			of[sum] = map[Name]bool{}
		}
		of[sum][name] = true
	}
	for name, cell := range c.cells.all() {
		for _, sum := range cell.known {
			note(want, sum, name)
		}
		v := cell.view.Load()
		if v == nil && len(cell.known) > 0 {
			return fmt.Sprintf("%s is gone, and its values are known", name)
		}
		if v != nil && v.Token != nil && c.values.key.Load() != nil {
			note(want, c.values.key.Load().sum(v.Token.Value), name)
		}
	}
	c.values.known.Range(func(sum, of any) bool {
		for _, o := range of.(owners) { //nolint:forcetypeassert // known holds nothing else
			note(got, sum.(valueSum), o.name) //nolint:forcetypeassert // known holds nothing else
		}
		return true
	})
	return differs(got, want)
}

// wrongPlan looks at which groups are known of each app, not at when they are due.
func wrongPlan(r *refresher) string {
	planned, of := map[groupID]bool{}, map[groupID]bool{}
	for id := range r.planned {
		planned[id] = true
		if _, ok := r.node.cache.records.apps[id.app]; !ok {
			return fmt.Sprintf("%+v is planned of an app that is gone", id)
		}
	}
	for app, ids := range r.ofApp {
		if len(ids) == 0 {
			return "nothing is remembered of " + app
		}
		for _, id := range ids {
			of[id] = true
		}
	}
	return differs(of, planned)
}
