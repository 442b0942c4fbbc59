package tracing

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// receiver is an OTLP collector, over gRPC and over HTTP.
type receiver struct {
	collector.UnimplementedTraceServiceServer

	mu       sync.Mutex
	requests []*collector.ExportTraceServiceRequest
	keys     []string // "api-key" of each request
}

func (r *receiver) keep(req *collector.ExportTraceServiceRequest, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.keys = append(r.requests, req), append(r.keys, key)
}

func (r *receiver) Export(ctx context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	r.keep(req, strings.Join(md.Get("api-key"), ","))
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body io.Reader = req.Body
	if req.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(req.Body)
	}
	raw, err := io.ReadAll(body)
	msg := &collector.ExportTraceServiceRequest{}
	if err := errors.Join(err, proto.Unmarshal(raw, msg)); err != nil || req.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(req.URL.Path, err), http.StatusBadRequest)
		return
	}
	r.keep(msg, req.Header.Get("api-key"))
}

// names returns the resource of the last request and the spans of all.
func (r *receiver) names() (resource map[string]string, spans []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	resource = map[string]string{}
	for _, req := range r.requests {
		for _, rs := range req.ResourceSpans {
			for _, kv := range rs.Resource.Attributes {
				resource[kv.Key] = kv.Value.GetStringValue()
			}
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					spans = append(spans, s.Name)
				}
			}
		}
	}
	return resource, spans
}

// text is everything that was exported.
func (r *receiver) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, req := range r.requests {
		b.WriteString(prototext.Format(req))
	}
	return b.String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func listenGRPC(t *testing.T) (*receiver, string) {
	t.Helper()
	l := listen(t)
	r, server := &receiver{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); running.Wait() })
	return r, l.Addr().String()
}

func listenHTTP(t *testing.T) (*receiver, string) {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, strings.TrimPrefix(server.URL, "http://")
}

func TestSpansReachTheCollector(t *testing.T) {
	tests := []struct {
		name   string
		listen func(*testing.T) (*receiver, string)
		cfg    func(addr string) Config
		env    func(addr string) map[string]string
	}{
		{"gRPC by configuration", listenGRPC, func(a string) Config { return Config{Endpoint: a} }, nil},
		{
			"HTTP by configuration and variable", listenHTTP, func(a string) Config { return Config{Endpoint: a} },
			func(string) map[string]string {
				return map[string]string{
					"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
					"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1/elsewhere", // beaten by the configuration
				}
			},
		},
		{
			"gRPC by variables", listenGRPC, nil,
			func(a string) map[string]string {
				return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + a, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
			},
		},
		{
			"HTTP by variable", listenHTTP, nil,
			func(a string) map[string]string {
				return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + a}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clearVariables(t)
			r, addr := tt.listen(t)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k1")
			if tt.env != nil {
				for k, v := range tt.env(addr) {
					t.Setenv(k, v)
				}
			}
			cfg := Config{}
			if tt.cfg != nil {
				cfg = tt.cfg(addr)
			}
			tracer := open(t, cfg)
			_, span := tracer.Start(t.Context(), "refresh")
			span.End(nil)
			if err := tracer.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, spans := r.names(); !cmp.Equal(spans, []string{"refresh"}) {
				t.Errorf("spans %v, want refresh", spans)
			}
			if !cmp.Equal(r.keys, []string{"k1"}) {
				t.Errorf("api keys %q, want the variable's", r.keys)
			}
		})
	}
}

func TestResourceNamesTheNode(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		env  map[string]string
		want map[string]string
	}{
		{
			"configuration",
			Config{Service: "fresh", Version: "1.2", Node: "n1"},
			map[string]string{"OTEL_SERVICE_NAME": "other"},
			map[string]string{"service.name": "fresh", "service.version": "1.2", "service.instance.id": "n1"},
		},
		{"default", Config{}, nil, map[string]string{"service.name": "freshet"}},
		{
			"variables",
			Config{},
			map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,zone=z1", "OTEL_SERVICE_NAME": "b"},
			map[string]string{"service.name": "b", "zone": "z1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clearVariables(t)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			r, addr := listenGRPC(t)
			tt.cfg.Endpoint = addr
			tracer := open(t, tt.cfg)
			_, span := tracer.Start(t.Context(), "refresh")
			span.End(nil)
			if err := tracer.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, _ := r.names()
			for k := range got {
				if strings.HasPrefix(k, "telemetry.sdk.") {
					delete(got, k)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoSecretIsExported sends one through every door there is.
func TestNoSecretIsExported(t *testing.T) {
	clearVariables(t)
	const canary = "s3cr3t-c4n4ry"
	r, addr := listenGRPC(t)
	tracer := open(t, Config{Endpoint: addr, Sample: 1})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", canary)
		switch r.URL.Path {
		case "/drop": // what net/http quotes in its error
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, canary+" is no status line\r\n\r\n")
				conn.Close()
			}
		case "/moved":
			http.Redirect(w, r, "http://user:"+canary+"@127.0.0.1:1/next?code="+canary, http.StatusFound)
		default:
			_, _ = io.WriteString(w, canary)
		}
	}))
	defer upstream.Close()
	client := &http.Client{Transport: tracer.Transport(upstream.Client().Transport)}
	withUser := strings.Replace(upstream.URL, "http://", "http://user:"+canary+"@", 1)

	h := tracer.Handler(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		for _, target := range []string{withUser + "/ok?access_token=" + canary, upstream.URL + "/drop?secret=" + canary, upstream.URL + "/moved?" + canary} {
			ctx, span := tracer.Start(in.Context(), "upstream", slog.Any("secret", hidden{canary}), slog.String("target", target))
			out, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(canary))
			if err != nil {
				t.Error(err)
				return
			}
			out.Header.Set("Authorization", "Bearer "+canary)
			resp, err := client.Do(out)
			if err == nil {
				_, _ = io.ReadAll(resp.Body)
				resp.Body.Close()
			} else {
				span.Event("failed", slog.Any("err", err))
				err = fmt.Errorf("fetching: %w", err)
			}
			span.Set(slog.Any("request", out.URL), slog.Any("header", out.Header))
			span.End(err)
		}
		w.WriteHeader(http.StatusBadGateway)
	}), pattern)
	in := httptest.NewRequestWithContext(t.Context(), "POST", "/compat/hub/1/"+canary+"?key="+canary, strings.NewReader(canary))
	in.Header.Set("Authorization", "Bearer "+canary)
	in.Header.Set("Traceparent", someParent)
	in.Header.Set("Tracestate", "k="+canary)
	in.Header.Set("Baggage", "k="+canary)
	h.ServeHTTP(httptest.NewRecorder(), in)
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	// Three upstream spans, a client span per call and hop, one server span.
	if _, spans := r.names(); len(spans) != 8 {
		t.Errorf("spans %v, want 8", spans)
	}
	for line := range strings.Lines(r.text()) {
		if strings.Contains(line, canary) {
			t.Errorf("exported: %s", strings.TrimSpace(line))
		}
	}
	if text := r.text(); !strings.Contains(text, "[redacted]") || !strings.Contains(text, "malformed HTTP status code") {
		t.Error("the errors this test is about were not exported:", text)
	}
}
