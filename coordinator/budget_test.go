package coordinator_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

func TestWrongSecretIsProbedSlowlyAndMendedAtOnce(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		app := shop("plain")
		app.Credentials["secret"] = coordinator.NewSecret("wrong")
		c.apply(c.nodes[0], app)
		_, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{Wait: 20 * time.Second})
		missing, ok := errors.AsType[*coordinator.NoValueError](err)
		if !ok || missing.View.State.Status != coordinator.StatusBlocked {
			c.Fatalf("waiting ended with %v", err)
		}
		time.Sleep(24 * time.Hour)
		c.between("calls with a wrong secret in a day", c.calls(sandbox.KindToken), 20, 40)
		began := time.Now()
		c.apply(c.nodes[0], shop("plain"))
		synctest.Wait()
		c.value(c.nodes[1], accessToken, 0)
		if took := time.Since(began); took > time.Second {
			c.Errorf("mended after %v", took)
		}
	})
}

func TestUpstreamThatIsDownIsNotHammered(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Status})
		time.Sleep(24 * time.Hour)
		c.between("calls to an upstream that is down for a day", c.calls(sandbox.KindToken), 24*60/5, 24*60)
		c.sandbox.ClearFaults("")
		time.Sleep(6 * time.Minute)
		if _, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{}); err != nil {
			c.Errorf("after the upstream came back: %v", err)
		}
	})
}

func TestQuotaWaitsForItsDay(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Errcode, Errcode: 45009})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		v, _ := c.nodes[1].View(accessToken)
		if v.State.Status != coordinator.StatusThrottled {
			c.Fatalf("status %s", v.State.Status)
		}
		time.Sleep(time.Until(v.State.Due) - time.Minute)
		if got := c.calls(sandbox.KindToken); got != 1 {
			c.Errorf("%d calls before the day ended", got)
		}
		time.Sleep(2 * time.Minute)
		c.value(c.nodes[1], accessToken, 0)
	})
}

func TestBudgetHoldsOverFailovers(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		app := shop("plain")
		app.Refresh.Budget = 20
		c.apply(c.nodes[0], app)
		v := c.value(c.nodes[0], accessToken, 0)
		for range 40 {
			_, _ = c.nodes[0].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Wait: 10 * time.Second})
			leader, _ := c.refresher()
			leader.store.LoseSession(true)
			time.Sleep(3 * time.Second)
		}
		if got := c.calls(sandbox.KindToken); got != 18 {
			c.Errorf("%d calls, want 18: 20 a day less the reserve", got)
		}
		c.sandbox.KillToken(c.value(c.nodes[0], accessToken, v.Version()).Token.Value.Reveal())
		for range 4 {
			v, _ := c.nodes[0].View(accessToken)
			c.sandbox.KillToken(v.Token.Value.Reveal())
			_, _ = c.nodes[1].Report(c.Context(), accessToken, coordinator.ReportCall{Version: v.Version()})
			time.Sleep(time.Minute)
		}
		if got := c.calls(sandbox.KindToken); got != 20 {
			c.Errorf("%d calls, want 20: the reserve is for dead tokens", got)
		}
	})
}

// A refresher that dies in the middle of a call has charged it, and whoever takes
// over charges its own: the platform never sees more calls than the budget has,
// and the reserve is left for what is forced.
func TestBudgetHoldsWhereRefreshersDieInTheirCalls(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		app := shop("plain")
		app.Refresh.Budget = 20
		c.apply(c.nodes[0], app)
		c.value(c.nodes[0], accessToken, 0)
		var living *member
		for i := range 12 {
			c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Hang})
			leader, _ := c.refresher()
			living = c.join(fmt.Sprintf("n%d", i+3))
			synctest.Wait()
			go func() { _, _ = leader.Refresh(c.Context(), accessToken, coordinator.RefreshCall{}) }()
			time.Sleep(time.Second)
			leader.store.Partition() // for ever
			time.Sleep(time.Minute)
		}
		c.sandbox.ClearFaults("")
		if got := c.calls(sandbox.KindToken); got != 18 {
			c.Errorf("%d calls, want 18: 20 a day less the reserve", got)
		}
		for range 4 {
			v, _ := living.View(accessToken)
			c.sandbox.KillToken(v.Token.Value.Reveal())
			_, _ = living.Report(c.Context(), accessToken, coordinator.ReportCall{Version: v.Version()})
			time.Sleep(2 * time.Minute)
		}
		if got := c.calls(sandbox.KindToken); got != 20 {
			c.Errorf("%d calls, want 20: the reserve is for dead tokens", got)
		}
		for _, b := range records[coordinator.Budget](c) {
			if b.Calls != 20 || b.Forced != 2 {
				c.Errorf("the budget says %d calls, %d of them forced; want 20 and 2", b.Calls, b.Forced)
			}
		}
	})
}

func TestImpatientClientsDoNotHammerABlockedApp(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		v := c.value(c.nodes[0], accessToken, 0)
		c.must(c.sandbox.UpdateApp(appid, func(a *sandbox.App) error { a.SecretFrozen = true; return nil }))
		c.sandbox.KillToken(v.Token.Value.Reveal())
		synctest.Wait()
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
			_, _ = c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1})
			_, _ = c.nodes[1].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Force: true})
			time.Sleep(time.Second)
		}
		c.between("calls of a frozen app in ten minutes", c.calls(sandbox.KindToken), 2, 12)
		r, err := c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1})
		if err != nil || r.Answer == coordinator.AnswerAlive || r.Answer == coordinator.AnswerReplaced {
			c.Errorf("%+v, %v", r.Answer, err)
		}
	})
}

// A person must confirm a new address: each call sends them a message, so
// impatient clients must not bring the next one forward.
func TestWaitNamedByThePlatformIsKept(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Errcode, Errcode: 89503})
		c.apply(c.nodes[0], shop("plain"))
		synctest.Wait()
		for range 60 {
			_, _ = c.nodes[0].Refresh(c.Context(), accessToken, coordinator.RefreshCall{})
			time.Sleep(5 * time.Second)
		}
		if got := c.calls(sandbox.KindToken); got != 1 {
			c.Errorf("%d calls in five minutes", got)
		}
		time.Sleep(10 * time.Minute)
		c.value(c.nodes[0], accessToken, 0)
	})
}
