package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"freshet/coordinator"
	"freshet/httpapi/client"
	"freshet/tracing"
)

func TestCallsNeedTheVerbProxyOnTheToken(t *testing.T) {
	platform := recording(nil)
	r := relayTo(t, platform, func(_ *Config, i *coordinator.Injection) { i.Any = true })
	r.node.hold(token("shop/graph", 3, "canary-graph-value"))
	r.node.person("usual", map[coordinator.Verb][]string{coordinator.VerbProxy: {"shop/access_token"}})
	r.node.person("reader", map[coordinator.Verb][]string{coordinator.VerbRead: {"**"}})
	for _, c := range []struct {
		key, path, token string
		status           int
	}{
		{"usual", "/proxy/shop/x", "", http.StatusOK},
		{"usual", "/proxy/shop/x", "access_token", http.StatusOK},
		{"usual", "/proxy/shop/x", "graph", http.StatusForbidden},
		{"usual", "/proxy/nothere/x", "", http.StatusForbidden},
		{"reader", "/proxy/shop/x", "", http.StatusForbidden},
		{rootKey, "/proxy/shop/x", "graph", http.StatusOK},
		{rootKey, "/proxy/nothere/x", "", http.StatusNotFound},
		{"nobody", "/proxy/shop/x", "", http.StatusUnauthorized},
	} {
		before := len(platform.sent())
		raw := "GET " + c.path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + c.key + "\r\n"
		if c.token != "" {
			raw += "Freshet-Token: " + c.token + "\r\n"
		}
		got := send(t, r.address, raw+"\r\n")
		if got.status != c.status || (len(platform.sent()) > before) != (c.status == http.StatusOK) {
			t.Errorf("%+v: %+v", c, got)
		}
		if (got.header.Get("Freshet-Problem") == "") != (c.status == http.StatusOK) {
			t.Errorf("%+v: Freshet-Problem %q", c, got.header.Get("Freshet-Problem"))
		}
	}
}

func TestWithoutAValueACallIsRefusedAsAReadIs(t *testing.T) {
	platform := recording(nil)
	r := relayTo(t, platform, nil)
	pending := token("shop", 0, "x")
	pending.Token = nil
	r.node.publish(pending)
	got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Freshet-Problem") != client.CodeTokenPending || got.header.Get("Retry-After") != "2" {
		t.Errorf("answer %+v", got)
	}
	for _, wrong := range []http.Header{{"Freshet-Wait": {"soon"}}, {"Freshet-Wait": {"1s", "2s"}}, {"Freshet-Token": {"a", "b"}}, {"Freshet-Token": {"a/b"}}} {
		if got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, wrong); got.status != http.StatusBadRequest {
			t.Errorf("%v: %+v", wrong, got)
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		if got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, http.Header{"Freshet-Wait": {"30s"}}); got.status != http.StatusOK {
			t.Errorf("with a wait: %+v", got)
		}
	})
	waitFor(t, r.node, 1)
	r.node.publish(token("shop", 1, deadValue))
	group.Wait()
}

func TestMethodsThatAreNotForwarded(t *testing.T) {
	platform := recording(nil)
	r := relayTo(t, platform, nil)
	for _, method := range []string{http.MethodTrace, "BREW", "get"} {
		got := send(t, r.address, method+" /proxy/shop/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\n\r\n")
		if got.status != http.StatusMethodNotAllowed || len(platform.sent()) > 0 || strings.Contains(got.body, deadValue) {
			t.Errorf("%s: %+v", method, got)
		}
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		if got := r.call(t, method, "/proxy/shop/x", nil, nil); got.status != http.StatusOK {
			t.Errorf("%s: %+v", method, got)
		}
	}
}

func TestAClientsCallsAreLimited(t *testing.T) {
	let, arrived := make(chan struct{}), make(chan struct{}, 8)
	platform := &platformOf{open: true, answer: func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-let }}
	r := relayTo(t, platform, func(c *Config, _ *coordinator.Injection) { c.Forward.AtOnce = 2 })
	r.node.person("k", map[coordinator.Verb][]string{coordinator.VerbProxy: {"**"}})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil) })
		<-arrived
	}
	got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil)
	if got.status != http.StatusTooManyRequests || got.header.Get("Freshet-Problem") != client.CodeRateLimited || got.header.Get("Retry-After") != "1" {
		t.Errorf("a third at once: %+v", got)
	}
	group.Go(func() {
		other := send(t, r.address, "GET /proxy/shop/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")
		if other.status != http.StatusOK {
			t.Errorf("another client: %+v", other)
		}
	})
	<-arrived
	close(let)
	group.Wait()
	eventually(t, r.idle) // a call is counted out after its answer
	if got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil); got.status != http.StatusOK {
		t.Errorf("after they ended: %+v", got)
	}
}

func TestAClientsRateIsLimited(t *testing.T) {
	l := newForwardLimits(10, 0.001) // one more in a quarter of an hour
	if leave, err := l.enter("a"); err != nil {
		t.Errorf("the first: %v", err)
	} else {
		leave()
	}
	if _, err := l.enter("a"); err == nil {
		t.Error("the second at once is let in")
	}
	if _, err := l.enter("b"); err != nil {
		t.Errorf("another client: %v", err)
	}
}

func TestTheSpanOfACallTellsRouteHostStatusAndReplay(t *testing.T) {
	platform := &platformOf{alive: freshValue}
	r := relayTo(t, platform, nil).replaces()
	r.call(t, http.MethodGet, "/proxy/shop/secret-path?secret=query", nil, nil)
	var span tracing.Recorded
	eventually(t, func() bool {
		spans := r.spans.Spans()
		i := slices.IndexFunc(spans, func(s tracing.Recorded) bool { return s.Name == "forward" })
		if i >= 0 {
			span = spans[i]
		}
		return i >= 0
	})
	for name, want := range map[string]string{
		"http.route": "/proxy/{app}/{path...}", "server.address": "127.0.0.1", "http.response.status_code": "200",
		"freshet.replayed": "true", "freshet.token": "shop/access_token",
	} {
		if span.Attrs[name] != want {
			t.Errorf("%s: %q, want %q", name, span.Attrs[name], want)
		}
	}
	if text := fmt.Sprintf("%+v", r.spans.Spans()); strings.Contains(text, "secret") {
		t.Errorf("a span tells of path or query: %s", text)
	}
}

// TestAValueIsNowhereElse makes calls that go wrong in every way there is.
func TestAValueIsNowhereElse(t *testing.T) {
	const values = "canary-"
	broken := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			conn, both, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = both.WriteString(strings.ReplaceAll(answer, "VALUE", q.URL.Query().Get("access_token")))
			_ = both.Flush()
			_ = conn.Close()
		}
	}
	for name, platform := range map[string]http.HandlerFunc{
		"no answer":        broken(""),
		"no HTTP":          broken("VALUE\r\n\r\n"),
		"a bad status":     broken("HTTP/1.1 VALUE\r\n\r\n"),
		"a bad header":     broken("HTTP/1.1 200 OK\r\nVALUE\r\n\r\n"),
		"a bad length":     broken("HTTP/1.1 200 OK\r\nContent-Length: VALUE\r\n\r\n"),
		"a bad switch":     broken("HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: VALUE\r\n\r\n"),
		"a huge header":    broken("HTTP/1.1 200 OK\r\nX-Pad: VALUE" + strings.Repeat("a", 128<<10) + "\r\n\r\n"),
		"a header of its":  broken("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Echo: VALUE\r\nLocation: /x?access_token=VALUE\r\n\r\n"),
		"a trailer":        broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Echo\r\n\r\n0\r\nX-Echo: VALUE\r\n\r\n"),
		"a refusal":        broken("HTTP/1.1 401 VALUE\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer VALUE\r\n\r\n"),
		"an early hint":    broken("HTTP/1.1 103 Early Hints\r\nLink: VALUE\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
		"a code too long":  broken("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"errcode\":40001}  "),
		"the value is bad": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
	} {
		r := relayTo(t, platform, inQuery).replaces()
		resp := rawAnswer(t, r.address, "GET /proxy/shop/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+rootKey+"\r\n\r\n")
		if strings.Contains(resp, values) || !strings.HasPrefix(resp, "HTTP/1.1 ") {
			t.Errorf("%s: answer %q", name, resp)
		}
		if text := r.log.String(); strings.Contains(text, values) || strings.Contains(text, rootKey) {
			t.Errorf("%s: log %s", name, text)
		}
		if text := fmt.Sprintf("%+v", r.spans.Spans()); strings.Contains(text, values) || strings.Contains(text, rootKey) {
			t.Errorf("%s: spans %s", name, text)
		}
	}
}
