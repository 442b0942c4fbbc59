package coordinator_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

// refreshed lets a node ask for a newer value and waits for it.
func (c *cluster) refreshed(m *member, name coordinator.Name) *coordinator.View {
	c.Helper()
	synctest.Wait() // it knows what there is
	v, err := m.Refresh(c.Context(), name, coordinator.RefreshCall{Wait: 30 * time.Second})
	c.must(err)
	return v
}

func TestVersionsGoOnAfterTheStoreWasRestored(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], accessToken, 0)
		restore := c.memory.Backup()
		for range 4 {
			c.refreshed(c.nodes[0], accessToken)
		}
		last := c.value(c.nodes[1], accessToken, 4)
		synctest.Wait()
		restore()
		synctest.Wait()
		for _, m := range c.nodes {
			if v, err := m.Read(c.Context(), accessToken, coordinator.Want{}); err != nil || v.Version() != 5 || !v.Token.Value.Equal(last.Token.Value) {
				c.Errorf("%s serves %v, error %v; want version 5 as before", m.Name(), v.Version(), err)
			}
		}
		for _, m := range c.nodes {
			if v := c.value(m, accessToken, 5); v.Version() != 6 || v.State.Version != 6 {
				c.Errorf("%s went on with version %d, and knows %d, want 6", m.Name(), v.Version(), v.State.Version)
			}
		}
		if calls := c.calls(sandbox.KindToken); calls != 6 {
			c.Errorf("%d calls, want 6", calls)
		}
	})
}

// The values of an old backup are gone, those that were shown live on.
func TestALivingValueIsServedAfterTheStoreWasRestored(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		restore := c.memory.Backup()
		time.Sleep(3 * time.Hour)
		last := c.value(c.nodes[1], accessToken, 1).Version()
		c.must(c.sandbox.AddFault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: 5 * time.Second}))
		restore()
		synctest.Wait()
		for _, m := range c.nodes {
			if v, err := m.Read(c.Context(), accessToken, coordinator.Want{}); err != nil || v.Version() != last {
				c.Errorf("%s has version %d, error %v; want %d, which lives", m.Name(), v.Version(), err, last)
			}
		}
	})
}

// The refresher knows nothing of what was lost, a follower does.
func TestAFollowerBringsBackAVersionThatTheRefresherNeverSaw(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		leader, others := c.refresher()
		restore := c.memory.Backup()
		c.refreshed(others[0], accessToken)
		c.refreshed(others[0], accessToken)
		c.value(others[0], accessToken, 2)
		others[0].store.Partition()
		leader.stop()
		<-leader.done
		restore()
		fresh := c.join("n3")
		c.value(fresh, accessToken, 0)
		time.Sleep(time.Minute)
		v := c.refreshed(fresh, accessToken)
		if v.Version() != 2 {
			c.Fatalf("the new refresher went on with version %d: this test shows nothing", v.Version())
		}
		others[0].store.Heal()
		for _, m := range []*member{others[0], fresh} {
			if v := c.value(m, accessToken, 3); v.Version() != 4 {
				c.Errorf("%s has version %d, want 4: above what %s has shown", m.Name(), v.Version(), others[0].Name())
			}
		}
	})
}

// A refresh token that the store has forgotten is remembered by those who live,
// and the old one that came back is never presented.
func TestRotatedRefreshTokenSurvivesARestore(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[1], crmToken, 0)
		restore := c.memory.Backup()
		for range 3 {
			c.refreshed(c.nodes[0], crmToken)
		}
		c.value(c.nodes[1], crmToken, 3)
		time.Sleep(50 * time.Minute) // what the backup says is due
		before := c.grant()
		restore()
		if c.grant().Current.Equal(before.Current) {
			c.Fatal("nothing was forgotten: this test shows nothing")
		}
		time.Sleep(3 * time.Hour)
		if used := f.presented(); !slices.IsSorted(used) || len(slices.Compact(slices.Clone(used))) != len(used) {
			c.Errorf("a refresh token was presented twice: %v", used)
		}
		for _, m := range c.nodes {
			if v := c.value(m, crmToken, 0); v.Version() <= 4 || v.State.Status != coordinator.StatusFresh {
				c.Errorf("%s has version %d, status %s", m.Name(), v.Version(), v.State.Status)
			}
		}
		c.settled(f)
	})
}

// An app that was deleted after the backup is back, with a refresh token that
// nobody can vouch for.
func TestARefreshTokenThatNobodyRemembersIsUncertain(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[1], crmToken, 0)
		restore := c.memory.Backup()
		c.must(c.nodes[0].Remove(c.Context(), "api:test", "crm"))
		synctest.Wait()
		used := len(f.presented())
		restore()
		time.Sleep(3 * time.Hour)
		for _, m := range c.nodes {
			v, ok := m.View(crmToken)
			if !ok || v.State.Status != coordinator.StatusUncertain || v.State.Reason != string(coordinator.ReasonRestored) || v.State.Unresolved.IsZero() {
				c.Errorf("%s: the state is %+v, want uncertain because of the restore", m.Name(), v)
			}
		}
		if now := len(f.presented()); now != used {
			c.Errorf("the refresh token was presented %d times", now-used)
		}
		app := crm("r2")
		_, err := c.nodes[0].Apply(c.Context(), app, coordinator.Applying{ReplaceGrant: true})
		c.must(err)
		c.value(c.nodes[1], crmToken, 1)
	})
}

func TestVersionsGoOnWhenADeletedAppIsMadeAgain(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		c.refreshed(c.nodes[0], accessToken)
		c.must(c.nodes[0].Remove(c.Context(), "api:test", "shop"))
		synctest.Wait()
		if v, ok := c.nodes[1].View(accessToken); ok {
			c.Fatalf("a deleted token is shown: %+v", v)
		}
		c.apply(c.nodes[1], shop("plain"))
		for _, m := range c.nodes {
			if v := c.value(m, accessToken, 2); v.Version() != 3 {
				c.Errorf("%s has version %d, want 3", m.Name(), v.Version())
			}
		}
	})
}
