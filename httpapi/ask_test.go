package httpapi

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"freshet/httpapi/client"
)

// newAPI builds an API whose log the test can read.
func newAPI(t testing.TB, node Node) (*API, *logBuffer) {
	t.Helper()
	logged := &logBuffer{}
	a, err := New(Config{
		Node: node, Build: "test",
		Logger: slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, logged
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// ask is one request of a test.
type ask struct {
	method, target string
	key            string // empty: the root's; "-": none
	body           string
	header         http.Header
}

// do serves one request without a socket.
func do(t testing.TB, h http.Handler, q ask) *httptest.ResponseRecorder {
	t.Helper()
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	r := httptest.NewRequestWithContext(t.Context(), q.method, q.target, body)
	maps.Copy(r.Header, q.header)
	switch q.key {
	case "-":
	case "":
		r.Header.Set("Authorization", "Bearer "+rootKey)
	default:
		r.Header.Set("Authorization", "Bearer "+q.key)
	}
	if q.body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(t testing.TB, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, ask{method: http.MethodGet, target: target})
}

// problemIn reads a problem document and checks its form.
func problemIn(t testing.TB, w *httptest.ResponseRecorder) client.Problem {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q, want application/problem+json (status %d, body %s)", got, w.Code, w.Body)
	}
	var p client.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("reading the problem: %v", err)
	}
	if p.Status != w.Code || p.Title == "" || p.Type != "urn:freshet:problem:"+p.Code {
		t.Errorf("a problem of status %d says %+v", w.Code, p)
	}
	return p
}

// refused checks status and code of a refusal.
func refused(t testing.TB, w *httptest.ResponseRecorder, status int, code string) client.Problem {
	t.Helper()
	p := problemIn(t, w)
	if w.Code != status || p.Code != code {
		t.Errorf("got status %d code %q (%s), want %d %q", w.Code, p.Code, p.Detail, status, code)
	}
	return p
}

// decode reads a JSON answer.
func decode[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var out T
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("status %d, body %s: %v", w.Code, w.Body, err)
	}
	return out
}
