package httpapi

import (
	"encoding/json"
	"errors"
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

func TestTokenIsAnsweredAsJSONWithItsHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := token("shop/access_token", 7, `va"l<ue`)
		a, _ := newAPI(t, newFake().root().hold(v))
		w := get(t, a.Handler(), "/v1/tokens/shop")

		want := map[string]any{
			"app": "shop", "token": "access_token", "value": `va"l<ue`, "token_type": "Bearer", "scope": "a b",
			"issued_at": v.Token.Issued.UTC().Format(time.RFC3339), "expires_at": v.Token.Expires.UTC().Format(time.RFC3339),
			"expires_in": 7140.0, "version": 7.0, "revision": 47.0, "fingerprint": "f00d", "state": "fresh", "node": "n1",
			"extra": map[string]any{},
		}
		if diff := cmp.Diff(want, decode[map[string]any](t, w)); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
		headers := map[string]string{
			"Content-Type": "application/json", "Content-Length": fmt.Sprint(w.Body.Len()), "Cache-Control": "no-store",
			"Etag": `W/"7-fresh"`, "Vary": "Accept, Authorization", "Freshet-Version": "7", "Freshet-Node": "n1",
			"Freshet-Watch-Age": "1", "X-Content-Type-Options": "nosniff",
		}
		for name, value := range headers {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
	})
}

func TestTokenDecodesIntoTheClientsType(t *testing.T) {
	v := token("shop/ticket", 3, "the-value")
	v.Token.Extra = map[string]string{"instance_url": "https://eu.example.com"}
	v.Token.Expires = v.Token.Expires.In(time.FixedZone("", 8*3600))
	v.Rendered = nil // a node without Config.Render still answers
	a, _ := newAPI(t, newFake().root().hold(v))
	body := get(t, a.Handler(), "/v1/tokens/shop/ticket").Body
	if utc := v.Token.Expires.UTC().Format("2006-01-02T15:04:05Z"); !strings.Contains(body.String(), utc) {
		t.Errorf("%s is not in %s", utc, body)
	}
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	var got client.Token
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Name() != "shop/ticket" || got.Value != "the-value" || got.Version != 3 || got.Extra["instance_url"] != "https://eu.example.com" {
		t.Errorf("got %v with %v", got, got.Extra)
	}
	if !got.ExpiresAt.Equal(v.Token.Expires.Truncate(time.Second)) || got.ExpiresIn < 7000 {
		t.Errorf("expires at %s in %d s, want %s", got.ExpiresAt, got.ExpiresIn, v.Token.Expires)
	}
}

func TestPlainTextIsTheBareValue(t *testing.T) {
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	for accept, plain := range map[string]bool{
		"text/plain": true, "text/plain, */*": true, "text/plain;q=0.5": true,
		"": false, "*/*": false, "application/json": false, "text/html,*/*;q=0.8": false,
		"text/plain;q=0.4, application/json;q=0.9": false, "text/plain;q=0": false,
		"application/json, text/plain": false,
	} {
		w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/shop", header: http.Header{"Accept": {accept}}})
		if got := w.Body.String() == "the-value"; got != plain {
			t.Errorf("Accept %q: bare value %v, want %v", accept, got, plain)
		}
	}
}

func TestHeadAnswersLikeGet(t *testing.T) {
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	asked := ask{method: http.MethodGet, target: "/v1/tokens/shop"}
	full := do(t, a.Handler(), asked)
	asked.method = http.MethodHead
	head := do(t, a.Handler(), asked)
	if head.Code != http.StatusOK || head.Header().Get("Etag") != full.Header().Get("Etag") ||
		head.Header().Get("Content-Length") != full.Header().Get("Content-Length") {
		t.Errorf("HEAD: status %d, headers %v; GET has %v", head.Code, head.Header(), full.Header())
	}
}

func TestUnchangedTokenIs304(t *testing.T) {
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	for tag, status := range map[string]int{
		`W/"7-fresh"`: 304, `"7-fresh"`: 304, `"1", W/"7-fresh"`: 304, `*`: 304,
		`W/"6-fresh"`: 200, `W/"7-due"`: 200, ``: 200, `7-fresh`: 200,
	} {
		w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/shop", header: http.Header{"If-None-Match": {tag}}})
		if w.Code != status {
			t.Errorf("If-None-Match %s: status %d, want %d", tag, w.Code, status)
		}
		if w.Code == 304 && (w.Body.Len() > 0 || w.Header().Get("Etag") != `W/"7-fresh"` || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("304 with body %q and headers %v", w.Body, w.Header())
		}
	}
}

// What is changed by the clock, or by nothing, keeps its tag as it was.
func TestTheTagOfAValueHasItsEndOnlyWhereThatMoved(t *testing.T) {
	v := token("shop", 7, "the-value")
	for moved, want := range map[bool]string{false: `W/"7-fresh"`, true: `W/"7-fresh-1800000000"`} {
		v.Token.Moved, v.Token.Expires, v.State.Expires = moved, time.Unix(1_800_000_000, 0), time.Unix(1_800_000_000, 0)
		a, _ := newAPI(t, newFake().root().hold(v))
		if got := get(t, a.Handler(), "/v1/tokens/shop").Header().Get("Etag"); got != want {
			t.Errorf("moved %t: %s, want %s", moved, got, want)
		}
	}
}

func TestEveryErrorHasItsProblem(t *testing.T) {
	v := token("shop", 7, "the-value")
	v.State.Status, v.State.Reason = coordinator.StatusBlocked, "invalid_secret: errcode 40125"
	missing := func(err error) error {
		return &coordinator.NoValueError{Err: err, View: v, RetryAfter: 4200 * time.Millisecond}
	}
	for _, c := range []struct {
		err        error
		status     int
		code       string
		retryAfter string
	}{
		{coordinator.ErrUnknownToken, 404, "unknown_token", ""},
		{missing(coordinator.ErrTokenPending), 503, "token_pending", "5"},
		{missing(coordinator.ErrNoValidToken), 503, "no_valid_token", "5"},
		{missing(coordinator.ErrNoNewerToken), 503, "no_newer_token", "5"},
		{missing(coordinator.ErrReauthorize), 424, "reauthorization_required", ""},
		{missing(coordinator.ErrBudgetExhausted), 429, "budget_exhausted", "5"},
		{coordinator.ErrNotSynced, 503, "not_synced", "1"},
		{coordinator.ErrStale, 503, "stale", "1"},
		{fmt.Errorf("inner secret place: %w", coordinator.ErrAmbiguous), 503, "outcome_unknown", "1"},
		{fmt.Errorf("inner secret place: %w", coordinator.ErrConflict), 409, "conflict", "1"},
		{errors.New("inner secret place"), 500, "internal_error", ""},
	} {
		node := newFake().root().hold(v)
		node.readErr = c.err
		a, logged := newAPI(t, node)
		w := get(t, a.Handler(), "/v1/tokens/shop")
		p := refused(t, w, c.status, c.code)
		if got := w.Header().Get("Retry-After"); got != c.retryAfter {
			t.Errorf("%s: Retry-After %q, want %q", c.code, got, c.retryAfter)
		}
		if strings.Contains(w.Body.String(), "inner secret place") || strings.Contains(w.Body.String(), "the-value") {
			t.Errorf("%s tells too much: %s", c.code, w.Body)
		}
		if _, ok := errors.AsType[*coordinator.NoValueError](c.err); ok && (p.State != "blocked" || p.Reason != v.State.Reason || p.App != "shop" || !strings.Contains(p.Detail, "shop/access_token: ")) {
			t.Errorf("%s does not tell the token's state: %+v", c.code, p)
		}
		if got := strings.Count(logged.String(), "request failed"); (c.status == 500) != (got == 1) {
			t.Errorf("%s was logged %d times", c.code, got)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Vary") == "" {
			t.Errorf("%s: headers %v", c.code, w.Header())
		}
	}
}

// After a restore of the store the state is older than the value that is served.
func TestAStateTellsWhenTheValueEndsWhoseVersionItTells(t *testing.T) {
	v := token("shop", 7, "the-value")
	v.State.Version, v.State.Issued, v.State.Expires = 5, v.State.Issued.Add(-time.Hour), v.State.Expires.Add(-time.Hour)
	a, _ := newAPI(t, newFake().root().hold(v))
	state := decode[client.State](t, get(t, a.Handler(), "/v1/states/shop"))
	if state.Version != 7 || !state.ExpiresAt.Equal(seconds(v.Token.Expires)) || !state.IssuedAt.Equal(seconds(v.Token.Issued)) {
		t.Errorf("version %d is of %s and ends at %s", state.Version, state.IssuedAt, state.ExpiresAt)
	}
}

func TestWaitEndsWithTheNewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFake().root().hold(token("shop", 7, "old"))
		a, _ := newAPI(t, node)
		h := a.Handler()
		time.AfterFunc(3*time.Second, func() { node.publish(token("shop", 8, "new")) })
		began := time.Now()
		got := decode[client.Token](t, get(t, h, "/v1/tokens/shop?after=7&wait=30s"))
		if got.Version != 8 || got.Value != "new" || time.Since(began) != 3*time.Second {
			t.Errorf("after %s got %v", time.Since(began), got)
		}
	})
}

func TestWaitIsCutAtAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "old")))
		began := time.Now()
		refused(t, get(t, a.Handler(), "/v1/tokens/shop?after=7&wait=10h"), 503, "no_newer_token")
		if took := time.Since(began); took != time.Minute {
			t.Errorf("waited %s", took)
		}
	})
}

func TestWithoutWaitNothingIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "old")))
		began := time.Now()
		refused(t, get(t, a.Handler(), "/v1/tokens/shop?after=7"), 503, "no_newer_token")
		refused(t, get(t, a.Handler(), "/v1/tokens/shop?min_ttl=3h"), 503, "no_newer_token")
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %s", took)
		}
	})
}

func TestDrainEndsWaitsAtOnceAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFake().root().hold(token("shop", 7, "old"))
		a, _ := newAPI(t, node)
		h := a.Handler()
		time.AfterFunc(time.Second, node.drain)
		began := time.Now()
		w := get(t, h, "/v1/tokens/shop?after=7&wait=30s")
		p := refused(t, w, 503, "draining")
		if time.Since(began) != time.Second || w.Header().Get("Retry-After") == "" || p.State != "fresh" {
			t.Errorf("after %s: %+v", time.Since(began), p)
		}
		if got := get(t, h, "/v1/tokens/shop"); got.Code != http.StatusOK {
			t.Errorf("a read without a wait while draining: status %d", got.Code)
		}
	})
}

func TestNeverA2xxWithoutAValue(t *testing.T) {
	v := token("shop", 0, "x")
	v.Token, v.State.Status = nil, coordinator.StatusPending
	a, _ := newAPI(t, newFake().root().hold(v))
	for _, accept := range []string{"application/json", "text/plain"} {
		w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/shop", header: http.Header{"Accept": {accept}, "If-None-Match": {"*"}}})
		refused(t, w, 503, "token_pending")
		if w.Header().Get("Retry-After") != "2" {
			t.Errorf("Retry-After %q, want 2", w.Header().Get("Retry-After"))
		}
	}
}
