package tracing

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// call is get for those who want no answer.
func call(ctx context.Context, t *testing.T, rt http.RoundTripper, target string) error {
	t.Helper()
	resp, err := get(ctx, t, rt, target)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

func get(ctx context.Context, t *testing.T, rt http.RoundTripper, target string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return (&http.Client{Transport: rt}).Do(r)
}

func TestUpstreamCallIsAClientSpan(t *testing.T) {
	var sent http.Header
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Clone()
		_, _ = io.WriteString(w, "body")
	}))
	defer upstream.Close()
	tracer, recorder := NewRecorder()
	rt := tracer.Transport(upstream.Client().Transport)

	resp, err := get(Join(t.Context(), someParent), t, rt, upstream.URL+"/cgi-bin/token?secret=canary")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(recorder.Spans()); n != 0 {
		t.Fatalf("%d spans ended before the body was read", n)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != "body" {
		t.Fatalf("body %q, %v", text, err)
	}
	resp.Body.Close()

	spans := recorder.Spans()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want 1", len(spans))
	}
	u, _ := url.Parse(upstream.URL)
	want := map[string]string{
		"http.request.method": "GET", "http.response.status_code": "200", "url.scheme": "http",
		"url.path": "/cgi-bin/token", "server.address": u.Hostname(), "server.port": u.Port(),
	}
	if diff := cmp.Diff(want, spans[0].Attrs); diff != "" {
		t.Error(diff)
	}
	got := spans[0]
	if got.Name != "GET" || got.Kind != "client" || got.TraceID != someTrace || got.ParentID != someSpan || got.Failed {
		t.Errorf("span %+v", got)
	}
	if v, ok := sent["Traceparent"]; ok {
		t.Errorf("traceparent %q went to a third party", v)
	}
}

func TestRefusedCallFails(t *testing.T) {
	tracer, recorder := NewRecorder()
	rt := tracer.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 404, Body: http.NoBody}, nil
	}))
	if err := call(t.Context(), t, rt, "https://upstream/x"); err != nil {
		t.Fatal(err)
	}
	got := recorder.Spans()[0]
	if !got.Failed || got.Attrs["error.type"] != "404" || got.Attrs["server.port"] != "443" {
		t.Errorf("span %+v", got)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (brokenBody) Close() error             { return nil }

func TestBodyEndsTheSpanOnce(t *testing.T) {
	tests := map[string]struct {
		body io.ReadCloser
		read bool
		fail bool
	}{
		"broken":        {brokenBody{}, true, true},
		"closed unread": {io.NopCloser(strings.NewReader("x")), false, false},
		"empty":         {http.NoBody, true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tracer, recorder := NewRecorder()
			rt := tracer.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: tt.body}, nil
			}))
			resp, err := get(t.Context(), t, rt, "http://upstream/x")
			if err != nil {
				t.Fatal(err)
			}
			if tt.read {
				_, _ = io.ReadAll(resp.Body)
			}
			resp.Body.Close()
			resp.Body.Close()
			spans := recorder.Spans()
			if len(spans) != 1 || spans[0].Failed != tt.fail {
				t.Errorf("spans %+v", spans)
			}
		})
	}
}

func TestBodylessAndSwitchedAnswersEndAtOnce(t *testing.T) {
	for _, resp := range []*http.Response{
		{StatusCode: http.StatusNoContent, Body: http.NoBody},
		{StatusCode: http.StatusSwitchingProtocols, Body: brokenBody{}},
	} {
		tracer, recorder := NewRecorder()
		given := resp.Body
		rt := tracer.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return resp, nil }))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://upstream/", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.Body != given || len(recorder.Spans()) != 1 {
			t.Errorf("status %d: body %T, %d spans", resp.StatusCode, got.Body, len(recorder.Spans()))
		}
	}
}

func TestFailedCallNamesItsClass(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{context.Canceled, "canceled"},
		{context.DeadlineExceeded, "timeout"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "h"}}, "dns"},
		{&url.Error{Op: "Get", URL: "http://h/?canary", Err: io.ErrUnexpectedEOF}, "*errors.errorString"},
	}
	for _, tt := range tests {
		tracer, recorder := NewRecorder()
		rt := tracer.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, tt.err }))
		if err := call(t.Context(), t, rt, "http://upstream/"); !errors.Is(err, tt.err) {
			t.Errorf("error %v is not passed on", err)
		}
		got := recorder.Spans()[0]
		if got.Attrs["error.type"] != tt.want || !got.Failed || got.Err != redact(tt.err) {
			t.Errorf("%v: span %+v, want class %s", tt.err, got, tt.want)
		}
	}
}

func TestCallOutsideTracesFollowsTheSample(t *testing.T) {
	clearVariables(t)
	kept := &exported{}
	tracer := open(t, Config{Exporter: kept, Sample: -1})
	rt := tracer.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	if err := call(t.Context(), t, rt, "http://upstream/alone"); err != nil {
		t.Fatal(err)
	}
	if err := call(Join(t.Context(), someParent), t, rt, "http://upstream/traced"); err != nil {
		t.Fatal(err)
	}
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := kept.all()
	if len(spans) != 1 || spans[0].Attrs["url.path"] != "/traced" {
		t.Errorf("spans %+v, want the traced call's alone", spans)
	}
}

func TestIdleConnectionsCanBeClosed(t *testing.T) {
	tracer, _ := NewRecorder()
	base := &closer{}
	(&http.Client{Transport: tracer.Transport(base), Timeout: time.Second}).CloseIdleConnections()
	if !base.closed {
		t.Error("base transport was not asked")
	}
}

type closer struct {
	http.Transport
	closed bool
}

func (c *closer) CloseIdleConnections() { c.closed = true }
