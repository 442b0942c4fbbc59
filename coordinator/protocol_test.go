package coordinator_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store/memory"
)

// records returns the records of one kind.
func records[R coordinator.Record](c *cluster) []R {
	var found []R
	for _, record := range c.memory.Records() {
		if r, ok := record.(R); ok {
			found = append(found, r)
		}
	}
	return found
}

func (c *cluster) fault(f sandbox.Fault) {
	c.Helper()
	c.must(c.sandbox.AddFault(f))
}

// A refresher is cut off from the store while its call is under way, and stays
// so until another one has fetched and published. Its own result must not
// replace the newer one; it is salvaged, found stale, and deleted.
func TestDeposedRefresherReplacesNothing(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Delay, Delay: 8 * time.Second, When: sandbox.After})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.store.Partition()
		v := c.value(others[0], accessToken, 0)
		published := v.Token.Value.Reveal()
		time.Sleep(time.Minute)
		leader.store.Heal()
		time.Sleep(time.Minute)
		after := c.value(others[0], accessToken, 0)
		if after.Version() != 1 || after.Token.Value.Reveal() != published {
			c.Errorf("version %d replaced the published value", after.Version())
		}
		if left := records[coordinator.Salvage](c); len(left) != 0 {
			c.Errorf("%d salvaged results are left", len(left))
		}
		if left := records[coordinator.Intent](c); len(left) != 0 {
			c.Errorf("%d intents are left", len(left))
		}
	})
}

// The next call begins only after the deadline of the unfinished one.
func TestTakeoverWaitsForTheDeadline(t *testing.T) {
	const session = 5 * time.Second // shorter than the call, so that the wait shows
	bubbleOf(t, 2, memory.Config{SessionTTL: session}, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Hang})
		began := time.Now()
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.store.Partition()
		c.value(others[0], accessToken, 0)
		o := c.sandbox.Oracle().Apps[appid]
		if o.Minting.Peak != 1 || o.Calls[sandbox.KindToken].Calls != 2 {
			c.Errorf("%d at once of %d calls", o.Minting.Peak, o.Calls[sandbox.KindToken].Calls)
		}
		if took := time.Since(began); took < 12*time.Second || took > 30*time.Second {
			c.Errorf("a new value after %v", took)
		}
	})
}

// Each transaction of a refresh loses its answer, having been committed or not:
// one call, one version, nothing left over.
func TestLostAnswersAreSettled(t *testing.T) {
	for _, op := range []memory.Op{memory.OpOpen, memory.OpPublish} {
		for _, persist := range []bool{false, true} {
			t.Run(string(op), func(t *testing.T) {
				bubble(t, 2, func(c *cluster) {
					leader, _ := c.refresher()
					leader.store.LoseAnswer(op, persist)
					c.apply(c.nodes[0], shop("plain"))
					v := c.value(c.nodes[1], accessToken, 0)
					time.Sleep(time.Minute)
					if v.Version() != 1 || c.calls(sandbox.KindToken) != 1 || len(records[coordinator.Intent](c)) != 0 {
						c.Errorf("version %d, %d calls, %d intents", v.Version(), c.calls(sandbox.KindToken), len(records[coordinator.Intent](c)))
					}
				})
			})
		}
	}
}

// An intent that was sent but not answered until its deadline makes no call; if
// it commits later nobody works under it, and it is taken over.
func TestIntentThatCommitsTooLateIsSwept(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		leader, _ := c.refresher()
		held := leader.store.HoldNext(memory.OpOpen)
		c.apply(c.nodes[0], shop("plain"))
		<-held.Sent()
		time.Sleep(time.Minute)
		if got := c.calls(sandbox.KindToken); got != 0 {
			c.Errorf("%d calls before the intent was known to stand", got)
		}
		c.must(held.Deliver())
		c.value(c.nodes[1], accessToken, 0)
		if got := c.calls(sandbox.KindToken); got != 1 {
			c.Errorf("%d calls", got)
		}
	})
}

// Credentials change while a call with the old ones is under way: its result is
// the old account's and is dropped.
func TestResultOfAFormerLifeIsDropped(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Delay, Delay: 5 * time.Second, When: sandbox.After})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		app := shop("plain")
		app.Credentials["appid"] = coordinator.NewSecret("wx0000000000000002")
		c.apply(c.nodes[1], app)
		v := c.value(c.nodes[1], accessToken, 0)
		current, _ := c.sandbox.Current("wx0000000000000002", sandbox.LinePlain)
		if v.Token.Value.Reveal() != current {
			c.Error("the value of the former account is served")
		}
		time.Sleep(time.Minute)
		if v := c.value(c.nodes[0], accessToken, 0); v.Version() != 1 || len(records[coordinator.Intent](c)) != 0 {
			c.Errorf("version %d, %d intents", v.Version(), len(records[coordinator.Intent](c)))
		}
	})
}

func TestPausedAppIsLeftAlone(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		c.must(c.nodes[1].PauseApp(c.Context(), "api:test", "shop", true))
		time.Sleep(24 * time.Hour)
		v, _ := c.nodes[0].View(accessToken)
		if got := c.calls(sandbox.KindToken); got != 1 || v.Status(time.Now()) != coordinator.StatusPaused {
			c.Errorf("%d calls, status %s", got, v.Status(time.Now()))
		}
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		synctest.Wait()
		c.value(c.nodes[1], accessToken, 1)
		c.must(c.nodes[0].PauseCluster(c.Context(), "test", true))
		time.Sleep(24 * time.Hour)
		if got := c.calls(sandbox.KindToken); got != 2 {
			c.Errorf("%d calls while the cluster was paused", got)
		}
	})
}

// A ticket call is refused for the token it was made with: the token is
// replaced, then the ticket is fetched with the new one.
func TestDeadParentIsReplacedFirst(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain", "jsapi_ticket"))
		c.value(c.nodes[1], jsapiTicket, 0)
		v := c.value(c.nodes[1], accessToken, 0)
		c.sandbox.KillToken(v.Token.Value.Reveal())
		ticket, _ := c.nodes[1].View(jsapiTicket)
		c.sandbox.KillToken(ticket.Token.Value.Reveal())
		if _, err := c.nodes[1].Refresh(c.Context(), jsapiTicket, coordinator.RefreshCall{Wait: time.Minute}); err != nil {
			c.Error(err)
		}
		if c.value(c.nodes[1], accessToken, 0).Version() != 2 {
			c.Error("the dead token was not replaced")
		}
	})
}

func TestChildInheritsFromItsParent(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		child := coordinator.App{Name: "branch", Parent: "shop", Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret("wx0000000000000003")}}
		c.apply(c.nodes[0], child)
		name := coordinator.Name{App: "branch", Token: "access_token"}
		c.value(c.nodes[1], name, 0)
		if got := c.sandbox.Oracle().Apps["wx0000000000000003"].Calls[sandbox.KindToken].Calls; got != 1 {
			c.Errorf("%d plain calls for the child", got)
		}
		if err := c.nodes[0].Remove(c.Context(), "api:test", "shop"); !errors.Is(err, coordinator.ErrInvalid) {
			c.Errorf("deleting a parent: %v", err)
		}
	})
}

// A child that was refused for what its parent gives it is tried again as soon as
// the parent has changed, not only when it would be looked at again.
func TestChildIsMendedWithItsParent(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		app := shop("plain")
		app.Credentials["secret"] = coordinator.NewSecret("wrong")
		c.apply(c.nodes[0], app)
		const appid = "wx0000000000000003"
		c.must(c.sandbox.UpdateApp(appid, func(a *sandbox.App) error { a.Secret = secret; return nil }))
		c.apply(c.nodes[0], coordinator.App{Name: "branch", Parent: "shop", Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret(appid)}})
		name := coordinator.Name{App: "branch", Token: "access_token"}
		time.Sleep(24 * time.Hour)
		if v, _ := c.nodes[1].View(name); v.State.Status != coordinator.StatusBlocked {
			c.Fatalf("status %s with the wrong secret", v.State.Status)
		}
		refused := c.sandbox.Oracle().Apps[appid].Calls[sandbox.KindToken].Calls
		c.between("calls with a wrong secret in a day", refused, 20, 40)
		began := time.Now()
		c.apply(c.nodes[0], shop("plain"))
		synctest.Wait()
		c.value(c.nodes[1], name, 0)
		if took := time.Since(began); took > time.Second {
			c.Errorf("mended after %v", took)
		}
		if calls := c.sandbox.Oracle().Apps[appid].Calls[sandbox.KindToken].Calls; calls != refused+1 {
			c.Errorf("%d calls to mend it", calls-refused)
		}
	})
}

func TestSeedIsAppliedOncePerContent(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		app := shop("plain")
		c.seed = &coordinator.Seed{File: "apps.yaml", Hash: "1", Apps: []coordinator.App{app}}
		first := c.join("n1")
		synctest.Wait()
		c.value(first, accessToken, 0)
		c.must(first.Remove(c.Context(), "api:test", "shop"))
		first.store.LoseSession(true)
		time.Sleep(time.Minute)
		if _, ok := first.App("shop"); ok {
			c.Error("a content that was applied before brought a deleted app back")
		}
		c.seed = &coordinator.Seed{File: "apps.yaml", Hash: "2", Apps: []coordinator.App{app}}
		second := c.join("n2")
		first.stop()
		time.Sleep(10 * time.Second)
		c.value(second, accessToken, 1)
	})
}

// A content with an entry that is refused is applied once all the same: what
// somebody deletes afterwards does not come back.
func TestRefusedEntryDoesNotReviveTheOthers(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		twin := shop("plain")
		twin.Name = "twin"
		key := coordinator.NewSecret("a-client-key-of-some-length")
		orders := coordinator.Client{Name: "orders", Digest: coordinator.DigestOf(key), Can: map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*"}}}
		c.seed = &coordinator.Seed{File: "apps.yaml", Hash: "1", Apps: []coordinator.App{shop("plain"), twin}, Clients: []coordinator.Client{orders}}
		m := c.join("n1")
		synctest.Wait()
		c.value(m, accessToken, 0)
		c.must(m.RemoveClient(c.Context(), "api:test", "orders"))
		m.store.LoseSession(true)
		time.Sleep(time.Minute)
		if _, ok := m.Authenticate(key); ok {
			c.Error("a client that was deleted is back")
		}
	})
}

// One refresh is one trace: its steps, the upstream call, and the moment each node applied it.
func TestOneRefreshIsOneTrace(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		for _, m := range c.nodes {
			c.value(m, accessToken, 0)
		}
		synctest.Wait()
		var trace string
		names := map[string]int{}
		for _, span := range c.spans.Spans() {
			if span.Name == "refresh" {
				trace = span.TraceID
			}
		}
		for _, span := range c.spans.Spans() {
			if span.TraceID == trace {
				names[span.Name]++
			}
		}
		for name, want := range map[string]int{"refresh": 1, "open intent": 1, "look for salvage": 1, "fetch": 1, "publish": 1, "applied": 3} {
			if names[name] != want {
				c.Errorf("%d spans %q, want %d (%v)", names[name], name, want, names)
			}
		}
	})
}

func TestRefresherWhoseElectionKeyIsDeletedStepsDown(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		leader, others := c.refresher()
		leader.store.DeleteElectionKey()
		time.Sleep(5 * time.Second)
		if now, _ := c.refresher(); now == leader && !slices.Contains(others, now) {
			c.Error("it still leads")
		}
		c.apply(leader, shop("plain"))
		c.value(leader, accessToken, 0)
	})
}

// Whoever may change an app must not be able to have its secret sent to a host of theirs.
func TestStoredSecretFollowsNoNewUpstream(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		for _, change := range []func(*coordinator.App){
			func(a *coordinator.App) { a.Upstream = "https://evil.example" },
			func(a *coordinator.App) {
				a.Options = map[string]string{"mode": "stable", "backup_hosts": "evil.example"}
			},
		} {
			app := shop("plain")
			app.Credentials = nil
			change(&app)
			if _, err := c.nodes[0].Apply(c.Context(), app, coordinator.Applying{}); !errors.Is(err, coordinator.ErrInvalid) {
				c.Errorf("applied without the secret: %v", err)
			}
		}
		app := shop("plain")
		app.Credentials = nil
		app.Labels = map[string]string{"team": "retail"}
		c.apply(c.nodes[0], app)
	})
}

// Nothing that is logged, traced or told in a state holds a secret or a value.
func TestSecretsStaySecret(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		c.logs = &bytes.Buffer{}
		c.join("n1")
		c.join("n2")
		synctest.Wait()
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Reset})
		c.apply(c.nodes[0], shop("plain", "jsapi_ticket"))
		v := c.value(c.nodes[1], accessToken, 0)
		ticket := c.value(c.nodes[1], jsapiTicket, 0)
		values := []string{secret, v.Token.Value.Reveal(), ticket.Token.Value.Reveal()}
		c.must(c.sandbox.UpdateApp(appid, func(a *sandbox.App) error { a.SecretFrozen = true; return nil }))
		c.sandbox.KillToken(v.Token.Value.Reveal())
		_, _ = c.nodes[1].Report(c.Context(), accessToken, coordinator.ReportCall{Version: v.Version(), Code: "40001"})
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		text := c.logs.String() + fmt.Sprintf("%+v", c.spans.Spans()) + fmt.Sprintf("%+v", c.memory.Records())
		for i, value := range values {
			if strings.Contains(text, value) {
				c.Errorf("value %d was printed", i)
			}
		}
		if c.logs.Len() == 0 || len(c.spans.Spans()) == 0 {
			c.Error("nothing was searched")
		}
	})
}
