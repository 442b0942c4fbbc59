package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store/memory"
)

// shelf is a snapshot in memory.
type shelf struct {
	mu    sync.Mutex
	saved coordinator.Saved
	saves int
	err   error
}

func (s *shelf) Load() (coordinator.Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved, s.err
}

func (s *shelf) Save(saved coordinator.Saved) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = saved
	s.saves++
	return s.err
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saves
}

// change changes what is on the shelf.
func (s *shelf) change(f func(*coordinator.Saved)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.saved)
}

// with gives a node a snapshot.
func (s *shelf) with(c *coordinator.Config) { c.Snapshot = s }

// away is a node that begins in a partition.
func away(c *coordinator.Config) {
	c.Store.(*memory.Store).Partition()
}

const orders = "orders-client-key"

// shelved runs a test with a cluster of one node, whose app has version 1 and
// whose snapshot is on the shelf.
func shelved(t *testing.T, test func(c *cluster, s *shelf)) {
	t.Helper()
	bubble(t, 0, func(c *cluster) {
		s := &shelf{}
		first := c.join("n1", s.with)
		synctest.Wait()
		c.apply(first, shop("plain"))
		c.value(first, accessToken, 0)
		c.must(first.AddClient(c.Context(), coordinator.Client{
			Name: "orders", Digest: coordinator.DigestOf(coordinator.NewSecret(orders)),
			Can: map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*"}},
		}))
		first.stop()
		<-first.done
		test(c, s)
	})
}

func admits(m *member) bool {
	_, ok := m.Authenticate(coordinator.NewSecret(orders))
	return ok
}

func TestNodeServesFromItsSnapshotWhileTheStoreIsAway(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		time.Sleep(time.Minute)
		m := c.join("n1", s.with, away)
		synctest.Wait()
		if m.Health().Ready() {
			c.Error("it is ready before the store had a chance to answer")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		v, err := m.Read(c.Context(), accessToken, coordinator.Want{})
		if err != nil || v.Version() != 1 || !c.sandbox.Alive(v.Token.Value.Reveal()) || v.Fingerprint == "" || !admits(m) {
			c.Fatalf("%+v, %v, admitted %t", v, err, admits(m))
		}
		h := m.Health()
		if !h.Ready() || !h.FromSnapshot || !h.Stale || h.Age != 61*time.Second {
			c.Errorf("health %+v", h)
		}

		m.store.Heal()
		synctest.Wait()
		if h := m.Health(); !h.Ready() || h.FromSnapshot || h.Stale || h.Age != 0 {
			c.Errorf("health %+v after the store is back", h)
		}
		c.value(m, accessToken, 0)
	})
}

// In an ordinary restart nothing old is shown.
func TestSnapshotWaitsForTheStore(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		s.change(func(saved *coordinator.Saved) {
			for i, record := range saved.Records {
				if token, ok := record.(coordinator.Token); ok {
					token.Version = 9
					saved.Records[i] = token
				}
			}
		})
		m := c.join("n1", s.with)
		synctest.Wait()
		time.Sleep(time.Minute)
		if v := c.value(m, accessToken, 0); m.Health().FromSnapshot || v.Version() != 1 {
			c.Errorf("version %d, health %+v", v.Version(), m.Health())
		}
	})
}

// What a node knows from its disk decides nothing: requests, apps and the
// leader's plan are the cluster's.
func TestNothingIsDecidedOnASnapshot(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		m := c.join("n1", s.with, away)
		time.Sleep(2 * time.Second)
		if !m.Health().Stale {
			c.Error("it says that it is fresh, since its former process was until now")
		}
		ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
		defer cancel()
		if _, err := m.Apply(ctx, shop("plain"), coordinator.Applying{}); !errors.Is(err, coordinator.ErrNotSynced) {
			c.Errorf("applying what is there already: %v", err)
		}
		if _, err := m.Refresh(ctx, accessToken, coordinator.RefreshCall{}); !errors.Is(err, context.DeadlineExceeded) {
			c.Errorf("asking for a refresh: %v", err)
		}
		if _, err := m.Report(ctx, accessToken, coordinator.ReportCall{Version: 1}); !errors.Is(err, context.DeadlineExceeded) {
			c.Errorf("reporting: %v", err)
		}
		if _, err := m.Read(ctx, jsapiTicket, coordinator.Want{}); !errors.Is(err, coordinator.ErrNotSynced) {
			c.Errorf("reading what may have been made since: %v", err)
		}
		if got := m.Status(); got.Revision != 0 || got.Refresher != "" || got.Nodes != 0 {
			c.Errorf("status %+v", got)
		}
		if calls := c.calls(sandbox.KindToken); calls != 1 {
			c.Errorf("%d calls", calls)
		}
	})
}

func TestExpiredValuesOfASnapshotAreNotServed(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		// The refresher's clock ran ahead: expiries are its own.
		s.change(func(saved *coordinator.Saved) { saved.Ahead = time.Minute })
		m := c.join("n1", s.with, away)
		time.Sleep(2 * time.Second)
		expires := c.value(m, accessToken, 0).Token.Expires
		time.Sleep(time.Until(expires) - time.Minute - time.Second)
		c.value(m, accessToken, 0)
		time.Sleep(2 * time.Second)
		if _, err := m.Read(c.Context(), accessToken, coordinator.Want{}); !errors.Is(err, coordinator.ErrNoValidToken) {
			c.Errorf("a minute before its expiry: %v", err)
		}
		if !m.Health().Ready() {
			c.Error("it is not ready")
		}
	})
}

// A clock that was set back while the node was down would make what has expired
// look alive.
func TestClockThatWasSetBackIsNoticed(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		s.change(func(saved *coordinator.Saved) { saved.Heard = time.Now().Add(3 * time.Hour) })
		m := c.join("n1", s.with, away)
		time.Sleep(2 * time.Second)
		if _, err := m.Read(c.Context(), accessToken, coordinator.Want{}); !errors.Is(err, coordinator.ErrNoValidToken) {
			c.Errorf("a value whose life has passed by the clock of the snapshot: %v", err)
		}
		if age := m.Health().Age; age != 2*time.Second {
			c.Errorf("age %v", age)
		}
	})
}

func TestVersionNeverGoesBackAfterASnapshot(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		s.change(func(saved *coordinator.Saved) {
			for i, record := range saved.Records {
				if token, ok := record.(coordinator.Token); ok {
					token.Version = 7 // as if the cluster was restored from a backup since
					saved.Records[i] = token
				}
			}
		})
		m := c.join("n1", s.with, away)
		time.Sleep(2 * time.Second)
		m.store.Heal()
		synctest.Wait()
		if v := c.value(m, accessToken, 0); v.Version() != 7 {
			c.Errorf("version %d after 7", v.Version())
		}
	})
}

func TestSnapshotOfAnotherClusterIsForgotten(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		s.change(func(saved *coordinator.Saved) {
			for i, record := range saved.Records {
				switch r := record.(type) {
				case coordinator.Token:
					r.Version, r.Value = 7, coordinator.NewSecret("of another cluster")
					saved.Records[i] = r
				case coordinator.FingerprintKey:
					saved.Records[i] = coordinator.FingerprintKey{Key: coordinator.NewSecret("another")}
				}
			}
		})
		m := c.join("n1", s.with, away)
		time.Sleep(2 * time.Second)
		if v := c.value(m, accessToken, 0); v.Version() != 7 {
			c.Errorf("version %d", v.Version())
		}
		m.store.Heal()
		synctest.Wait()
		if v := c.value(m, accessToken, 0); v.Version() != 1 || !c.sandbox.Alive(v.Token.Value.Reveal()) {
			c.Errorf("version %d of another cluster is served", v.Version())
		}
	})
}

// A key that was deleted while the node was away opens for a day at most.
func TestClientsOfASnapshotAreAdmittedForADay(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		time.Sleep(time.Hour)
		m := c.join("n1", s.with, away)
		time.Sleep(23*time.Hour - time.Second)
		if !admits(m) {
			c.Error("refused too early")
		}
		time.Sleep(2 * time.Second)
		if admits(m) {
			c.Error("admitted for more than a day")
		}
		m.store.Heal()
		synctest.Wait()
		if !admits(m) {
			c.Error("refused though the cluster knows it")
		}
	})
}

func TestOldOrUnreadableSnapshotsAreNotUsed(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		bare := &shelf{saved: s.saved} // of a cluster that had no value yet
		bare.change(func(saved *coordinator.Saved) {
			saved.Records = slices.DeleteFunc(slices.Clone(saved.Records), func(r coordinator.Record) bool {
				_, ok := r.(coordinator.Token)
				return ok
			})
		})
		valueless := c.join("n4", bare.with, away)
		time.Sleep(2 * time.Second)
		if valueless.Health().Ready() {
			c.Error("ready with a snapshot that holds no value")
		}
		valueless.store.Heal()

		time.Sleep(24*time.Hour + time.Second)
		m := c.join("n1", s.with, away)
		broken := c.join("n2", (&shelf{err: errors.New("it does not open")}).with, away)
		empty := c.join("n3", (&shelf{}).with, away)
		time.Sleep(2 * time.Second)
		for _, m := range []*member{m, broken, empty} {
			if _, err := m.Read(c.Context(), accessToken, coordinator.Want{}); !errors.Is(err, coordinator.ErrNotSynced) || m.Health().Ready() {
				c.Errorf("%s: %v", m.Name(), err)
			}
			m.store.Heal()
		}
		c.value(broken, accessToken, 0)
	})
}

func TestSnapshotHoldsNothingToRefreshWith(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		kinds := map[string]bool{}
		for _, record := range s.saved.Records {
			switch r := record.(type) {
			case coordinator.App:
				kinds["app"] = len(r.Credentials) == 0
			case coordinator.State:
				kinds["state"] = len(r.Outcomes) == 0 && r.Version == 1
			case coordinator.Token:
				kinds["token"] = true
			case coordinator.Client:
				kinds["client"] = true
			case coordinator.FingerprintKey:
				kinds["fingerprint"] = !r.Key.IsZero()
			default:
				c.Errorf("a snapshot holds %T", record)
			}
		}
		if len(kinds) != 5 || !kinds["app"] || !kinds["state"] || !kinds["fingerprint"] {
			c.Errorf("a snapshot holds %v", kinds)
		}
	})
}

func TestSnapshotsAreSavedWhenSomethingChangedAndNotTooOften(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		s := &shelf{}
		m := c.join("n1", s.with)
		time.Sleep(time.Minute)
		first := s.count()
		time.Sleep(time.Hour)
		if got := s.count(); first == 0 || got != first {
			c.Errorf("%d snapshots at first, %d after an hour of nothing", first, got)
		}
		c.apply(m, shop("plain"))
		c.value(m, accessToken, 0)
		for range 10 {
			c.must(m.PauseCluster(c.Context(), "test", true))
			c.must(m.PauseCluster(c.Context(), "test", false))
			time.Sleep(time.Second)
		}
		if got := s.count() - first; got < 2 || got > 4 {
			c.Errorf("%d snapshots in ten seconds", got)
		}
		saved, _ := s.Load()
		time.Sleep(time.Minute)
		before := s.count()
		m.stop()
		<-m.done
		last, _ := s.Load()
		if later := last.Heard.Sub(saved.Heard); s.count() != before+1 || later < 50*time.Second {
			c.Errorf("%d snapshots at the end, %v later", s.count()-before, later)
		}
	})
}

// A node that was never heard by its cluster has nothing new to save.
func TestSnapshotIsNotSavedFromASnapshot(t *testing.T) {
	shelved(t, func(c *cluster, s *shelf) {
		before := s.count()
		m := c.join("n1", s.with, away)
		time.Sleep(time.Minute)
		m.stop()
		<-m.done
		if s.count() != before {
			c.Error("the snapshot was saved again")
		}
	})
}
