package httpapi

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/tracing"
)

// Values that must be seen in no log, span, problem or header.
const (
	deadValue  = "canary-dead-value"
	freshValue = "canary-fresh-value"
)

// forwarding tests carry calls over two sockets: to a node whose knowledge the test
// sets, and from there to a platform that is a handler.
type relay struct {
	node    *fakeNode
	address string // of our API
	spans   *tracing.Recorder
	log     *logBuffer
	api     *API
}

// relayTo makes calls for the app shop go to a platform. It holds version 7, the
// dead value; a report brings version 8.
func relayTo(t testing.TB, platform http.Handler, change func(*Config, *coordinator.Injection)) *relay {
	t.Helper()
	upstream := httptest.NewServer(platform)
	t.Cleanup(upstream.Close)
	base, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	injection := coordinator.Injection{
		Base: *base, Token: "access_token", Place: coordinator.Place{Header: "Authorization", Prefix: "Bearer "},
		Dead: deadWhen401Or40001,
	}
	r := &relay{node: newFake().root().hold(token("shop", 7, deadValue)), log: &logBuffer{}}
	tracer, spans := tracing.NewRecorder()
	r.spans = spans
	config := Config{
		Node: r.node, Tracer: tracer, Build: "test",
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config, &injection)
	}
	r.node.injections = map[string]coordinator.Injection{"shop": injection}
	r.node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
	if r.api, err = New(config); err != nil {
		t.Fatal(err)
	}
	r.address = listen(t, r.api.Handler())
	return r
}

// deadWhen401Or40001 is what a platform with both habits would be declared as.
func deadWhen401Or40001(status int, _ http.Header, body []byte) (string, bool) {
	if status == http.StatusUnauthorized {
		return "401", true
	}
	if strings.Contains(string(body), `"errcode":40001`) && strings.HasSuffix(strings.TrimSpace(string(body)), "}") {
		return "40001", true
	}
	return "", false
}

// replaces makes reports bring the fresh value.
func (r *relay) replaces() *relay {
	r.node.onReport = func() { r.node.publish(token("shop", 8, freshValue)) }
	return r
}

// call sends a request with the root's key and reads the answer to its end.
func (r *relay) call(t testing.TB, method, path string, body io.Reader, header http.Header) received {
	t.Helper()
	resp := r.open(t, method, path, body, header)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return received{resp.StatusCode, resp.Header, string(text)}
}

// open is call for an answer that is still to be read.
func (r *relay) open(t testing.TB, method, path string, body io.Reader, header http.Header) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
	t.Cleanup(cancel)
	q, err := http.NewRequestWithContext(ctx, method, "http://"+r.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(q.Header, header)
	q.Header.Set("Authorization", "Bearer "+rootKey)
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// idle reports whether no call is under way.
func (r *relay) idle() bool {
	l := r.api.forwards.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.under) == 0
}

// platformOf is a platform that knows one living value, keeps what it was sent and
// answers with a handler.
type platformOf struct {
	alive  string
	open   bool // takes every value
	answer http.HandlerFunc

	mu    sync.Mutex
	calls []sentCall
}

type sentCall struct {
	method, target, host string
	header               http.Header
	body                 string
}

func (p *platformOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.calls = append(p.calls, sentCall{r.Method, r.RequestURI, r.Host, r.Header.Clone(), string(body)})
	p.mu.Unlock()
	if !p.open && r.Header.Get("Authorization") != "Bearer "+p.alive {
		http.Error(w, "who is this", http.StatusUnauthorized)
		return
	}
	if p.answer != nil {
		p.answer(w, r)
		return
	}
	_, _ = io.WriteString(w, "done")
}

func (p *platformOf) sent() []sentCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]sentCall(nil), p.calls...)
}

// rawAnswer writes bytes as they are and returns everything that comes back until
// the connection is closed.
func rawAnswer(t testing.TB, address, raw string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
	_, _ = io.WriteString(conn, raw)
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// eventually waits for a condition.
func eventually(t testing.TB, met func() bool) {
	t.Helper()
	deadline := time.After(patienceOfTests)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("what was waited for did not come")
		}
	}
}
