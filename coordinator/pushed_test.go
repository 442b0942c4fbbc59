package coordinator_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/store/memory"
)

// A value that nobody can be asked for is due and ends by the clock, and whoever
// looks is told what to do.
func TestPushedValueIsDueAndEndsByTheClock(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		push := "freshet push shop/access_token"
		c.told(c.nodes[1], coordinator.StatusPending, push)
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		ends := time.Now().Add(2 * time.Hour).UTC().Format("15:04:05")
		c.told(c.nodes[1], coordinator.StatusFresh)
		before := c.memory.Revision()
		time.Sleep(79 * time.Minute)
		c.told(c.nodes[1], coordinator.StatusFresh)
		time.Sleep(2 * time.Minute)
		c.told(c.nodes[1], coordinator.StatusDue, push, ends)
		time.Sleep(40 * time.Minute)
		c.told(c.nodes[1], coordinator.StatusExpired, push, ends)
		if _, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{}); !errors.Is(err, coordinator.ErrNoValidToken) || !strings.Contains(err.Error(), push) {
			c.Errorf("reading it: %v", err)
		}
		c.noWritesSince(before)
		v, _ := c.nodes[1].View(accessToken)
		if why := c.nodes[1].Explain(v, time.Now()); why.Reason != coordinator.ReasonAwaitsPush {
			c.Errorf("reason %q", why.Reason)
		}
		c.push(c.nodes[0], "two")
		c.serves("two", 2)
	})
}

// noWritesSince checks that only heartbeats were written, and what went by itself.
func (c *cluster) noWritesSince(revision int64) {
	c.Helper()
	for _, record := range c.memory.Records() {
		if state, ok := record.(coordinator.State); ok && state.Revision > revision {
			c.Errorf("the state of %s was written at %d, after %d", state.Name, state.Revision, revision)
		}
	}
	if left := records[coordinator.Request](c); len(left) != 0 {
		c.Errorf("%d requests are left", len(left))
	}
}

func TestRefreshOfAPushedValueIsAnsweredAtOnce(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		before := c.memory.Revision()
		for _, call := range []coordinator.RefreshCall{{}, {Force: true}, {Wait: time.Minute}, {Above: 1, Wait: time.Minute}} {
			began := time.Now()
			_, err := c.nodes[1].Refresh(c.Context(), accessToken, call)
			if !errors.Is(err, coordinator.ErrNoNewerToken) || !strings.Contains(err.Error(), "freshet push shop/access_token") {
				c.Errorf("%+v: %v", call, err)
			}
			if took := time.Since(began); took > 0 {
				c.Errorf("%+v was answered after %v", call, took)
			}
		}
		c.noWritesSince(before)
	})
}

// Where a pushed value is on its way, a refresh waits for it.
func TestRefreshWaitsForWhatWasPushed(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		leader, _ := c.refresher()
		c.push(leader, "one")
		c.serves("one", 1)
		held := leader.store.HoldNext(memory.OpTakeInput)
		c.push(leader, "two")
		<-held.Sent()
		time.AfterFunc(5*time.Second, func() { _ = held.Deliver() })
		v, err := leader.Refresh(c.Context(), accessToken, coordinator.RefreshCall{Wait: time.Minute})
		c.must(err)
		if v.Version() != 2 {
			c.Errorf("version %d", v.Version())
		}
	})
}

func TestReportOfAPushedValueIsVisibleUntilTheNextPush(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		report := func(m *member) {
			c.Helper()
			began := time.Now()
			r, err := m.Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1, Code: "401"})
			if err != nil || r.Answer != coordinator.AnswerFailed || r.After != 1 || r.View.State.Reason != coordinator.ReasonReportedDead {
				c.Errorf("%+v, %v", r, err)
			}
			if took := time.Since(began); took > time.Second {
				c.Errorf("answered after %v", took)
			}
		}
		report(c.nodes[1])
		time.Sleep(time.Second)
		c.told(c.nodes[0], coordinator.StatusBlocked, "reported dead", "freshet push shop/access_token")
		before := c.memory.Revision()
		for range 100 {
			report(c.nodes[0])
		}
		c.noWritesSince(before)
		c.serves("one", 1) // a report is a claim, and there is nothing better
		c.push(c.nodes[0], "two")
		c.serves("two", 2)
		c.told(c.nodes[0], coordinator.StatusFresh)
		r, err := c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1})
		if err != nil || r.Answer != coordinator.AnswerReplaced {
			c.Errorf("a report of what was replaced: %+v, %v", r, err)
		}
	})
}

// A node that serves from its snapshot does not know when the report came, and names no date.
func TestReportOfAPushedValueIsToldFromASnapshot(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		_, err := c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1, Code: "401"})
		c.must(err)
		time.Sleep(time.Second)
		c.told(c.nodes[0], coordinator.StatusBlocked, "reported dead at 20")

		s := &shelf{}
		m := c.join("n2", s.with)
		synctest.Wait()
		m.stop()
		<-m.done
		m = c.join("n2", s.with, away)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !m.Health().FromSnapshot {
			c.Error("it does not serve from its snapshot")
		}
		c.told(m, coordinator.StatusBlocked, "reported dead, and nobody")
	})
}

// A pause holds what is pushed, and no answer: none needs a call.
func TestReportDuringAPauseIsAnswered(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		r, err := c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1})
		if err != nil || r.Answer != coordinator.AnswerFailed {
			c.Errorf("%+v, %v", r, err)
		}
	})
}

func TestWhatCannotBePushedIsSaid(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		before := c.memory.Revision()
		for says, change := range map[string]func(p *coordinator.Push){
			"no value":            func(p *coordinator.Push) { p.Value = coordinator.Secret{} },
			"control characters":  func(p *coordinator.Push) { p.Value = coordinator.NewSecret("canary\nvalue") },
			"spaces around it":    func(p *coordinator.Push) { p.Value = coordinator.NewSecret(" canary") },
			"longer than 65536":   func(p *coordinator.Push) { p.Value = coordinator.NewSecret(strings.Repeat("canary", 11000)) },
			"when the value ends": func(p *coordinator.Push) { p.Lifetime = 0 },
			"ended already":       func(p *coordinator.Push) { p.Lifetime, p.Expires = 0, time.Now().Add(-time.Minute) },
			"has ended":           func(p *coordinator.Push) { p.Lifetime = -time.Minute },
			"less than 10s":       func(p *coordinator.Push) { p.Lifetime = 9 * time.Second },
			"ten years":           func(p *coordinator.Push) { p.Lifetime, p.Expires = 0, time.Now().AddDate(11, 0, 0) },
			"token type":          func(p *coordinator.Push) { p.Type = strings.Repeat("x", 65) },
			"scope":               func(p *coordinator.Push) { p.Scope = "a\x00b" },
			"extra output":        func(p *coordinator.Push) { p.Extra = map[string]string{"a b": "c"} },
		} {
			p := value("canary", time.Hour)
			change(&p)
			_, err := c.nodes[0].Push(c.Context(), accessToken, p)
			if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") {
				c.Errorf("got error %v, want one that says %q", err, says)
			}
		}
		if _, err := c.nodes[0].Push(c.Context(), coordinator.Name{App: "shop", Token: "none"}, value("v", time.Hour)); !errors.Is(err, coordinator.ErrUnknownToken) {
			c.Errorf("a token that is not kept: %v", err)
		}
		c.noWritesSince(before)
		if left := records[coordinator.Input](c); len(left) != 0 {
			c.Errorf("%d inputs were written", len(left))
		}
	})
	bubble(t, 1, func(c *cluster) {
		c.apply(c.nodes[0], shop("stable"))
		c.value(c.nodes[0], accessToken, 0)
		_, err := c.nodes[0].Push(c.Context(), accessToken, value("v", time.Hour))
		if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), "provider is static") {
			c.Errorf("pushing to an app that is refreshed: %v", err)
		}
	})
}

// An intent that an inherited provider has left, and whose first call nobody knows
// the end of, stays for that provider, and hinders nobody.
func TestAnIntentOfAnotherProviderHindersNoPush(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		v, _ := c.nodes[0].View(accessToken)
		elected := records[coordinator.Elected](c)[0]
		_, err := c.nodes[0].store.Open(c.Context(), coordinator.Opening{
			Epoch: elected.Epoch, States: []coordinator.State{v.State},
			Intent: coordinator.Intent{App: "shop", Group: "access_token", Attempt: "second", Previous: "first", Incarnation: v.State.Incarnation, Epoch: elected.Epoch},
		})
		c.must(err)
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
	})
}
