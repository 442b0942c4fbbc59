package coordinator

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// reachOf is the reach of names.
func reachOf(t testing.TB, entries ...string) Reach {
	t.Helper()
	names, err := ParseNames(entries)
	if err != nil {
		t.Fatal(err)
	}
	return names.Reach()
}

func TestReachHoldsTheAppsThatNamesMayBeOf(t *testing.T) {
	many := func(n int) (globs []string) {
		for i := range n {
			globs = append(globs, fmt.Sprintf("app%d/*", i))
		}
		return globs
	}
	for _, c := range []struct {
		globs []string
		want  []string // nil: every app
	}{
		{[]string{}, []string{}},
		{[]string{"shop/*", "crm/access_token", "shop/ticket", "web/**"}, []string{"crm", "shop", "web"}},
		{[]string{"shop/*", "**"}, nil},
		{[]string{"shop/*", "*/access_token"}, nil},
		{[]string{"sh?p/*"}, nil},
		{[]string{"[s]hop/*"}, nil},
		{[]string{`s\hop/*`}, nil},
		{many(maxReach + 1), nil},
	} {
		got := Client{Can: map[Verb][]string{VerbRead: c.globs}}.Reach(VerbRead)
		if got.bounded != (c.want != nil) || !slices.Equal(got.apps, c.want) {
			t.Errorf("%.60q reach %v, want %v", c.globs, got, c.want)
		}
	}
	shop, both, every := reachOf(t, "shop"), reachOf(t, "shop/*", "crm"), reachOf(t, "**")
	for i, got := range []Reach{shop.Narrower(both), both.Narrower(shop), shop.Narrower(every), every.Narrower(shop)} {
		if !slices.Equal(got.apps, []string{"shop"}) {
			t.Errorf("%d: the narrower one is %v, want shop", i, got)
		}
	}
	if every.Narrower(every).bounded {
		t.Error("every app is bounded")
	}
}

// However far behind a reader is, and whatever its reach, it finds what is new there.
func TestChangesAreFoundWithinAReach(t *testing.T) {
	const tokens, all = 5000, 6000
	n := numbered(tokens, all) // the last changes are those of app0 to app999
	gone := Name{App: "app7", Token: DefaultToken}
	n.cache.cell(gone).view.Store(nil)
	n.number(gone, n.cache.cell(gone), true)
	n.number(Name{App: "app7", Token: "ticket"}, n.cache.cell(Name{App: "app7", Token: "ticket"}), true) // it was made and deleted
	reach := reachOf(t, "app5", "app7", "app3000", "nosuch")
	for after, want := range map[int64][]string{
		0:        {"app3000/access_token", "app5/access_token"},
		1:        {"app3000/access_token", "app5/access_token", "app7/access_token gone", "app7/ticket gone"},
		3500:     {"app5/access_token", "app7/access_token gone", "app7/ticket gone"},
		5500:     {"app7/access_token gone", "app7/ticket gone"},
		all:      {"app7/access_token gone", "app7/ticket gone"},
		all + 1:  {"app7/ticket gone"},
		all + 2:  nil,
		all - 10: {"app7/access_token gone", "app7/ticket gone"},
	} {
		changes, reached := n.Changes(Point{Number: after}, reach)
		var found []string
		for c := range changes {
			text := c.Name.String()
			if c.View == nil {
				text += " gone"
			}
			if slices.Contains([]string{"app3000", "app5", "app7"}, c.Name.App) {
				found = append(found, text)
			}
		}
		slices.Sort(found)
		if !slices.Equal(found, want) || reached.Number != all+2 {
			t.Errorf("after %d: %q up to %d, want %q up to %d", after, found, reached.Number, want, all+2)
		}
	}
}

// A reader of one app is not made to look at every token there is.
func TestChangesWithinAReachCostNoMoreThanIt(t *testing.T) {
	const tokens = 5000
	n := numbered(tokens, tokens)
	for _, after := range []int64{0, 1, tokens - 100} {
		changes, _ := n.Changes(Point{Number: after}, reachOf(t, "app7", "app9/*"))
		for c := range changes {
			if c.Name.App != "app7" && c.Name.App != "app9" {
				t.Fatalf("after %d: %s is looked at", after, c.Name)
			}
		}
	}
}

// Cells are made by whoever asks first, readers too, and each is made once.
func TestCellsAreMadeOnce(t *testing.T) {
	const tokens, askers, rounds = 20, 4, 200
	for range rounds {
		var cells cells
		var made [askers][tokens]*cell
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range askers {
			all.Go(func() {
				<-start
				for j := range tokens {
					made[i][j] = cells.get(tokenOf(j))
				}
			})
		}
		close(start)
		all.Wait()
		seen := map[Name]*cell{}
		for name, cell := range cells.all() {
			if seen[name] != nil {
				t.Fatalf("%s comes twice", name)
			}
			seen[name] = cell
		}
		for j := range tokens {
			for i := range askers {
				if name := tokenOf(j); made[i][j] != seen[name] || cells.find(name) != seen[name] || seen[name] == nil {
					t.Fatalf("%s has several cells, or none", name)
				}
			}
		}
		if len(seen) != tokens || cells.find(Name{App: "app0", Token: "none"}) != nil || cells.find(Name{App: "none", Token: "t0"}) != nil {
			t.Fatalf("%d cells, want %d", len(seen), tokens)
		}
	}
}

func tokenOf(i int) Name { return Name{App: fmt.Sprint("app", i%3), Token: fmt.Sprint("t", i)} }

// BenchmarkChanges is what one look costs a reader of one app on a node with many
// tokens, beside one that follows every app, whose look it was before. Their
// ratios, from one run, are what counts.
func BenchmarkChanges(b *testing.B) {
	const tokens = 100_000
	n := numbered(tokens, tokens)
	for name, after := range map[string]int64{"first": 0, "far behind": 1, "a little behind": tokens - 100} {
		for who, reach := range map[string]Reach{"every app": {}, "one app": reachOf(b, "app7/*")} {
			b.Run(name+"/"+who, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					changes, _ := n.Changes(Point{Number: after}, reach)
					for range changes {
					}
				}
			})
		}
	}
}
