package coordinator_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/store/memory"
)

// changed lists what a node tells after a point, and returns the point reached.
func changed(m *member, after coordinator.Point) (names []string, reached coordinator.Point) {
	synctest.Wait()
	changes, reached := m.Changes(after, coordinator.Reach{})
	for c := range changes {
		what := " state"
		switch {
		case c.View == nil:
			what = " gone"
		case c.Value:
			what = " value"
		}
		names = append(names, c.Name.String()+what)
	}
	slices.Sort(names)
	return names, reached
}

// changes checks what a node tells after a point.
func (c *cluster) changes(m *member, after coordinator.Point, want ...string) coordinator.Point {
	c.Helper()
	got, reached := changed(m, after)
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		c.Errorf("after %d told %q, want %q", after.Number, got, want)
	}
	return reached
}

// A store that lists everything again brings nothing new by that.
func TestRelistingIsNoChange(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		m := c.nodes[1]
		for _, app := range []string{"crm", "shop"} {
			other := shop("plain")
			other.Name, other.Credentials = app, map[string]coordinator.Secret{"appid": coordinator.NewSecret(appid + app), "secret": coordinator.NewSecret(secret)}
			c.apply(c.nodes[0], other)
			c.value(m, coordinator.Name{App: app, Token: "access_token"}, 0)
		}
		at := c.changes(m, coordinator.Point{}, "crm/access_token value", "shop/access_token value")
		m.store.Partition()
		c.must(c.nodes[0].Remove(c.Context(), "api:test", "crm"))
		c.memory.Compact()
		m.store.Heal()
		time.Sleep(time.Minute)
		c.changes(m, at, "crm/access_token gone")
	})
}

// What the clock alone changes is found when somebody sets it, too.
func TestClockThatIsSetChangesWhatIsShown(t *testing.T) {
	clocked(t, func(c *cluster, w *wallClock) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		time.Sleep(time.Minute)
		for _, m := range c.nodes {
			m.store.Partition()
		}
		m := c.nodes[1]
		_, at := changed(m, coordinator.Point{})
		time.Sleep(time.Minute)
		c.changes(m, at)
		w.jump(24 * time.Hour)
		time.Sleep(time.Minute)
		c.changes(m, at, "shop/access_token state")
	})
}

// Who came while a clock was wrong was told of no value: when it is set right,
// that of a value that lives after all is news.
func TestClockThatIsSetRightBringsTheValueBack(t *testing.T) {
	clocked(t, func(c *cluster, w *wallClock) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		time.Sleep(time.Minute)
		for _, m := range c.nodes {
			m.store.Partition()
		}
		m := c.nodes[1]
		w.jump(24 * time.Hour)
		time.Sleep(time.Minute)
		_, at := changed(m, coordinator.Point{})
		w.jump(-24 * time.Hour)
		time.Sleep(time.Minute)
		c.changes(m, at, "shop/access_token value")
	})
}

// A reader that was let in by a snapshot on disk must be looked at when it is not any more.
func TestReadersAreLookedAtWhenTheClientsOfASnapshotAreForgotten(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		m := c.join("n1", s.with, away)
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		moved := m.Moved()
		if !admits(m) {
			c.Error("the client is not admitted")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		select {
		case <-moved:
		default:
			c.Errorf("nobody is told though the client is admitted: %t", admits(m))
		}
	})
}

// What only the cluster had whose snapshot was served is gone for readers, too.
func TestReadersAreToldWhatOnlyAnotherClusterHad(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		foreign := coordinator.Name{App: "foreign", Token: coordinator.DefaultToken}
		s.change(func(saved *coordinator.Saved) {
			saved.Records = append(saved.Records, coordinator.State{Name: foreign, Status: coordinator.StatusPending},
				coordinator.FingerprintKey{Key: coordinator.NewSecret("another")})
		})
		m := c.join("n1", s.with, away)
		time.Sleep(2 * time.Second)
		at := c.changes(m, coordinator.Point{}, "foreign/access_token value", "shop/access_token value")
		m.store.Heal()
		c.changes(m, at, "foreign/access_token gone", "shop/access_token value")
	})
}

// A value that is missing in another cluster's snapshot is not missing in this one.
func TestPositionsAreToldWhereAnotherClustersSnapshotLackedAValue(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		foreign := coordinator.Name{App: "foreign", Token: coordinator.DefaultToken}
		s.change(func(saved *coordinator.Saved) {
			saved.Records = append(saved.Records, coordinator.FingerprintKey{Key: coordinator.NewSecret("another")}, coordinator.State{
				Name: foreign, Status: coordinator.StatusFresh, Version: 3, Expires: time.Now().Add(1000 * time.Hour),
			})
		})
		m := c.join("n1", s.with, away)
		time.Sleep(2 * time.Second)
		m.store.Heal()
		time.Sleep(time.Minute)
		if _, reached := changed(m, coordinator.Point{}); reached.Position == (coordinator.Position{}) {
			c.Error("no position is told")
		}
	})
}

// unkeyed is a store whose watch leaves values out, as that of a node without
// the seal key does.
type unkeyed struct {
	*memory.Store

	lacks atomic.Bool
}

func (u *unkeyed) Watch(ctx context.Context) iter.Seq2[coordinator.Batch, error] {
	return func(yield func(coordinator.Batch, error) bool) {
		for batch, err := range u.Store.Watch(ctx) {
			if u.lacks.Load() {
				batch.Events = slices.DeleteFunc(slices.Clone(batch.Events), func(e coordinator.Event) bool {
					_, ok := e.Record.(coordinator.Token)
					return ok
				})
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// lacking runs f on a cluster with a node whose store leaves out what it is told
// to; position is the one that this node tells.
func lacking(t *testing.T, f func(c *cluster, store *unkeyed, position func() coordinator.Position)) {
	t.Helper()
	bubble(t, 1, func(c *cluster) {
		store := &unkeyed{}
		m := c.join("n2", func(config *coordinator.Config) {
			store.Store = config.Store.(*memory.Store)
			config.Store = store
		})
		c.apply(c.nodes[0], shop("plain"))
		c.value(m, accessToken, 0)
		time.Sleep(time.Minute)
		f(c, store, func() coordinator.Position {
			_, reached := changed(m, coordinator.Point{})
			return reached.Position
		})
	})
}

// A reader must not go on elsewhere behind a value that it was not given here.
func TestNoPositionIsToldWhereAValueIsMissing(t *testing.T) {
	lacking(t, func(c *cluster, store *unkeyed, position func() coordinator.Position) {
		if position() == (coordinator.Position{}) {
			c.Error("there is no position though nothing is missing")
		}
		store.lacks.Store(true)
		c.refreshed(c.nodes[0], accessToken)
		time.Sleep(time.Minute)
		if got := position(); got != (coordinator.Position{}) {
			c.Errorf("the position %s is told though a value is missing", got)
		}
		store.lacks.Store(false)
		c.refreshed(c.nodes[0], accessToken)
		time.Sleep(time.Minute)
		if position() == (coordinator.Position{}) {
			c.Error("there is no position though nothing is missing any more")
		}
	})
}

// A value that has ended, or whose token is gone, is one that nobody can be given:
// it is missing no longer.
func TestPositionsAreToldAgainOnceTheMissingValueIsNoMore(t *testing.T) {
	for what, end := range map[string]func(c *cluster) error{
		"the value has ended": func(c *cluster) error {
			err := c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true)
			time.Sleep(3 * time.Hour)
			return err
		},
		"the app is gone": func(c *cluster) error { return c.nodes[0].Remove(c.Context(), "api:test", "shop") },
	} {
		t.Run(what, func(t *testing.T) {
			lacking(t, func(c *cluster, store *unkeyed, position func() coordinator.Position) {
				store.lacks.Store(true)
				c.refreshed(c.nodes[0], accessToken)
				time.Sleep(time.Minute)
				if got := position(); got != (coordinator.Position{}) {
					c.Errorf("the position %s is told though a value is missing", got)
				}
				c.must(end(c))
				time.Sleep(time.Minute)
				if position() == (coordinator.Position{}) {
					c.Error("there is no position")
				}
			})
		})
	}
}

func TestNamesAskedForAreChecked(t *testing.T) {
	names, err := coordinator.ParseNames([]string{"shop", "web/ticket", "crm-*/*", "**/graph"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"shop/access_token": true, "shop/ticket": false, "web/ticket": true, "web/access_token": false,
		"crm-7/access_token": true, "crm/access_token": false, "any/graph": true,
	} {
		name, err := coordinator.ParseName(text)
		if err != nil || names.Has(name) != want {
			t.Errorf("%s is among them: %t, want %t", text, !want, want)
		}
	}
	for _, bad := range [][]string{{""}, {"a/b/c"}, {"["}, {"a b"}, slices.Repeat([]string{"a*"}, 65)} {
		if _, err := coordinator.ParseNames(bad); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%.3q: %v", bad, err)
		}
	}
}

func FuzzPosition(f *testing.F) {
	for _, seed := range []string{"", "0.0", "1.2", "cbf29ce484222325.42", "-1.1", "1.-1", "01.1", "1.1.1", "x.1", "1.99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := coordinator.ParsePosition(text)
		if ok != (p.String() == text) || p.Revision < 0 || !ok && p != (coordinator.Position{}) {
			if text != "0.0" {
				t.Errorf("%q is read as %+v, %t", text, p, ok)
			}
		}
	})
}
