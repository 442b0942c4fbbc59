package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store/memory"
)

// The tests below replay counterexamples of package model against the real
// coordinator in virtual time; each says in brackets which rule it is about.
// TestCounterexamples of package store replays C1 to C14 over etcd.

// A parent's credentials change between the opening of an intent and the last
// read before its call: no call is made with the former ones (LifeLookedAt).
func TestNoCallUnderFormerCredentialsOfAParent(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		const branch = "wx0000000000000003"
		name := coordinator.Name{App: "branch", Token: "access_token"}
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], accessToken, 0)
		leader, others := c.refresher()
		held := leader.store.HoldNext(memory.OpOpen)
		c.apply(others[0], coordinator.App{Name: "branch", Parent: "shop", Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret(branch)}})
		<-held.Sent()
		leader.store.Partition()
		c.must(held.Deliver())
		parent := shop("plain")
		parent.Credentials["secret"] = coordinator.NewSecret("a-new-secret-of-the-parent")
		for _, id := range []string{appid, branch} {
			c.must(c.sandbox.UpdateApp(id, func(a *sandbox.App) error { a.Secret = "a-new-secret-of-the-parent"; return nil }))
		}
		c.apply(others[0], parent)
		leader.store.Heal()
		v := c.value(others[0], name, 0)
		if calls := c.sandbox.Oracle().Apps[branch].Calls[sandbox.KindToken].Calls; calls != 1 || v.State.Failures != 0 || len(v.State.Outcomes) != 1 {
			c.Errorf("%d calls, outcomes %+v", calls, v.State.Outcomes)
		}
	})
}

// Other credentials are given while the answer to a refresh is missing: the
// refresh token it held is still the only one (LifeOfGrant).
func TestOtherCredentialsLoseNoRefreshToken(t *testing.T) {
	change := func(c *cluster, m *member) {
		app := crm("r1")
		app.Credentials["secret"] = coordinator.NewSecret("another")
		c.apply(m, app)
		synctest.Wait()
	}
	t.Run("paused", func(t *testing.T) {
		f := newFamily(coordinator.RotationStrict)
		granted(t, f, func(c *cluster) {
			f.next(slowly(3 * time.Second))
			c.apply(c.nodes[0], crm("r1"))
			time.Sleep(time.Second)
			leader, others := c.refresher()
			leader.store.Partition()
			time.Sleep(10 * time.Minute)
			change(c, others[0])
			leader.store.Heal()
			c.value(others[0], crmToken, 0)
			time.Sleep(time.Minute)
			c.settled(f)
		})
	})
	t.Run("crashed", func(t *testing.T) {
		f := newFamily(coordinator.RotationStrict)
		granted(t, f, func(c *cluster) {
			leader, others := c.dieBeforePublishing()
			disk := leader.spool.Restart()
			time.Sleep(10 * time.Minute)
			change(c, others[0])
			c.joinWith(leader.Name()+"b", disk)
			c.value(others[0], crmToken, 0)
			time.Sleep(time.Minute)
			c.settled(f)
		})
	})
}

// The attempt that takes the last chance dies, and so does the one that took it
// over: nobody takes the chance again (ChanceInherited).
func TestLastChanceOutlivesTwoRefreshers(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	f.rotation.LastChance = true
	granted(t, f, func(c *cluster) {
		f.next(lost, slowly(time.Hour))
		c.apply(c.nodes[0], crm("r1"))
		for len(f.presented()) < 2 {
			time.Sleep(time.Second)
		}
		leader, others := c.refresher()
		held := others[0].store.HoldNext(memory.OpOpen)
		leader.store.Partition()
		<-held.Sent()
		others[0].store.Partition()
		c.must(held.Deliver())
		time.Sleep(time.Minute) // until its leadership is over, too
		others[0].store.Heal()
		time.Sleep(24 * time.Hour)
		if v, _ := others[0].View(crmToken); len(f.presented()) != 2 || v.State.Status != coordinator.StatusReauthorize {
			c.Errorf("presented %v, status %s", f.presented(), v.State.Status)
		}
	})
}

// A publication of salvage is not answered: nobody calls the platform because
// a read does not show it (C2, ResendOnly).
func TestUnansweredPublicationOfSalvageMakesNoCall(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[0], crmToken, 0)
		leader, others := c.refresher()
		held := leader.store.HoldNext(memory.OpPublish)
		f.mu.Lock()
		f.newest = 9
		f.mu.Unlock()
		c.must(others[0].store.Salvage(c.Context(), salvaged(c.grant(), "r9", 1000)))
		<-held.Sent()
		time.Sleep(2 * time.Hour) // the value expires meanwhile
		if got := f.presented(); len(got) != 1 {
			c.Fatalf("presented %v while nobody knows what became of the salvage", got)
		}
		c.must(held.Deliver())
		c.value(others[0], crmToken, 1)
		time.Sleep(time.Minute)
		c.settled(f)
	})
}

// The state is written by somebody else while a publication is on its way: it is
// refused, rebuilt and published once (C3 and C4, ReadAgain and StateCompared).
func TestPublicationIsRebuiltOnWhatChanged(t *testing.T) {
	for _, deposed := range []bool{false, true} {
		f := newFamily(coordinator.RotationStrict)
		granted(t, f, func(c *cluster) {
			leader, others := c.refresher()
			held := leader.store.HoldNext(memory.OpPublish)
			c.apply(c.nodes[0], crm("r1"))
			<-held.Sent()
			if deposed {
				leader.store.LoseSession(true)
			}
			app := crm("r1")
			app.Labels = map[string]string{"team": "retail"}
			c.apply(others[0], app)
			if err := held.Deliver(); err == nil {
				c.Fatal("a publication was committed on a state that had changed")
			}
			v := c.value(others[0], crmToken, 0)
			time.Sleep(time.Minute)
			if got := f.presented(); len(got) != 1 || v.Version() != 1 {
				c.Errorf("version %d after presenting %v", v.Version(), got)
			}
			c.settled(f)
		})
	}
}

// An attempt that took over another ends before it does anything: what it took
// over is not forgotten (C9, VoidFirstOnly).
func TestTakeoverThatEndsEarlyForgetsNothing(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		f.next(slowly(24 * time.Hour))
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		others[0].store.FailNext(memory.OpRead, 1, false, errors.New("no answer"))
		leader.store.Partition()
		time.Sleep(time.Hour)
		v, _ := others[0].View(crmToken)
		if len(f.presented()) != 1 || v.State.Status != coordinator.StatusUncertain || v.State.Unresolved.IsZero() {
			c.Errorf("presented %v; status %s, unresolved %v", f.presented(), v.State.Status, v.State.Unresolved)
		}
	})
}

// An app is deleted and made again while a call of its former life is under way:
// what the call yields is nobody's (C10, SalvageByLife).
func TestResultOfADeletedAppIsNotOfItsSuccessor(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		f.next(slowly(8 * time.Second))
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Second)
		c.must(c.nodes[0].Remove(c.Context(), "api:test", "crm"))
		f.mu.Lock()
		f.newest = 70
		f.mu.Unlock()
		c.apply(c.nodes[0], crm("r70"))
		time.Sleep(time.Minute)
		c.value(c.nodes[1], crmToken, 0)
		if got := c.grant(); got.Previous.Reveal() != "r70" {
			c.Errorf("the grant after r70 came from %s", got.Previous.Reveal())
		}
		c.settled(f)
	})
}

// A refusal of a former grant arrives when a human has given a new one: the new
// one is not taken for gone (C11, LivesCompared).
func TestRefusalOfAFormerGrantEndsNothing(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		f.next(func(context.Context) error {
			time.Sleep(5 * time.Second)
			return &coordinator.UpstreamError{Class: coordinator.ClassReauthorize, Code: "invalid_grant", Reason: "invalid_grant"}
		})
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Second)
		f.mu.Lock()
		f.newest = 70
		f.mu.Unlock()
		_, err := c.nodes[0].Apply(c.Context(), crm("r70"), coordinator.Applying{ReplaceGrant: true})
		c.must(err)
		c.value(c.nodes[1], crmToken, 0)
		time.Sleep(time.Minute)
		if v, _ := c.nodes[1].View(crmToken); v.State.Status != coordinator.StatusFresh {
			c.Errorf("status %s", v.State.Status)
		}
		c.settled(f)
	})
}
