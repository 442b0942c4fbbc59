package tracing

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exported is an exporter that keeps spans as a Recorder would.
type exported struct {
	mu    sync.Mutex
	spans []Recorded
}

func (e *exported) Shutdown(context.Context) error { return nil }

func (e *exported) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range spans {
		e.spans = append(e.spans, record(s))
	}
	return nil
}

func (e *exported) all() []Recorded {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spans
}

func pattern(r *http.Request) string { return r.Pattern }

func serve(t *testing.T, h http.Handler, method, target, traceparent string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
}

func TestRequestIsAServerSpan(t *testing.T) {
	tracer, recorder := NewRecorder()
	mux := http.NewServeMux()
	var inside string
	mux.HandleFunc("GET /v1/tokens/{app}/{token}", func(w http.ResponseWriter, r *http.Request) {
		inside = Traceparent(r.Context())
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	serve(t, tracer.Handler(mux, pattern), "GET", "/v1/tokens/shop/access_token?key=canary", someParent)

	got := recorder.Spans()[0]
	want := map[string]string{
		"http.request.method": "GET", "http.route": "/v1/tokens/{app}/{token}", "url.scheme": "http",
		"http.response.status_code": "503", "error.type": "503",
	}
	if diff := cmp.Diff(want, got.Attrs); diff != "" {
		t.Error(diff)
	}
	if got.Name != "GET /v1/tokens/{app}/{token}" || got.Kind != "server" || !got.Failed {
		t.Errorf("span %+v", got)
	}
	if got.TraceID != someTrace || got.ParentID != someSpan {
		t.Errorf("span %+v does not continue %s", got, someParent)
	}
	if want := "00-" + someTrace + "-" + got.SpanID + "-01"; inside != want {
		t.Errorf("handler saw %q, want %q", inside, want)
	}
}

func TestServerSpanOfEveryOutcome(t *testing.T) {
	ok := func(http.ResponseWriter, *http.Request) {}
	tests := []struct {
		name, method, route string
		handler             http.HandlerFunc
		spanName, code      string
		failed              bool
	}{
		{"nothing written", "GET", "/a", ok, "GET /a", "200", false},
		{"body only", "GET", "/a", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "GET /a", "200", false},
		{"two statuses", "GET", "/a", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(500) }, "GET /a", "404", false},
		{"no route", "GET", "", http.NotFound, "GET", "404", false},
		{"odd method", "BREW", "/pot", ok, "HTTP /pot", "200", false},
		{"panic", "GET", "/a", func(http.ResponseWriter, *http.Request) { panic("canary") }, "GET /a", "500", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracer, recorder := NewRecorder()
			func() {
				defer func() {
					if p := recover(); (p != nil) != tt.failed {
						t.Errorf("panic %v", p)
					}
				}()
				serve(t, tracer.Handler(tt.handler, func(*http.Request) string { return tt.route }), tt.method, "/x", "")
			}()
			got := recorder.Spans()[0]
			if got.Name != tt.spanName || got.Attrs["http.response.status_code"] != tt.code || got.Failed != tt.failed {
				t.Errorf("span %+v", got)
			}
			if strings.Contains(got.Err, "canary") {
				t.Errorf("span shows what the handler panicked with: %s", got.Err)
			}
		})
	}
}

func TestStreamsAndHijacksPassThrough(t *testing.T) {
	tracer, _ := NewRecorder()
	server := httptest.NewServer(tracer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			w.(http.Flusher).Flush() // as gin does
			<-r.Context().Done()
			return
		}
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = buf.WriteString("HTTP/1.1 204 No Content\r\n\r\n")
		_ = buf.Flush()
	}), pattern))
	defer server.Close()

	ctx, cancel := context.WithCancel(t.Context())
	resp, err := get(ctx, t, http.DefaultTransport, server.URL+"/stream") // returns on flush
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp, err = get(t.Context(), t, http.DefaultTransport, server.URL+"/raw")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("status %d, want the hijacker's 204", resp.StatusCode)
	}
}

func TestResponseControllerReachesTheWriterBelow(t *testing.T) {
	below := &deadlines{ResponseWriter: httptest.NewRecorder()}
	tracer, _ := NewRecorder()
	h := tracer.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
	}), pattern)
	h.ServeHTTP(below, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if !below.asked {
		t.Error("the writer below was not reached")
	}
}

type deadlines struct {
	http.ResponseWriter
	asked bool
}

func (d *deadlines) EnableFullDuplex() error { d.asked = true; return nil }

func (d *deadlines) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

func TestSampleDecidesForRequestsWithoutATrace(t *testing.T) {
	const unsampled = "00-" + someTrace + "-" + someSpan + "-00"
	tests := []struct {
		name, parent string
		sample       float64
		sampler      string
		want         int
	}{
		{"none", "", -1, "", 0},
		{"all", "", 1, "", 1},
		{"parent sampled", someParent, -1, "", 1},
		{"parent unsampled", unsampled, 1, "", 0},
		{"malformed parent", "00-x", 1, "", 1},
		{"variable", "", 0, "always_off", 0},
		{"variable on", "", 0, "always_on", 1},
		{"configuration beats variable", "", 1, "always_off", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clearVariables(t)
			if tt.sampler != "" {
				t.Setenv("OTEL_TRACES_SAMPLER", tt.sampler)
			}
			kept := &exported{}
			tracer := open(t, Config{Exporter: kept, Sample: tt.sample})
			var inside string
			h := tracer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				inside = Traceparent(r.Context())
			}), pattern)
			serve(t, h, "GET", "/", tt.parent)
			if err := tracer.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := len(kept.all()); got != tt.want {
				t.Errorf("%d spans, want %d", got, tt.want)
			}
			if tt.parent == unsampled && !strings.Contains(inside, someTrace) {
				t.Errorf("trace %q in the handler, want the caller's", inside)
			}
		})
	}
}

func TestShareOfRequestsIsNearTheSample(t *testing.T) {
	clearVariables(t)
	tracer := open(t, Config{Exporter: &exported{}})
	if tracer.share != DefaultSample {
		t.Fatalf("share %v, want the default", tracer.share)
	}
	tracer.share = 0.25
	traced := 0
	h := tracer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if Traceparent(r.Context()) != "" {
			traced++
		}
	}), pattern)
	const n = 20_000
	for range n {
		serve(t, h, "GET", "/", "")
	}
	if traced < n/5 || traced > n*3/10 { // 16 standard deviations
		t.Errorf("%d of %d traced, want about a quarter", traced, n)
	}
}

func TestRefreshIsAlwaysTraced(t *testing.T) {
	clearVariables(t)
	kept := &exported{}
	tracer := open(t, Config{Exporter: kept, Sample: -1})
	_, span := tracer.Start(t.Context(), "refresh")
	span.End(nil)
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(kept.all()); got != 1 {
		t.Errorf("%d spans, want 1", got)
	}
}

func TestIncomingTraceIsPassedOnWithoutAnExporter(t *testing.T) {
	clearVariables(t)
	tracer := open(t, Config{})
	var inside string
	h := tracer.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		inside = Traceparent(r.Context())
	}), pattern)
	serve(t, h, "GET", "/", someParent)
	if inside != someParent {
		t.Errorf("traceparent %q, want the caller's", inside)
	}
}

func TestUnsampledRequestAllocatesNothing(t *testing.T) {
	clearVariables(t)
	tracer := open(t, Config{Exporter: &exported{}, Sample: -1})
	h := tracer.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), pattern)
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	if got := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

func BenchmarkHandler(b *testing.B) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	recorder, _ := NewRecorder()
	unsampled, sampled, ids := *recorder, *recorder, &Tracer{tracer: idTracer{}}
	unsampled.share = 1e-12
	for _, bb := range []struct {
		name   string
		tracer *Tracer
		parent string
	}{
		{"bare", nil, ""},
		{"no exporter", ids, ""},
		{"unsampled", &unsampled, ""},
		{"unsampled parent", &unsampled, "00-" + someTrace + "-" + someSpan + "-00"},
		{"sampled", &sampled, ""},
	} {
		b.Run(bb.name, func(b *testing.B) {
			h := bb.tracer.Handler(next, func(*http.Request) string { return "/v1/tokens/{app}" })
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), "GET", "/v1/tokens/shop", nil)
			if bb.parent != "" {
				r.Header.Set("Traceparent", bb.parent)
			}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
