package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func TestATwinIsNamedOnlyToWhoMaySeeIt(t *testing.T) {
	node := newFake()
	node.person("blind", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"shop/*"}})
	node.person("viewer", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"shop/*"}, coordinator.VerbView: {"big0077/*"}})
	node.person("admin", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"**"}})
	twin := &coordinator.TwinError{App: "shop", Twin: "big0077", Identity: "appid wx77"}
	node.err = fmt.Errorf("applying: %w", twin)
	a, _ := newAPI(t, node)
	for key, want := range map[string]string{
		"blind": "another app has the same identity at the platform", "viewer": twin.Error(), "admin": twin.Error(),
	} {
		for _, target := range []string{"/v1/apps/shop", "/v1/apps/shop?dry_run=1"} {
			p := refused(t, do(t, a.Handler(), ask{method: http.MethodPut, target: target, key: key, body: shopBody}), 400, "invalid_request")
			if p.Detail != want {
				t.Errorf("%s for %s: %q, want %q", target, key, p.Detail, want)
			}
		}
	}
}

func TestStatusCountsWhatTheClientMaySee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dying := token("crm", 3, "v")
		dying.Token.Expires = time.Now().Add(time.Minute)
		pending := &coordinator.View{
			Name:  coordinator.Name{App: "shop", Token: "ticket"},
			State: coordinator.State{Status: coordinator.StatusPending},
		}
		node := newFake().hold(token("shop", 7, "v"), pending, dying)
		node.apps["shop"], node.apps["crm"] = coordinator.App{Name: "shop"}, coordinator.App{Name: "crm"}
		node.person("k", map[coordinator.Verb][]string{coordinator.VerbView: {"shop/*"}, coordinator.VerbRead: {"**"}})
		node.person("none", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"else/*"}})
		node.status = coordinator.ClusterStatus{
			Node: "n1", Refresher: "n2", Epoch: 12, Nodes: 2, Apps: 2, Tokens: 3, OutageTolerance: time.Minute,
			States: map[coordinator.Status]int{coordinator.StatusFresh: 2, coordinator.StatusPending: 1},
		}
		a, _ := newAPI(t, node)
		got := decode[client.Status](t, do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/status", key: "k"}))
		want := client.Status{
			Node: "n1", Refresher: "n2", Epoch: 12, Nodes: 2, Apps: 1, Tokens: 2, States: map[string]int{"fresh": 1, "pending": 1},
			OutageToleranceSeconds: new((119*time.Minute - node.Margin()).Seconds()), Source: "none", Build: "test",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		got = decode[client.Status](t, do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/status", key: "none"}))
		if got.Apps != 0 || got.Tokens != 0 || len(got.States) != 0 || got.OutageToleranceSeconds != nil {
			t.Errorf("who may see nothing sees %+v", got)
		}
	})
}

func TestASilentStoreIsToldInOneSentence(t *testing.T) {
	const unsure = "etcd did not answer in time: the change may or may not have been made; look at the state, then try again"
	node := newFake().root().hold(token("shop", 7, "v"))
	a, _ := newAPI(t, node)
	for err, code := range map[error]string{
		coordinator.ErrAmbiguous: "outcome_unknown",
		context.DeadlineExceeded: "store_unavailable",
	} {
		node.err = fmt.Errorf("writing: %w", err)
		for _, q := range []ask{
			{method: http.MethodDelete, target: "/v1/apps/shop"},
			{method: http.MethodPost, target: "/v1/tokens/shop/access_token/refresh"},
		} {
			if p := refused(t, do(t, a.Handler(), q), 503, code); p.Detail != unsure {
				t.Errorf("%s: %q", q.target, p.Detail)
			}
		}
	}
	node.readErr = context.DeadlineExceeded
	p := refused(t, get(t, a.Handler(), "/v1/tokens/shop"), 503, "store_unavailable")
	if p.Detail != "etcd did not answer in time: try again" {
		t.Errorf("a read: %q", p.Detail)
	}
}

func TestPermissionsThatPermitNothingAreRefused(t *testing.T) {
	node := newFake().root()
	a, _ := newAPI(t, node)
	for can, want := range map[string]string{
		`{}`: `"can" is missing`, `null`: `"can" is missing`,
		`{"read":[]}`: `"read" has no names`, `{"view":["**"],"read":null}`: `"read" has no names`,
		`{"read":["***"]}`: `"***"`, `{"read":["shop/*","a/****"]}`: `"a/****"`,
	} {
		p := refused(t, do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/clients", body: `{"name":"o","can":` + can + `}`}), 400, "invalid_request")
		if !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %q does not say %s", can, p.Detail, want)
		}
	}
	if len(node.calls) > 0 {
		t.Errorf("did %v", node.calls)
	}
}

func TestWaitsReadAlikeInQueryAndBody(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "0": 0, "1.5s": 1500 * time.Millisecond, "9999h": time.Minute, "99999999h": time.Minute, "99999999999999999999s": time.Minute,
		"-1s": -1, "-99999999h": -1, "30": -1, "": -1, "x": -1, "99999999999999999999": -1,
	} {
		synctest.Test(t, func(t *testing.T) {
			node := newFake().root().hold(token("shop", 7, "v"))
			node.apps["shop"] = coordinator.App{Name: "shop", Tokens: map[string]coordinator.TokenSettings{"access_token": {}}}
			a, _ := newAPI(t, node)
			began := time.Now()
			query := get(t, a.Handler(), "/v1/tokens/shop?after=7&wait="+text)
			if took := time.Since(began); took != max(0, want) {
				t.Errorf("query %q waited %s", text, took)
			}
			for _, target := range []string{"/v1/tokens/shop/access_token/refresh", "/v1/apps/shop/refresh"} {
				node.refreshed = nil
				w := do(t, a.Handler(), ask{method: http.MethodPost, target: target, body: `{"wait":"` + text + `"}`})
				if want < 0 {
					refused(t, w, 400, "invalid_request")
					continue
				}
				if len(node.refreshed) != 1 || node.refreshed[0].Wait != want {
					t.Errorf("%s %q: status %d, calls %v", target, text, w.Code, node.refreshed)
				}
			}
			if (want < 0) != (query.Code == http.StatusBadRequest) {
				t.Errorf("query %q: status %d", text, query.Code)
			}
		})
	}
}

// refreshing is a node with an app of two tokens, of which the second is refused.
func refreshing(refusal error) *fakeNode {
	node := newFake().root().hold(token("shop", 7, "v"), token("shop/ticket", 3, "v"))
	node.apps["shop"] = coordinator.App{Name: "shop", Tokens: map[string]coordinator.TokenSettings{"access_token": {}, "ticket": {}}}
	node.refusals = map[coordinator.Name]error{{App: "shop", Token: "ticket"}: refusal}
	return node
}

func TestRefreshOfAnAppAnswersForEachToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := refreshing(&coordinator.NoValueError{Err: coordinator.ErrNoNewerToken, View: token("shop/ticket", 3, "v")})
		a, _ := newAPI(t, node)
		time.AfterFunc(time.Second, func() { node.publish(token("shop", 8, "new")) })
		w := do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/apps/shop/refresh", body: `{"wait":"5s"}`})
		got := decode[client.AppRefreshAnswer](t, w).Tokens
		if w.Code != http.StatusAccepted || len(got) != 2 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if got[0].Version != 8 || got[0].After != 7 || got[0].Problem != nil {
			t.Errorf("the renewed one: %+v", got[0])
		}
		if p := got[1].Problem; got[1].Version != 3 || got[1].State.State != "fresh" || p == nil || p.Code != "no_newer_token" || p.Token != "ticket" {
			t.Errorf("the refused one: %+v, problem %+v", got[1], got[1].Problem)
		}
		node.refusals = nil
		time.AfterFunc(time.Second, func() { node.publish(token("shop", 9, "new")) })
		time.AfterFunc(2*time.Second, func() { node.publish(token("shop/ticket", 4, "new")) })
		if w := do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/apps/shop/refresh", body: `{"wait":"5s"}`}); w.Code != http.StatusOK {
			t.Errorf("all renewed: status %d: %s", w.Code, w.Body)
		}
	})
}

func TestRefreshOfAnAppThatReachesNoTokenIsRefused(t *testing.T) {
	node := refreshing(nil)
	node.err = coordinator.ErrAmbiguous
	a, _ := newAPI(t, node)
	refused(t, do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/apps/shop/refresh"}), 503, "outcome_unknown")
}

func TestRefreshOfAnAppKeepsTheProblemOfEachToken(t *testing.T) {
	refusal := &coordinator.NoValueError{Err: coordinator.ErrReauthorize, View: token("shop/ticket", 3, "v")}
	node := refreshing(refusal)
	node.refusals[coordinator.Name{App: "shop", Token: "access_token"}] = refusal
	a, _ := newAPI(t, node)
	w := do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/apps/shop/refresh"})
	if got := decode[client.AppRefreshAnswer](t, w).Tokens; w.Code != http.StatusAccepted || len(got) != 2 || got[0].Problem == nil || got[1].Problem == nil {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestTheSameValueAgainIsSaidSo(t *testing.T) {
	const same = "the platform gave the same value again; a forced refresh makes it give another"
	synctest.Test(t, func(t *testing.T) {
		v := token("shop", 7, "v")
		v.State.Outcomes = []coordinator.Outcome{{Result: coordinator.ResultSame}, {Result: coordinator.ResultPublished}}
		node := newFake().root().hold(v)
		a, _ := newAPI(t, node)
		const target = "/v1/tokens/shop/access_token/refresh"
		p := refused(t, do(t, a.Handler(), ask{method: http.MethodPost, target: target, body: `{"wait":"1s"}`}), 503, "no_newer_token")
		if p.Detail != "shop/access_token: "+same {
			t.Errorf("detail %q", p.Detail)
		}
		p = refused(t, do(t, a.Handler(), ask{method: http.MethodPost, target: target, body: `{"wait":"1s","force":true}`}), 503, "no_newer_token")
		if strings.Contains(p.Detail, same) {
			t.Errorf("forced: detail %q", p.Detail)
		}
		v.State.Outcomes = v.State.Outcomes[1:]
		p = refused(t, do(t, a.Handler(), ask{method: http.MethodPost, target: target, body: `{"wait":"1s"}`}), 503, "no_newer_token")
		if strings.Contains(p.Detail, same) {
			t.Errorf("after another outcome: detail %q", p.Detail)
		}
	})
}

func TestAPausedTokensRetryAfterIsPassedOn(t *testing.T) {
	v := token("shop", 7, "v")
	v.Paused = true
	node := newFake().root().hold(v)
	node.readErr = &coordinator.NoValueError{Err: coordinator.ErrNoNewerToken, View: v, RetryAfter: time.Minute}
	a, _ := newAPI(t, node)
	for _, w := range []string{"GET /v1/tokens/shop?after=7", "POST /v1/tokens/shop/access_token/refresh"} {
		method, target, _ := strings.Cut(w, " ")
		got := do(t, a.Handler(), ask{method: method, target: target, body: map[string]string{"POST": `{"wait":"1s"}`}[method]})
		if refused(t, got, 503, "no_newer_token"); got.Header().Get("Retry-After") != "60" {
			t.Errorf("%s: Retry-After %q", w, got.Header().Get("Retry-After"))
		}
	}
}
