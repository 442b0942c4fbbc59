package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/store/memory"
)

func TestRotatedGrantIsPublishedWithItsToken(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	grantedOf(t, f, calm(), func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[1], crmToken, 0)
		time.Sleep(48 * time.Hour)
		used := f.presented()
		c.between("calls in two days", len(used), 60, 90)
		if !slices.IsSorted(used) || len(slices.Compact(slices.Clone(used))) != len(used) {
			c.Errorf("a refresh token was presented twice: %v", used)
		}
		grant := c.grant()
		if grant.Previous.Reveal() == "" || grant.Generation != int64(len(used))+1 || f.peak != 1 {
			c.Errorf("generation %d after %d calls, %d at once", grant.Generation, len(used), f.peak)
		}
		for _, credentials := range records[coordinator.Credentials](c) {
			if _, kept := credentials.Fields[coordinator.CredentialRefresh]; kept {
				c.Error("the refresh token is among the credentials")
			}
		}
		c.settled(f)
	})
}

// A refresher dies after its call was answered and before it could publish. The
// next one presents nothing; the process that comes back brings the result.
func TestCrashedRefreshersResultIsReplayed(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, others := c.dieBeforePublishing()
		disk := leader.spool.Restart()
		time.Sleep(time.Minute)
		if v, _ := others[0].View(crmToken); v.State.Status != coordinator.StatusUncertain || len(f.presented()) != 1 {
			c.Fatalf("status %s after presenting %v", v.State.Status, f.presented())
		}
		time.Sleep(24 * time.Hour)
		if got := f.presented(); len(got) != 1 {
			c.Fatalf("presented %v while the result was missing", got)
		}
		c.joinWith(leader.Name()+"b", disk)
		time.Sleep(time.Minute)
		c.value(others[0], crmToken, 0)
		c.settled(f)
	})
}

// The same, but the process comes back before anybody has taken its intent over.
func TestResultIsReplayedUnderItsOwnIntent(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, others := c.dieBeforePublishing()
		c.joinWith(leader.Name()+"b", leader.spool.Restart())
		v := c.value(others[0], crmToken, 0)
		if v.State.NewestOutcome().Result != coordinator.ResultSalvaged || len(f.presented()) != 1 {
			c.Errorf("result %q after presenting %v", v.State.NewestOutcome().Result, f.presented())
		}
		c.settled(f)
	})
}

// A refresher is cut off while its call is under way and comes back after
// another one has taken over: what it holds is salvaged and published.
func TestPausedRefreshersRefreshTokenIsSalvaged(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		f.next(slowly(3 * time.Second))
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.store.Partition()
		time.Sleep(10 * time.Minute)
		if v, _ := others[0].View(crmToken); v.State.Status != coordinator.StatusUncertain {
			c.Fatalf("status %s", v.State.Status)
		}
		leader.store.Heal()
		time.Sleep(time.Minute)
		v := c.value(others[0], crmToken, 0)
		if len(f.presented()) != 1 || !v.State.Unresolved.IsZero() {
			c.Errorf("presented %v, unresolved %v", f.presented(), v.State.Unresolved)
		}
		c.settled(f)
	})
}

// A result that the store refuses to write is brought again, by the process that has it.
func TestDeniedResultIsPublishedWithoutARestart(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, _ := c.refresher()
		leader.store.FailNext(memory.OpPublish, 3, false, errors.New("permission denied"))
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(10 * time.Minute)
		c.value(c.nodes[1], crmToken, 0)
		if used := f.presented(); len(used) != 1 {
			c.Errorf("presented %v", used)
		}
		c.settled(f)
	})
}

// A file with a new grant that is applied twice does not put the refresh token
// back that was used in between.
func TestGrantIsNotReplacedByTheOneItCameFrom(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		replace := func() error {
			_, err := c.nodes[1].Apply(c.Context(), crm("r1"), coordinator.Applying{ReplaceGrant: true})
			return err
		}
		c.must(replace())
		c.value(c.nodes[1], crmToken, 0)
		synctest.Wait()
		if err := replace(); !errors.Is(err, coordinator.ErrInvalid) {
			c.Errorf("applied again: %v", err)
		}
		time.Sleep(2 * time.Hour)
		c.settled(f)
	})
}

// Under strict rotation an answer that never comes leaves the refresh token
// alone, however often somebody asks; a new grant settles it.
func TestLostAnswerIsUncertainUntilANewGrant(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	grantedOf(t, f, calm(), func(c *cluster) {
		f.next(lost)
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Minute)
		node := c.nodes[1]
		for _, force := range []bool{false, true} {
			_, err := node.Refresh(c.Context(), crmToken, coordinator.RefreshCall{Force: force, Wait: time.Minute})
			if err == nil {
				c.Error("a refresh was answered with a value")
			}
		}
		time.Sleep(7 * 24 * time.Hour)
		v, _ := node.View(crmToken)
		if got := f.presented(); len(got) != 1 || v.State.Status != coordinator.StatusUncertain || v.State.Reason != coordinator.ReasonUnresolved {
			c.Fatalf("presented %v; status %s, reason %s", got, v.State.Status, v.State.Reason)
		}
		app := crm("r1")
		app.Credentials["secret"] = coordinator.NewSecret("another")
		c.apply(node, app) // other credentials do not make it sure
		time.Sleep(time.Hour)
		if got := f.presented(); len(got) != 1 {
			c.Fatalf("presented %v after a change of other credentials", got)
		}
		f.newest = 7
		app.Credentials[coordinator.CredentialRefresh] = coordinator.NewSecret("r7")
		_, err := node.Apply(c.Context(), app, coordinator.Applying{ReplaceGrant: true})
		c.must(err)
		c.value(node, crmToken, 0)
		c.settled(f)
	})
}

// With grace the same refresh token is presented again, in time.
func TestLostAnswerIsAskedForAgainWithinGrace(t *testing.T) {
	f := newFamily(coordinator.RotationGrace)
	granted(t, f, func(c *cluster) {
		f.next(lost)
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[1], crmToken, 0)
		if got := f.presented(); !slices.Equal(got, []int{1, 1}) {
			c.Errorf("presented %v", got)
		}
		c.settled(f)
		leader, _ := c.refresher()
		if leader.Hazards()["lost_answer"] != 1 || leader.Hazards()["replay"] != 1 {
			c.Errorf("hazards %v", leader.Hazards())
		}
	})
}

// After the grace it is not presented again.
func TestGraceEnds(t *testing.T) {
	f := newFamily(coordinator.RotationGrace)
	f.rotation.Grace = time.Minute
	granted(t, f, func(c *cluster) {
		f.next(lost, lost, lost, lost, lost, lost, lost, lost, lost, lost)
		began := time.Now()
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Hour)
		v, _ := c.nodes[0].View(crmToken)
		last := v.State.NewestOutcome().Began
		if v.State.Status != coordinator.StatusUncertain || last.Sub(began) > 2*time.Minute { // the one that only finds that the grace is over
			c.Errorf("status %s; the last attempt began after %v", v.State.Status, last.Sub(began))
		}
		c.between("calls", len(f.presented()), 2, 6)
	})
}

// With a last chance the old refresh token is presented once, after the last
// value has expired; the refusal is final.
func TestLastChanceIsTakenOnce(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	f.rotation.LastChance = true
	grantedOf(t, f, calm(), func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		v := c.value(c.nodes[0], crmToken, 0)
		f.next(lost)
		time.Sleep(time.Until(v.Token.Expires) - time.Second)
		if got := f.presented(); !slices.Equal(got, []int{1, 2}) {
			c.Fatalf("presented %v before the value expired", got)
		}
		time.Sleep(48 * time.Hour)
		v, _ = c.nodes[0].View(crmToken)
		if got := f.presented(); !slices.Equal(got, []int{1, 2, 2}) || v.State.Status != coordinator.StatusReauthorize {
			c.Errorf("presented %v, status %s", got, v.State.Status)
		}
	})
}

// Without room on the disk the refresh token is not spent.
func TestFullDiskSpendsNoRefreshToken(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		for _, m := range c.nodes {
			m.spool.Full(true)
		}
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Minute)
		v, _ := c.nodes[0].View(crmToken)
		if len(f.presented()) != 0 || v.State.Reason != "spool_unwritable" || !v.State.Unresolved.IsZero() {
			c.Errorf("presented %v, reason %s", f.presented(), v.State.Reason)
		}
		for _, m := range c.nodes {
			m.spool.Full(false)
		}
		time.Sleep(10 * time.Minute)
		c.value(c.nodes[0], crmToken, 0)
		c.settled(f)
	})
}

// The answer to the opening of an intent is lost, and it commits later: nobody
// called under it, so nothing is uncertain.
func TestIntentWithoutACallLeavesNoDoubt(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, _ := c.refresher()
		held := leader.store.HoldNext(memory.OpOpen)
		c.apply(c.nodes[0], crm("r1"))
		<-held.Sent()
		time.Sleep(time.Minute)
		c.must(held.Deliver())
		c.value(c.nodes[1], crmToken, 0)
		if got := f.presented(); len(got) != 1 {
			c.Errorf("presented %v", got)
		}
		c.settled(f)
	})
}

// Credentials are changed while a call is under way: the change waits for the
// refresh token that the call gets.
func TestChangeOfCredentialsWaitsForTheGrant(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		f.next(slowly(5 * time.Second))
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Second)
		app := crm("r1")
		app.Credentials["secret"] = coordinator.NewSecret("another")
		began := time.Now()
		c.apply(c.nodes[1], app)
		if waited := time.Since(began); waited < 3*time.Second {
			c.Errorf("the change came after %v", waited)
		}
		time.Sleep(time.Minute)
		c.value(c.nodes[0], crmToken, 0)
		if slices.Contains(f.presented()[1:], 1) {
			c.Errorf("presented %v", f.presented())
		}
		c.settled(f)
	})
}

// A file that still holds the first refresh token changes nothing.
func TestGivenRefreshTokenCountsOnce(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[0], crmToken, 0)
		synctest.Wait()
		applied, err := c.nodes[0].Apply(c.Context(), crm("r1"), coordinator.Applying{})
		c.must(err)
		if applied.Change != coordinator.ChangeUnchanged || !applied.GrantKept {
			c.Errorf("the app was %s, its grant kept: %t", applied.Change, applied.GrantKept)
		}
		moved := crm("r1")
		moved.Upstream = "https://elsewhere.example"
		delete(moved.Credentials, coordinator.CredentialRefresh)
		if _, err := c.nodes[0].Apply(c.Context(), moved, coordinator.Applying{}); !errors.Is(err, coordinator.ErrInvalid) {
			c.Errorf("the refresh token goes to another upstream: %v", err)
		}
	})
}

// Two attempts were made with one refresh token, and both results are salvaged:
// the platform honours the later one.
func TestNewestSalvageWins(t *testing.T) {
	f := newFamily(coordinator.RotationGrace)
	granted(t, f, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[0], crmToken, 0)
		grant := c.grant()
		leader, _ := c.refresher()
		for i, refresh := range []string{"older", "newer", "oldest"} {
			at := []int64{1001, 1002, 1000}[i]
			c.must(leader.store.Salvage(c.Context(), salvaged(grant, refresh, at)))
		}
		time.Sleep(time.Second)
		if got := c.grant(); got.Current.Reveal() != "newer" || got.IntentRevision != 1002 {
			c.Errorf("the grant holds %s of intent %d", got.Current.Reveal(), got.IntentRevision)
		}
		c.must(leader.store.Salvage(c.Context(), salvaged(grant, "older", 1001)))
		time.Sleep(time.Second)
		if got := c.grant(); got.Current.Reveal() != "newer" || len(records[coordinator.Salvage](c)) != 0 {
			c.Errorf("the grant holds %s; %d salvaged results are left", got.Current.Reveal(), len(records[coordinator.Salvage](c)))
		}
	})
}

func salvaged(grant coordinator.Grant, refresh string, intent int64) coordinator.Salvage {
	now := time.Now()
	return coordinator.Salvage{
		App: "crm", Group: "access_token", Attempt: refresh, Incarnation: grant.Incarnation, Generation: grant.Generation,
		IntentRevision: intent, Refresh: coordinator.NewSecret(refresh), Began: now,
		Tokens: []coordinator.Token{{Name: crmToken, Value: coordinator.NewSecret("value of " + refresh), Issued: now, Expires: now.Add(time.Hour)}},
	}
}

// The refresh token of an answer that is useless otherwise is kept.
func TestRefreshTokenOfAUselessAnswerIsKept(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	f.lifetime = 0
	granted(t, f, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		time.Sleep(time.Second)
		f.mu.Lock()
		f.lifetime = time.Hour
		f.mu.Unlock()
		c.value(c.nodes[0], crmToken, 0)
		if got := f.presented(); !slices.Equal(got, []int{1, 2}) {
			c.Errorf("presented %v", got)
		}
		c.settled(f)
	})
}

// A refusal that another attempt explains is not believed.
func TestRefusalOfAReplacedRefreshTokenIsNoEnd(t *testing.T) {
	f := newFamily(coordinator.RotationGrace)
	granted(t, f, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.value(c.nodes[0], crmToken, 0)
		grant := c.grant()
		leader, _ := c.refresher()
		f.next(func(ctx context.Context) error {
			c.must(leader.store.Salvage(ctx, salvaged(grant, "r9", 1000)))
			return &coordinator.UpstreamError{Class: coordinator.ClassReauthorize, Code: "invalid_grant", Reason: "invalid_grant"}
		})
		_, _ = c.nodes[0].Refresh(c.Context(), crmToken, coordinator.RefreshCall{Wait: 30 * time.Second})
		v := c.value(c.nodes[0], crmToken, 1)
		if v.State.Status != coordinator.StatusFresh || c.grant().Current.Reveal() != "r9" {
			c.Errorf("status %s, grant %s", v.State.Status, c.grant().Current.Reveal())
		}
	})
}
