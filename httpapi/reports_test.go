package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

const reportTarget = "/v1/tokens/shop/access_token/report"

func report(t *testing.T, h http.Handler, body string) client.ReportAnswer {
	t.Helper()
	w := do(t, h, ask{method: http.MethodPost, target: reportTarget, body: body})
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return decode[client.ReportAnswer](t, w)
}

func TestReportAnswersTheVerdictAndTheVersionToAskFor(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "v"))
	node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
	a, _ := newAPI(t, node)
	got := report(t, a.Handler(), `{"version":7,"code":"40001"}`)
	want := client.ReportAnswer{App: "shop", Token: "access_token", Verdict: client.VerdictRefreshing, After: 7, Version: 7, State: "fresh"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	report(t, a.Handler(), `{"fingerprint":"f00d"}`)
	calls := []coordinator.ReportCall{{Version: 7, Code: "40001"}, {Fingerprint: "f00d"}}
	if diff := cmp.Diff(calls, node.reported); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestReportsAreLimitedPerClientAndToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFake().root().hold(token("shop", 7, "v"), token("crm", 7, "v"))
		node.person("k", map[coordinator.Verb][]string{coordinator.VerbRead: {"**"}})
		a, _ := newAPI(t, node)
		h := a.Handler()
		asked := ask{method: http.MethodPost, target: reportTarget, body: `{"version":7}`}
		for range reportBurst {
			if w := do(t, h, asked); w.Code != http.StatusOK {
				t.Fatalf("status %d within the burst", w.Code)
			}
		}
		w := do(t, h, asked)
		refused(t, w, http.StatusTooManyRequests, "rate_limited")
		if w.Header().Get("Retry-After") != "1" || len(node.reported) != reportBurst {
			t.Errorf("Retry-After %q after %d reports", w.Header().Get("Retry-After"), len(node.reported))
		}
		another := asked
		another.key = "k"
		elsewhere := asked
		elsewhere.target = "/v1/tokens/crm/access_token/report"
		if do(t, h, another).Code != http.StatusOK || do(t, h, elsewhere).Code != http.StatusOK {
			t.Error("the limit of one client and token holds for others")
		}
		time.Sleep(reportEvery)
		if w := do(t, h, asked); w.Code != http.StatusOK {
			t.Errorf("status %d after a second", w.Code)
		}
	})
}

func TestWhoHasJustReportedWaitsForTheNextVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFake().root().hold(token("shop", 7, "dead"))
		node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
		a, _ := newAPI(t, node)
		h := a.Handler()
		report(t, h, `{"version":7}`)
		time.AfterFunc(time.Second, func() { node.publish(token("shop", 8, "new")) })
		began := time.Now()
		got := decode[client.Token](t, get(t, h, "/v1/tokens/shop"))
		if got.Value != "new" || time.Since(began) != time.Second {
			t.Errorf("after %s got %v", time.Since(began), got)
		}
	})
}

func TestThatWaitIsBoundedAndOnlyForTheReporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFake().root().hold(token("shop", 7, "old"), token("shop/other", 7, "old"))
		node.person("k", map[coordinator.Verb][]string{coordinator.VerbRead: {"**"}})
		node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
		a, _ := newAPI(t, node)
		h := a.Handler()
		report(t, h, `{"version":7}`)
		for _, c := range []struct {
			key, target string
			want        time.Duration
		}{
			{"", "/v1/tokens/shop", DefaultPatience},
			{"", "/v1/tokens/shop", DefaultPatience}, // a loop is slowed down each time
			{"k", "/v1/tokens/shop", 0},
			{"", "/v1/tokens/shop/other", 0},
			{"", "/v1/tokens/shop?after=6", 0}, // says itself what it wants
		} {
			began := time.Now()
			w := do(t, h, ask{method: http.MethodGet, target: c.target, key: c.key})
			if w.Code != http.StatusOK || time.Since(began) != c.want {
				t.Errorf("%s by %q: status %d after %s, want %s", c.target, c.key, w.Code, time.Since(began), c.want)
			}
		}
		time.Sleep(remembered - time.Second)
		do(t, h, ask{method: http.MethodPost, target: reportTarget, key: "k", body: `{"version":7}`}) // somebody else's
		time.Sleep(time.Second)
		began := time.Now()
		if get(t, h, "/v1/tokens/shop"); time.Since(began) != 0 {
			t.Errorf("waited %s long after the report", time.Since(began))
		}
	})
}

func TestNoWaitOnceTheReportIsAnswered(t *testing.T) {
	for _, answer := range []coordinator.Answer{coordinator.AnswerAlive, coordinator.AnswerThrottled, coordinator.AnswerFailed} {
		synctest.Test(t, func(t *testing.T) {
			node := newFake().root().hold(token("shop", 7, "v"))
			node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
			a, _ := newAPI(t, node)
			h := a.Handler()
			report(t, h, `{"version":7}`)
			settled := token("shop", 7, "v")
			settled.State.Verdict = coordinator.Verdict{Version: 7, Answer: answer, At: time.Now()}
			node.publish(settled)
			began := time.Now()
			if get(t, h, "/v1/tokens/shop"); time.Since(began) != 0 {
				t.Errorf("waited %s although the verdict is %s", time.Since(began), answer)
			}
		})
	}
}

func TestRecentKeepsTheEntriesUsedLast(t *testing.T) {
	r := newRecent[int, string](3)
	for i := range 3 {
		r.put(i, strconv.Itoa(i))
	}
	r.get(0)
	r.put(3, "3")
	r.put(3, "three")
	if got := r.getOr(4, func() string { return "4" }); got != "4" {
		t.Errorf("made %q", got)
	}
	if got := r.getOr(3, func() string { return "new" }); got != "three" {
		t.Errorf("kept %q", got)
	}
	if len(r.entries) != 3 || r.order.Len() != 3 {
		t.Errorf("%d entries, %d in order", len(r.entries), r.order.Len())
	}
	for key, want := range map[int]bool{0: true, 1: false, 2: false, 3: true, 4: true} {
		if _, ok := r.get(key); ok != want {
			t.Errorf("entry %d: %v, want %v", key, ok, want)
		}
	}
}

func TestRefreshSaysWhetherTheNewVersionIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFake().root().hold(token("shop", 7, "v"))
		a, _ := newAPI(t, node)
		h := a.Handler()
		const target = "/v1/tokens/shop/access_token/refresh"
		asked := do(t, h, ask{method: http.MethodPost, target: target})
		there := do(t, h, ask{method: http.MethodPost, target: target, body: `{"after_version":6,"force":true}`})
		time.AfterFunc(time.Second, func() { node.publish(token("shop", 8, "new")) })
		waited := do(t, h, ask{method: http.MethodPost, target: target, body: `{"wait":"10s"}`})
		tooLong := do(t, h, ask{method: http.MethodPost, target: target, body: `{"wait":"10h"}`})
		for i, c := range []struct {
			status         int
			version, after int64
		}{{202, 7, 7}, {200, 7, 6}, {200, 8, 7}} {
			w := []*client.RefreshAnswer{}
			for _, r := range []client.RefreshAnswer{decode[client.RefreshAnswer](t, asked), decode[client.RefreshAnswer](t, there), decode[client.RefreshAnswer](t, waited)} {
				w = append(w, &r)
			}
			code := []int{asked.Code, there.Code, waited.Code}[i]
			if code != c.status || w[i].Version != c.version || w[i].After != c.after {
				t.Errorf("answer %d: status %d version %d after %d, want %+v", i, code, w[i].Version, w[i].After, c)
			}
		}
		refused(t, tooLong, 503, "no_newer_token")
		calls := []coordinator.RefreshCall{{Above: 7}, {Above: 6, Force: true}, {Above: 7, Wait: 10 * time.Second}, {Above: 8, Wait: time.Minute}}
		if diff := cmp.Diff(calls, node.refreshed); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

func TestRefreshNeverAnswersAValue(t *testing.T) {
	node := newFake().hold(token("shop", 7, "the-value"))
	node.apps["shop"] = coordinator.App{Name: "shop", Tokens: map[string]coordinator.TokenSettings{"access_token": {}}}
	node.person("k", map[coordinator.Verb][]string{coordinator.VerbRefresh: {"**"}})
	a, _ := newAPI(t, node)
	for _, target := range []string{"/v1/tokens/shop/access_token/refresh", "/v1/apps/shop/refresh"} {
		w := do(t, a.Handler(), ask{method: http.MethodPost, target: target, key: "k"})
		if w.Code != http.StatusAccepted || strings.Contains(w.Body.String(), "the-value") {
			t.Errorf("%s: status %d, %s", target, w.Code, w.Body)
		}
	}
	refused(t, do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/apps/nothere/refresh", key: "k"}), 404, "unknown_app")
}
