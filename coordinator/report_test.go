package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

func TestReportOfADeadPlainTokenRefreshesOnce(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		v := c.value(c.nodes[0], accessToken, 0)
		synctest.Wait()
		c.sandbox.KillToken(v.Token.Value.Reveal())
		c.reportAll(v.Version(), 100)
		if got := c.value(c.nodes[2], accessToken, v.Version()); got.Version() != 2 || c.calls(sandbox.KindToken) != 2 {
			c.Errorf("version %d after %d calls, want 2 after 2", got.Version(), c.calls(sandbox.KindToken))
		}
	})
}

func TestReportOfADeadStableTokenForcesOnce(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.apply(c.nodes[0], shop("stable"))
		v := c.value(c.nodes[0], accessToken, 0)
		synctest.Wait()
		c.sandbox.KillToken(v.Token.Value.Reveal())
		c.reportAll(v.Version(), 100)
		c.value(c.nodes[2], accessToken, v.Version())
		o := c.sandbox.Oracle().Apps[appid]
		if o.Forced != 1 || o.Calls[sandbox.KindProbe].Calls != 1 || o.Calls[sandbox.KindStableToken].Calls != 2 {
			c.Errorf("%d forced, %d probes, %d calls; want 1, 1, 2", o.Forced, o.Calls[sandbox.KindProbe].Calls, o.Calls[sandbox.KindStableToken].Calls)
		}
	})
}

// reportAll reports a version from every node at once and checks what each caller learns.
func (c *cluster) reportAll(version int64, n int) {
	c.Helper()
	done := make(chan struct{}, n)
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			r, err := c.nodes[i%len(c.nodes)].Report(c.Context(), accessToken, coordinator.ReportCall{Version: version, Code: "40001"})
			if err != nil || r.After != version || (r.Answer != coordinator.AnswerRefreshing && r.Answer != coordinator.AnswerReplaced) {
				c.Errorf("report %d: %+v, %v", i, r, err)
			}
		}()
	}
	for range n {
		<-done
	}
}

func TestReportOfALivingTokenRefreshesNothing(t *testing.T) {
	for _, mode := range []string{"plain", "stable"} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, 2, func(c *cluster) {
				c.apply(c.nodes[0], shop(mode))
				v := c.value(c.nodes[1], accessToken, 0)
				r, err := c.nodes[1].Report(c.Context(), accessToken, coordinator.ReportCall{Fingerprint: v.Fingerprint})
				if err != nil || r.Answer != coordinator.AnswerAlive {
					c.Errorf("%+v, %v", r, err)
				}
				time.Sleep(time.Minute)
				if got := c.sandbox.Oracle().Apps[appid].Minting; c.value(c.nodes[1], accessToken, 0).Version() != 1 {
					c.Errorf("a living token was replaced: %+v", got)
				}
			})
		})
	}
}

// TestReportIsNotAnsweredByAFormerVerdict reports on a node that has not heard
// yet that the value was found alive before it died.
func TestReportIsNotAnsweredByAFormerVerdict(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		held := c.value(c.nodes[0], accessToken, 0)
		report := func(m *member) coordinator.Answer {
			answer, err := m.Report(c.Context(), accessToken, coordinator.ReportCall{Version: held.Version(), Code: "40001"})
			c.must(err)
			return answer.Answer
		}
		synctest.Wait() // until both nodes know it
		leader, others := c.refresher()
		late := others[0]
		late.store.Partition()
		if answer := report(leader); answer != coordinator.AnswerAlive {
			c.Fatalf("a report of a living value was answered %s", answer)
		}
		c.sandbox.KillToken(held.Token.Value.Reveal())
		answer := make(chan coordinator.Answer, 1)
		go func() { answer <- report(late) }()
		synctest.Wait()
		late.store.Heal()
		if got := <-answer; got == coordinator.AnswerAlive {
			c.Errorf("a report of a dead value was answered %s", got)
		}
	})
}

func TestReportOfAReplacedVersionChangesNothing(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		if _, err := c.nodes[1].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Wait: time.Minute}); err != nil {
			c.Fatal(err)
		}
		before := c.memory.Revision()
		r, err := c.nodes[1].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1})
		if err != nil || r.Answer != coordinator.AnswerReplaced || c.memory.Revision() != before {
			c.Errorf("%+v, %v; revision %d after %d", r, err, c.memory.Revision(), before)
		}
	})
}

func TestTwoEarlyDeathsShowAForeignRefresher(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		v := c.value(c.nodes[1], accessToken, 0)
		for range 2 {
			if _, err := c.sandbox.Mint(appid); err != nil {
				c.Fatal(err)
			}
			time.Sleep(6 * time.Minute) // the overlap is over
			if _, err := c.nodes[1].Report(c.Context(), accessToken, coordinator.ReportCall{Version: v.Version()}); err != nil {
				c.Fatal(err)
			}
			v = c.value(c.nodes[1], accessToken, v.Version())
		}
		if v.State.Reason != coordinator.ReasonForeignRefresher {
			c.Errorf("reason %q after two early deaths", v.State.Reason)
		}
		time.Sleep(4 * time.Hour) // values live again
		if v, _ := c.nodes[1].View(accessToken); v.State.Reason != "" {
			c.Errorf("reason %q after values lived", v.State.Reason)
		}
	})
}
