package coordinator_test

import (
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

func (c *cluster) looks() int {
	return c.sandbox.Oracle().Apps[appid].Calls[sandbox.KindProbe].Calls
}

// A living value is looked at every five minutes, give or take, and nothing else
// comes of it; a new refresher does not look at everything at once.
func TestLivingValueIsLookedAtNowAndThen(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], accessToken, 0)
		time.Sleep(10 * time.Hour)
		c.between("looks in ten hours", c.looks(), 100, 125)
		c.between("token calls in ten hours", c.calls(sandbox.KindToken), 7, 9)
		if v := c.value(c.nodes[1], accessToken, 0); v.State.Deaths > 0 || v.State.Reason != "" {
			c.Errorf("%d deaths, reason %q", v.State.Deaths, v.State.Reason)
		}
		before := c.looks()
		for range 10 {
			leader, _ := c.refresher()
			leader.store.LoseSession(true)
			time.Sleep(20 * time.Second)
		}
		c.between("looks during ten fail-overs in 200 s", c.looks()-before, 0, 3)
	})
}

func TestDeadValueIsFoundWithoutAReport(t *testing.T) {
	for _, mode := range []string{"plain", "stable"} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, 2, func(c *cluster) {
				c.apply(c.nodes[0], shop(mode))
				v := c.value(c.nodes[1], accessToken, 0)
				time.Sleep(20 * time.Minute)
				c.sandbox.KillToken(v.Token.Value.Reveal())
				time.Sleep(6 * time.Minute)
				v = c.value(c.nodes[1], accessToken, 0)
				if v.Version() != 2 || !c.sandbox.Alive(v.Token.Value.Reveal()) || v.State.Reason != "" {
					c.Errorf("version %d, alive %t, reason %q", v.Version(), c.sandbox.Alive(v.Token.Value.Reveal()), v.State.Reason)
				}
				if left := records[coordinator.Request](c); len(left) > 0 {
					c.Errorf("requests are left: %+v", left)
				}
			})
		})
	}
}

// Two values in a row that die before their time, and nobody reports them: a
// second system mints tokens for the account.
func TestLooksFindAForeignRefresher(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		for range 2 {
			_, err := c.sandbox.Mint(appid)
			c.must(err)
			time.Sleep(11 * time.Minute) // the overlap, and the time to the next look
		}
		v := c.value(c.nodes[1], accessToken, 0)
		if v.State.Reason != coordinator.ReasonForeignRefresher || v.Version() != 3 || !c.sandbox.Alive(v.Token.Value.Reveal()) {
			c.Errorf("version %d, reason %q", v.Version(), v.State.Reason)
		}
	})
}

// What cannot be told changes nothing, and a probe that is off is not made.
func TestLookThatFailsChangesNothing(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindProbe, Do: sandbox.Errcode, Errcode: -1})
		c.apply(c.nodes[0], shop("stable"))
		time.Sleep(time.Hour)
		c.between("looks in an hour", c.looks(), 8, 14)
		app := shop("stable")
		app.Refresh.Probe = coordinator.ProbeOff
		c.apply(c.nodes[0], app)
		before := c.looks()
		time.Sleep(50 * time.Minute)
		if v := c.value(c.nodes[0], accessToken, 0); c.looks() != before || v.Version() != 1 || c.calls(sandbox.KindStableToken) != 1 {
			c.Errorf("%d looks, version %d, %d token calls", c.looks()-before, v.Version(), c.calls(sandbox.KindStableToken))
		}
	})
}
