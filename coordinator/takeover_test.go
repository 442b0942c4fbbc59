package coordinator_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store/memory"
)

// The deadline counts from before the intent was sent: an intent that was
// answered late leaves the call less time.
func TestDeadlineCountsFromTheIntent(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Hang})
		held := c.nodes[0].store.HoldNext(memory.OpOpen)
		c.apply(c.nodes[0], shop("plain"))
		<-held.Sent()
		time.Sleep(8 * time.Second)
		c.must(held.Deliver())
		synctest.Wait()
		if got := c.sandbox.Oracle().Apps[appid].Minting.InFlight; got != 1 {
			c.Fatalf("%d calls under way after 8 s", got)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if got := c.sandbox.Oracle().Apps[appid].Minting.InFlight; got != 0 {
			c.Error("the call goes on after the deadline of its intent")
		}
	})
}

// A refresher is deposed, and knows it, while its call hangs: the next one waits
// until that call's deadline has passed.
func TestNoSecondCallBeforeTheFirstIsOver(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Hang})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.store.LoseSession(true)
		c.value(others[0], accessToken, 0)
		if got := c.sandbox.Oracle().Apps[appid]; got.Minting.Peak != 1 || got.Calls[sandbox.KindToken].Calls != 2 {
			c.Errorf("%d at once of %d calls", got.Minting.Peak, got.Calls[sandbox.KindToken].Calls)
		}
	})
}

// A deposed refresher whose call is answered publishes it itself as long as
// nobody has taken its intent over: no second call is made.
func TestDeposedRefresherSavesItsResult(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Delay, Delay: 8 * time.Second})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.store.LoseSession(true)
		v := c.value(others[0], accessToken, 0)
		time.Sleep(time.Minute)
		if v.State.NewestOutcome().Result != coordinator.ResultSalvaged || c.calls(sandbox.KindToken) != 1 {
			c.Errorf("result %q after %d calls", v.State.NewestOutcome().Result, c.calls(sandbox.KindToken))
		}
	})
}

// The same where the platform repeats the value that is held: the state says so, of
// an epoch that is over by then.
func TestDeposedRefresherSavesARepeatedValue(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("stable"))
		before := c.value(c.nodes[0], accessToken, 0).State
		synctest.Wait() // until the others know it
		leader, others := c.refresher()
		c.fault(sandbox.Fault{Kind: sandbox.KindStableToken, Count: 1, Do: sandbox.Delay, Delay: 4 * time.Second})
		_, err := others[0].Refresh(c.Context(), accessToken, coordinator.RefreshCall{})
		c.must(err)
		time.Sleep(time.Second)
		leader.store.LoseSession(true)
		time.Sleep(time.Minute)
		v := c.value(others[0], accessToken, 0)
		newest := v.State.NewestOutcome()
		if now := others[0].Status(); newest.Result != coordinator.ResultSame || v.State.Epoch != before.Epoch || now.Epoch <= before.Epoch || c.calls(sandbox.KindStableToken) != 2 {
			c.Errorf("result %q of epoch %d in epoch %d after %d calls", newest.Result, v.State.Epoch, now.Epoch, c.calls(sandbox.KindStableToken))
		}
	})
}

// A result whose intent was taken over is salvaged; the refresher finds it and
// publishes it without another call.
func TestSalvagedResultIsPublished(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Delay, Delay: 8 * time.Second, When: sandbox.After})
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Errcode, Errcode: 89503})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.store.Partition()
		time.Sleep(40 * time.Second)
		if got := c.calls(sandbox.KindToken); got != 2 {
			c.Fatalf("%d calls, want the first and the one after the takeover", got)
		}
		if v, _ := others[0].View(accessToken); v.Version() != 0 {
			c.Fatal("the takeover was to fail")
		}
		leader.store.Heal()
		time.Sleep(10 * time.Second)
		v := c.value(others[0], accessToken, 0)
		if got := c.calls(sandbox.KindToken); got != 2 || !c.sandbox.Alive(v.Token.Value.Reveal()) {
			c.Errorf("%d calls; the value lives: %t", got, c.sandbox.Alive(v.Token.Value.Reveal()))
		}
		time.Sleep(time.Minute)
		if left := records[coordinator.Salvage](c); len(left) != 0 {
			c.Errorf("%d salvaged results are left", len(left))
		}
	})
}

// A parent's credentials change while the call of its child is under way.
func TestResultUnderFormerCredentialsOfAParentIsDropped(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], accessToken, 0)
		const branch = "wx0000000000000003"
		name := coordinator.Name{App: "branch", Token: "access_token"}
		c.fault(sandbox.Fault{App: branch, Kind: sandbox.KindToken, Count: 1, Do: sandbox.Delay, Delay: 5 * time.Second, When: sandbox.After})
		c.apply(c.nodes[0], coordinator.App{Name: "branch", Parent: "shop", Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret(branch)}})
		time.Sleep(time.Second)
		former, _ := c.sandbox.Current(branch, sandbox.LinePlain)
		parent := shop("plain")
		parent.Credentials["secret"] = coordinator.NewSecret("a-new-secret-of-the-parent")
		for _, id := range []string{appid, branch} {
			c.must(c.sandbox.UpdateApp(id, func(a *sandbox.App) error { a.Secret = "a-new-secret-of-the-parent"; return nil }))
		}
		c.apply(c.nodes[1], parent)
		v := c.value(c.nodes[1], name, 0)
		if v.Token.Value.Reveal() == former {
			c.Error("a result of the former credentials was published")
		}
		if i := slices.IndexFunc(records[coordinator.Intent](c), func(i coordinator.Intent) bool { return i.App == "branch" }); i >= 0 {
			c.Error("its intent is left")
		}
	})
}

func TestNoValueIsServedPastItsExpiry(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		v := c.value(c.nodes[1], accessToken, 0)
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Status})
		time.Sleep(time.Until(v.Token.Expires) - 3*time.Second)
		if _, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{}); err != nil {
			c.Errorf("three seconds before its expiry: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{}); err == nil {
			c.Error("served a second before its expiry: clocks may differ by two")
		}
	})
}

// A connection that broke says nothing of what the platform does: nobody asks
// again before the deadline of the first call.
func TestBrokenCallIsNotRepeatedBeforeItsDeadline(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Reset})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(9 * time.Second)
		if got := c.calls(sandbox.KindToken); got != 1 {
			c.Errorf("%d calls before the deadline", got)
		}
		c.value(c.nodes[1], accessToken, 0)
	})
}

// The last results of a node that ends reach its own memory, by the way they
// reach everybody's.
func TestEndingNodeSeesItsLastResult(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: 6 * time.Second})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, _ := c.refresher()
		leader.stop()
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		if _, err := leader.Read(c.Context(), accessToken, coordinator.Want{}); err != nil {
			c.Error(err)
		}
	})
}

// deaf is a store whose answers to publications never arrive.
type deaf struct{ coordinator.Store }

func (s deaf) Publish(ctx context.Context, p coordinator.Publication) (int64, error) {
	if _, err := s.Store.Publish(ctx, p); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

// A publication whose answer is lost with the store was seen by the node itself:
// nothing is in hand any more.
func TestEndingNodeDoesNotHoldWhatItSawPublished(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		c.logs = &bytes.Buffer{}
		m := c.join("n1", func(config *coordinator.Config) { config.Store = deaf{config.Store} })
		synctest.Wait()
		c.apply(m, shop("plain"))
		c.value(m, accessToken, 0)
		began := time.Now()
		m.stop()
		<-m.done
		if took := time.Since(began); took > time.Second {
			c.Errorf("the end took %v", took)
		}
		if strings.Contains(c.logs.String(), "could not be saved") {
			c.Error("a result that was saved is said not to be")
		}
	})
}

// The platform repeats a stable token until its last minutes: that is no new version.
func TestRepeatedValueIsNoNewVersion(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("stable"))
		c.value(c.nodes[1], accessToken, 0)
		v, err := c.nodes[1].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Wait: time.Minute})
		if !errors.Is(err, coordinator.ErrNoNewerToken) || v.Version() != 1 || v.State.NewestOutcome().Result != coordinator.ResultSame {
			c.Errorf("version %d, result %q, %v", v.Version(), v.State.NewestOutcome().Result, err)
		}
		v, err = c.nodes[1].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Force: true, Wait: time.Minute})
		if err != nil || v.Version() != 2 {
			c.Errorf("forced: version %d, %v", v.Version(), err)
		}
	})
}

// Where somebody must act first, whoever asks is told so at once.
func TestBlockedAppAnswersAtOnce(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		v := c.value(c.nodes[0], accessToken, 0)
		c.must(c.sandbox.UpdateApp(appid, func(a *sandbox.App) error { a.SecretFrozen = true; return nil }))
		c.sandbox.KillToken(v.Token.Value.Reveal())
		synctest.Wait()
		_, _ = c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1})
		synctest.Wait()
		began := time.Now()
		r, err := c.nodes[1].Report(c.Context(), accessToken, coordinator.ReportCall{Version: 1})
		if err != nil || r.Answer != coordinator.AnswerFailed || time.Since(began) > time.Second {
			c.Errorf("%q after %v, %v", r.Answer, time.Since(began), err)
		}
		_, err = c.nodes[1].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Wait: time.Minute})
		if !errors.Is(err, coordinator.ErrNoNewerToken) || time.Since(began) > time.Second {
			c.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// A report soon after a forced refresh is examined at once; only the next forced
// call waits until the platform allows it.
func TestReportSoonAfterAForcedRefresh(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("stable"))
		c.value(c.nodes[0], accessToken, 0)
		v, err := c.nodes[0].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Force: true, Wait: time.Minute})
		c.must(err)
		r, err := c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: v.Version()})
		if err != nil || r.Answer != coordinator.AnswerAlive {
			c.Errorf("a living value: %q, %v", r.Answer, err)
		}
		began := time.Now()
		c.sandbox.KillToken(v.Token.Value.Reveal())
		r, err = c.nodes[0].Report(c.Context(), accessToken, coordinator.ReportCall{Version: v.Version()})
		if err != nil || r.Answer != coordinator.AnswerRefreshing || time.Since(began) > time.Second {
			c.Errorf("a dead value: %q after %v, %v", r.Answer, time.Since(began), err)
		}
		c.value(c.nodes[0], accessToken, v.Version())
		if took := time.Since(began); took < 31*time.Second || took > 35*time.Second {
			c.Errorf("replaced after %v", took)
		}
		o := c.sandbox.Oracle().Apps[appid]
		if o.Forced != 2 || o.Calls[sandbox.KindProbe].Calls != 2 {
			c.Errorf("%d forced calls and %d probes, want 2 and 2", o.Forced, o.Calls[sandbox.KindProbe].Calls)
		}
	})
}
