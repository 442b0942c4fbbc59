package coordinator

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Two apps can become the same at the platform by a change of their parents. Neither
// hides the other then, also after one of them is gone.
func TestATwinIsFoundAfterAnotherOneIsGone(t *testing.T) {
	n := follower(t)
	n.providers = map[string]Provider{"named": named{}}
	app := func(name, id string) Event { return namedApp(name, id, "") }
	twin := func(of, want string) {
		t.Helper()
		n.identify()
		if got, ok := n.cache.named.twin("wx1", of); got != want || ok != (want != "") {
			t.Errorf("the twin of %s is %q, want %q", of, got, want)
		}
	}
	n.apply(t.Context(), Batch{Revision: 1, Snapshot: true, Events: []Event{app("a", "wx1")}})
	twin("a", "")
	n.apply(t.Context(), Batch{Revision: 2, Events: []Event{app("b", "wx1")}})
	twin("a", "b")
	twin("b", "a")
	n.apply(t.Context(), Batch{Revision: 3, Events: []Event{{Record: App{Name: "b"}, Deleted: true}}})
	twin("c", "a")
	if got, _ := n.Identified("wx1"); got != "a" {
		t.Errorf("found is %q, want a", got)
	}
	n.apply(t.Context(), Batch{Revision: 4, Events: []Event{app("a", "wx2")}})
	twin("c", "")
}

// A child that was given another parent inherits from that one alone.
func TestAFamilyFollowsItsParents(t *testing.T) {
	n := follower(t)
	n.providers = map[string]Provider{"named": named{}}
	app := namedApp
	is := func(identity, want string) {
		t.Helper()
		if got, _ := n.Identified(identity); got != want {
			t.Errorf("%q is app %q, want %q", identity, got, want)
		}
	}
	n.apply(t.Context(), Batch{Revision: 1, Snapshot: true, Events: []Event{app("x", "wx1", ""), app("y", "", ""), app("child", "", "x"), app("grandchild", "", "child")}})
	n.apply(t.Context(), Batch{Revision: 2, Events: []Event{app("child", "", "y")}})
	is("wx1", "x")
	n.apply(t.Context(), Batch{Revision: 3, Events: []Event{app("y", "wx2", ""), app("child", "wx3", "y")}})
	is("wx2", "y")
	n.apply(t.Context(), Batch{Revision: 4, Events: []Event{app("child", "wx4", "y")}})
	n.identify()
	if got := n.cache.named.of["grandchild"]; got != "wx4" {
		t.Errorf("the grandchild is %q, want what it inherits", got)
	}
	n.apply(t.Context(), Batch{Revision: 5, Events: []Event{{Record: App{Name: "grandchild"}, Deleted: true}, app("child", "", "")}})
	if families := n.cache.records.families; len(families) > 0 {
		t.Errorf("families %v are left of apps without parents", families)
	}
}

func BenchmarkApplyAmong(b *testing.B) {
	for _, many := range []int{100, 50_000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			n := follower(b)
			n.providers = map[string]Provider{"named": named{}}
			events := []Event{{Record: App{Name: "root", Provider: "named", Tokens: map[string]TokenSettings{DefaultToken: {}}}}}
			for i := range many {
				name := fmt.Sprintf("app-%d", i)
				events = append(events,
					Event{Record: App{Name: name, Parent: "root", Options: map[string]string{"id": name}}},
					Event{Record: State{Name: Name{App: name, Token: DefaultToken}, Incarnation: 1}})
			}
			n.apply(b.Context(), Batch{Revision: 1, Snapshot: true, Events: events})
			n.identify()
			revision := int64(1)
			for b.Loop() {
				revision++
				n.apply(b.Context(), Batch{Revision: revision, Events: []Event{{Record: App{Name: "one", Parent: "root"}}}})
				n.identify()
				n.cache.reading(func(r *records) { _ = r.nextIncarnation("one", 1) })
			}
		})
	}
}

// grouped is a provider that fetches each token by itself.
type grouped struct{ named }

func (grouped) Check(App) error     { return nil }
func (grouped) Upstream(App) string { return "upstream" }

func (grouped) Groups(app App) []Group {
	var groups []Group
	for _, name := range app.TokenNames() {
		groups = append(groups, Group{Name: name.Token, Tokens: []string{name.Token}})
	}
	return groups
}

func (grouped) Fetch(context.Context, Call) (Yield, error) { return Yield{}, errNotCalled }

// What was planned for an app is forgotten once nothing is to be done, and what is
// planned for others stays.
func TestAPlanForgetsWhatIsNotToBeDoneAnyMore(t *testing.T) {
	n := follower(t)
	n.providers = map[string]Provider{"grouped": grouped{}}
	app := func(name string, paused bool, tokens ...string) []Event {
		a := App{Name: name, Provider: "grouped", Paused: paused, Tokens: map[string]TokenSettings{}}
		for _, token := range tokens {
			a.Tokens[token] = TokenSettings{}
		}
		return []Event{{Record: a}}
	}
	r := newPlan(n)
	planned := func(want int) {
		t.Helper()
		r.takeInbox()
		queued := 0
		for {
			if _, ok := r.queue.Pop(n.now().Add(time.Hour)); !ok {
				break
			}
			queued++
		}
		for id, t := range r.planned {
			r.queue.Set(id, t.at)
		}
		if len(r.planned) != want || queued != want {
			t.Errorf("%d are planned and %d queued, want %d", len(r.planned), queued, want)
		}
	}
	n.apply(t.Context(), Batch{Revision: 1, Snapshot: true, Events: append(app("a", false, "x", "y"), app("b", false, "x")...)})
	planned(3)
	n.apply(t.Context(), Batch{Revision: 2, Events: app("a", false, "x")})
	planned(2)
	n.apply(t.Context(), Batch{Revision: 3, Events: app("a", true, "x")})
	planned(1)
	n.apply(t.Context(), Batch{Revision: 4, Events: app("a", false, "x", "y")})
	planned(3)
	n.apply(t.Context(), Batch{Revision: 5, Events: []Event{{Record: App{Name: "b"}, Deleted: true}}})
	planned(2)
	if len(r.ofApp) != 1 {
		t.Errorf("%v is remembered", r.ofApp)
	}
}
