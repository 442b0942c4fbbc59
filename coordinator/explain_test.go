package coordinator_test

import (
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

// told checks the state of the shop's token, and that what somebody must do names all of words.
func (c *cluster) told(m *member, status coordinator.Status, words ...string) {
	c.Helper()
	v, ok := m.View(accessToken)
	if !ok {
		c.Fatal("no such token")
	}
	why := m.Explain(v, time.Now())
	if got := v.Status(time.Now()); got != status {
		c.Errorf("status %s, want %s; %+v", got, status, why)
	}
	for _, word := range words {
		if !strings.Contains(why.Todo, word) {
			c.Errorf("what to do does not name %q: %s", word, why.Todo)
		}
	}
	if strings.Contains(why.Todo, secret) {
		c.Errorf("a secret is told: %s", why.Todo)
	}
}

// Whoever looks at a token that is in trouble is told who must act, and how.
func TestTroubleNamesWhatToDo(t *testing.T) {
	for code, want := range map[int]struct {
		status coordinator.Status
		words  []string
	}{
		40001: {coordinator.StatusBlocked, []string{"secret", "freshet apply -f", "freshet refresh shop/access_token"}},
		40243: {coordinator.StatusBlocked, []string{"thaw it in the console"}},
		40164: {coordinator.StatusBlocked, []string{"IP whitelist"}},
		45009: {coordinator.StatusThrottled, []string{"daily limit", "by itself at"}},
		-1:    {coordinator.StatusPending, []string{"busy", "by itself at"}},
	} {
		bubble(t, 1, func(c *cluster) {
			c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Errcode, Errcode: code})
			c.apply(c.nodes[0], shop("plain"))
			time.Sleep(time.Second)
			c.told(c.nodes[0], want.status, want.words...)
		})
	}
	bubble(t, 1, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], accessToken, 0)
		c.told(c.nodes[0], coordinator.StatusFresh)
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		c.told(c.nodes[0], coordinator.StatusPaused, "freshet resume shop")
		c.must(c.nodes[0].PauseCluster(c.Context(), "api:ann", true))
		time.Sleep(time.Second)
		c.told(c.nodes[0], coordinator.StatusPaused, "api:ann", "whole cluster")
	})
}

// An app that is applied as paused is known, and nothing is asked for it.
func TestAppMayStartPaused(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		app := shop("plain")
		app.Paused = true
		c.apply(c.nodes[0], app)
		time.Sleep(time.Hour)
		c.told(c.nodes[1], coordinator.StatusPaused, "freshet resume shop")
		if got := c.calls(sandbox.KindToken); got != 0 {
			c.Errorf("%d calls", got)
		}
		c.must(c.nodes[1].PauseApp(c.Context(), "api:test", "shop", false))
		c.value(c.nodes[1], accessToken, 0)
	})
}

// A pause stops what has not begun. A call under way is answered and its value
// served; an intent that a dead refresher left is let lie until the pause ends.
func TestPauseLetsOpenCallsEnd(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Delay, Delay: 5 * time.Second})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		c.must(c.nodes[1].PauseApp(c.Context(), "api:test", "shop", true))
		time.Sleep(5 * time.Second)
		if v, _ := c.nodes[1].View(accessToken); v.Version() != 1 {
			c.Error("the result of the call under way was dropped")
		}
	})
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Hang})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.store.Partition()
		c.must(others[0].PauseApp(c.Context(), "api:test", "shop", true))
		time.Sleep(time.Hour)
		if got := c.calls(sandbox.KindToken); got != 1 {
			c.Errorf("%d calls, one before the pause", got)
		}
		c.must(others[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.value(others[0], accessToken, 0)
	})
}
