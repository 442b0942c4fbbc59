package coordinator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/store/memory"
	"freshet/tracing"
)

// audited returns all records of who changed what, newest first.
func (c *cluster) audited(m *member) []coordinator.Audit {
	c.Helper()
	found, next, err := m.Audit(c.Context(), coordinator.AuditQuery{Limit: 1000})
	if err != nil || next != "" {
		c.Fatalf("records of who changed what: next %q, error %v", next, err)
	}
	return found
}

// deeds are the records in words, oldest first.
func (c *cluster) deeds(m *member) (deeds []string) {
	c.Helper()
	for _, a := range c.audited(m) {
		deed := strings.TrimSpace(fmt.Sprintf("%s %s %s", a.By, a.Action, strings.Join(a.Objects, ",")))
		if len(a.Changed) > 0 {
			deed += ": " + strings.Join(a.Changed, " ")
		}
		deeds = append([]string{deed}, deeds...)
	}
	return deeds
}

func (c *cluster) wantDeeds(m *member, want ...string) {
	c.Helper()
	if diff := cmp.Diff(want, c.deeds(m)); diff != "" {
		c.Errorf("records (-want +got):\n%s", diff)
	}
}

// by is an app that somebody applies.
func by(who string, app coordinator.App) coordinator.App {
	app.Owner = who
	return app
}

// then lets time pass after a change, since nodes order what they do by the clock.
func (c *cluster) then(err error) {
	c.Helper()
	c.must(err)
	time.Sleep(time.Second)
}

func TestItIsRecordedWhoChangedWhat(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		a, b := c.nodes[0], c.nodes[1]
		c.apply(a, by("api:ann", shop("plain")))
		c.then(nil)
		c.apply(a, by("api:ann", shop("plain"))) // changes nothing
		changed := by("api:bob", shop("plain"))
		changed.Credentials["secret"] = coordinator.NewSecret("another-canary-secret")
		changed.Labels = map[string]string{"team": "canary-value-of-a-label"}
		c.apply(b, changed)
		c.then(nil)
		for range 2 { // the second time changes nothing
			c.then(b.PauseApp(c.Context(), "api:bob", "shop", true))
		}
		c.then(a.PauseApp(c.Context(), "api:ann", "shop", false))
		for range 2 {
			c.then(a.PauseCluster(c.Context(), "api:ann", true))
		}
		for range 2 {
			c.then(b.PauseCluster(c.Context(), "api:bob", false))
		}
		orders := coordinator.Client{Name: "orders", Owner: "api:ann", Digest: coordinator.DigestOf(coordinator.NewSecret("a-client-key"))}
		c.then(a.AddClient(c.Context(), orders))
		if err := b.AddClient(c.Context(), orders); !errors.Is(err, coordinator.ErrClientExists) {
			c.Errorf("adding a client twice: %v", err)
		}
		c.then(b.RemoveClient(c.Context(), "api:bob", "orders"))
		c.then(a.Remove(c.Context(), "api:ann", "shop"))
		if err := a.Remove(c.Context(), "api:ann", "shop"); !errors.Is(err, coordinator.ErrUnknownApp) {
			c.Errorf("deleting an app twice: %v", err)
		}
		c.wantDeeds(a,
			"api:ann app_created shop: credentials.appid credentials.secret options.mode owner provider tokens.access_token",
			"api:bob app_updated shop: credentials.secret labels.team owner",
			"api:bob app_paused shop",
			"api:ann app_resumed shop",
			"api:ann cluster_paused",
			"api:bob cluster_resumed",
			"api:ann client_added orders",
			"api:bob client_deleted orders",
			"api:ann app_deleted shop",
		)
		for _, r := range c.audited(b) {
			if want := map[string]string{"api:ann": "n1", "api:bob": "n2"}[r.By]; r.Node != want || r.At.IsZero() {
				c.Errorf("%s was recorded by node %q at %s, want %q", r.Action, r.Node, r.At, want)
			}
			if text := fmt.Sprintf("%+v", r); strings.Contains(text, "canary") || strings.Contains(text, secret) || strings.Contains(text, "a-client-key") {
				c.Errorf("a record holds a value: %s", text)
			}
		}
	})
}

func TestLiftedBarsAreOneRecord(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		m := c.nodes[0]
		c.apply(m, by("api:ann", shop("plain")))
		for _, egress := range []string{"east", "west"} {
			c.must(m.store.PutBar(c.Context(), coordinator.Bar{App: "shop", Egress: egress, Until: time.Now().Add(time.Hour)}))
		}
		synctest.Wait()
		for _, want := range []int{2, 0} { // there is nothing left to lift the second time
			if lifted, err := m.LiftBars(c.Context(), "api:ann", "shop", ""); lifted != want || err != nil {
				c.Errorf("%d bars were lifted, error %v; want %d", lifted, err, want)
			}
		}
		if got := c.deeds(m)[1:]; len(got) != 1 || got[0] != "api:ann bars_lifted shop: egress.east egress.west" {
			c.Errorf("records %q", got)
		}
	})
}

func TestAnAuditRecordSaysWhichCallMadeTheChange(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		ctx, span := c.tracer.Start(c.Context(), "PUT /v1/apps/{app}")
		_, err := c.nodes[0].Apply(ctx, shop("plain"), coordinator.Applying{})
		span.End(err)
		c.must(err)
		made := c.audited(c.nodes[0])[0].Traceparent
		ours := slices.ContainsFunc(c.spans.Spans(), func(s tracing.Recorded) bool {
			return s.Name == "PUT /v1/apps/{app}" && strings.Contains(made, s.TraceID)
		})
		if !ours {
			c.Errorf("traceparent %q is none of the call's trace", made)
		}
	})
}

func TestALostAnswerAndAConflictLeaveOneRecord(t *testing.T) {
	for _, committed := range []bool{true, false} {
		bubble(t, 2, func(c *cluster) {
			a, b := c.nodes[0], c.nodes[1]
			a.store.LoseAnswer(memory.OpPutApp, committed)
			c.apply(a, shop("plain"))
			c.then(nil)
			a.store.LoseAnswer(memory.OpDeleteApp, committed)
			c.then(a.Remove(c.Context(), "api:ann", "shop"))
			a.store.LoseAnswer(memory.OpPutPaused, committed)
			c.then(a.PauseCluster(c.Context(), "api:ann", true))

			b.store.FailNext(memory.OpPutApp, 1, false, coordinator.ErrConflict)
			_, err := b.Apply(c.Context(), by("api:bob", shop("plain")), coordinator.Applying{})
			c.must(err)
			var got []string
			for _, r := range c.audited(a) {
				got = append(got, string(r.Action))
			}
			want := []string{"app_created", "cluster_paused", "app_deleted", "app_created"}
			if diff := cmp.Diff(want, got); diff != "" {
				c.Errorf("committed %v (-want +got):\n%s", committed, diff)
			}
		})
	}
}

func TestAChangeThatFailsLeavesNoRecord(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		m, mishap := c.nodes[0], errors.New("mishap")
		m.store.FailNext(memory.OpPutApp, 1, false, mishap)
		if _, err := m.Apply(c.Context(), shop("plain"), coordinator.Applying{}); !errors.Is(err, mishap) {
			c.Errorf("error %v, want %v", err, mishap)
		}
		bad := shop("plain")
		bad.Provider = "nobody"
		if _, err := m.Apply(c.Context(), bad, coordinator.Applying{}); !errors.Is(err, coordinator.ErrInvalid) {
			c.Errorf("an app that cannot be: error %v", err)
		}
		if _, err := m.Preview(shop("plain"), coordinator.Applying{}); err != nil {
			c.Error(err)
		}
		c.wantDeeds(m)
	})
}

func TestAReplacedGrantIsRecordedByItsName(t *testing.T) {
	granted(t, newFamily(coordinator.RotationStrict), func(c *cluster) {
		app := crm("refresh-canary-1")
		c.must(second(c.nodes[0].Apply(c.Context(), app, coordinator.Applying{})))
		again := crm("refresh-canary-2")
		c.must(second(c.nodes[0].Apply(c.Context(), again, coordinator.Applying{ReplaceGrant: true})))
		newest := c.audited(c.nodes[0])[0]
		if diff := cmp.Diff([]string{"grant"}, newest.Changed); diff != "" || newest.Action != coordinator.ActionAppUpdated {
			c.Errorf("%s (-want +got):\n%s", newest.Action, diff)
		}
		if text := fmt.Sprintf("%+v", c.audited(c.nodes[0])); strings.Contains(text, "canary") {
			c.Errorf("a record holds a refresh token: %s", text)
		}
	})
}

func TestRecordsAreFoundByAppAndActorInPages(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		m := c.nodes[0]
		for i := range 12 {
			name, who := "even", "api:ann"
			if i%2 == 1 {
				name, who = "odd", "api:bob"
			}
			c.must(m.AddClient(c.Context(), coordinator.Client{Name: fmt.Sprintf("c%d", i), Owner: who, Digest: coordinator.DigestOf(coordinator.NewSecret(fmt.Sprint(i)))}))
			app := many(i + 1)[i]
			app.Name, app.Owner, app.Labels = name, who, map[string]string{"n": fmt.Sprint(i)}
			app.Credentials["appid"] = coordinator.NewSecret("wx" + strings.Repeat(fmt.Sprint(i%2), 16))
			c.apply(m, app)
		}
		pages := func(q coordinator.AuditQuery) (sizes []int, seen int) {
			for last := ""; ; {
				found, next, err := m.Audit(c.Context(), q)
				c.must(err)
				sizes, seen = append(sizes, len(found)), seen+len(found)
				for _, a := range found {
					if last != "" && a.ID >= last {
						c.Errorf("record %s comes after %s", a.ID, last)
					}
					last = a.ID
					if q.By != "" && a.By != q.By || q.App != "" && a.Objects[0] != q.App {
						c.Errorf("%+v was not asked for by %+v", a, q)
					}
				}
				if q.Before = next; next == "" {
					return sizes, seen
				}
			}
		}
		for want, q := range map[string]coordinator.AuditQuery{
			"[10 10 4]": {Limit: 10}, "[12 12]": {Limit: 12}, "[24]": {Limit: 24},
			"[4 2]": {Limit: 4, App: "odd"}, "[5 5 2]": {Limit: 5, By: "api:bob"}, "[6]": {Limit: 6, By: "api:ann", App: "even"},
			"[0]": {Limit: 3, App: "c1"}, // a client of the name of no app
		} {
			if sizes, _ := pages(q); fmt.Sprint(sizes) != want {
				c.Errorf("%+v: pages of %v, want %s", q, sizes, want)
			}
		}
		for _, q := range []coordinator.AuditQuery{{Before: "../apps/shop"}, {By: "ann"}, {By: "apps.yaml"}, {App: "shop/access_token"}} {
			q.Limit = 3
			if _, _, err := m.Audit(c.Context(), q); !errors.Is(err, coordinator.ErrInvalid) {
				c.Errorf("%+v, which no record can have: error %v", q, err)
			}
		}
	})
}

func TestRecordsAreKeptForThirtyDays(t *testing.T) {
	bubbleOf(t, 1, calm(), func(c *cluster) {
		m := c.nodes[0]
		c.must(m.PauseCluster(c.Context(), "api:ann", true))
		time.Sleep(29 * 24 * time.Hour)
		c.must(m.PauseCluster(c.Context(), "api:ann", false))
		c.wantDeeds(m, "api:ann cluster_paused", "api:ann cluster_resumed")
		time.Sleep(2 * 24 * time.Hour)
		c.wantDeeds(m, "api:ann cluster_resumed")
	})
}

func TestTheRefresherKeepsTenThousandRecords(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		store := c.nodes[0].store
		for i := range coordinator.MostAudits + 1500 {
			a := &coordinator.Audit{ID: fmt.Sprintf("%026d", i), At: time.Now(), By: "api:ann"}
			c.must(store.LiftBars(c.Context(), nil, a))
		}
		time.Sleep(61 * time.Second)
		page, err := store.Audit(c.Context(), "", 2*coordinator.MostAudits)
		if err != nil || len(page.Records) != coordinator.MostAudits {
			c.Fatalf("%d records are left, error %v; want %d", len(page.Records), err, coordinator.MostAudits)
		}
		if oldest := page.Records[len(page.Records)-1].ID; oldest != fmt.Sprintf("%026d", 1500) {
			c.Errorf("the oldest that is left is %s", oldest)
		}
	})
}
