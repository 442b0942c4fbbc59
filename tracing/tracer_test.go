package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// clearVariables unsets what the machine running the tests may have set.
func clearVariables(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "") // remembers what to restore
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func open(t *testing.T, cfg Config) *Tracer {
	t.Helper()
	tracer, err := New(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // nobody reads what is left
		_ = tracer.Close(ctx)
	})
	return tracer
}

func TestNilTracerDoesNothing(t *testing.T) {
	var tracer *Tracer
	ctx, span := tracer.Start(t.Context(), "refresh", slog.Int("n", 1))
	span.Set(slog.String("a", "b"))
	span.Event("opened")
	span.End(errors.New("boom"))
	if got := Traceparent(ctx); got != "" {
		t.Errorf("traceparent = %q, want none", got)
	}
	linked, span := tracer.StartLinked(t.Context(), "refresh", someParent)
	span.End(nil)
	if got := Traceparent(linked); got != "" {
		t.Errorf("traceparent = %q, want none", got)
	}
	if got := tracer.Transport(http.DefaultTransport); got != http.DefaultTransport {
		t.Errorf("transport = %T, want the one given", got)
	}
	if got := tracer.Handler(http.NotFoundHandler(), nil); got == nil {
		t.Error("handler is nil")
	}
	if err := tracer.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDisabledSDKMakesNoIDs(t *testing.T) {
	clearVariables(t)
	t.Setenv("OTEL_SDK_DISABLED", "true")
	tracer := open(t, Config{Endpoint: "127.0.0.1:4317"})
	ctx, span := tracer.Start(t.Context(), "refresh")
	span.End(nil)
	if got := Traceparent(ctx); got != "" {
		t.Errorf("traceparent = %q, want none", got)
	}
}

func TestIDsWithoutAnExporter(t *testing.T) {
	for _, tt := range []struct{ name, endpoint, exporter string }{
		{"nothing said", "", ""},
		{"none wins over the configuration", "127.0.0.1:4317", "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clearVariables(t)
			t.Setenv("OTEL_TRACES_EXPORTER", tt.exporter)
			tracer := open(t, Config{Endpoint: tt.endpoint})
			if tracer.exports() {
				t.Fatal("an exporter is open")
			}
			ctx, span := tracer.Start(t.Context(), "refresh")
			child, _ := tracer.Start(ctx, "upstream")
			span.End(nil)
			parent, kid := strings.Split(Traceparent(ctx), "-"), strings.Split(Traceparent(child), "-")
			if len(parent) != 4 || len(kid) != 4 {
				t.Fatalf("traceparents %q and %q", parent, kid)
			}
			if parent[1] != kid[1] || parent[2] == kid[2] || kid[3] != "01" {
				t.Errorf("child %v does not continue %v", kid, parent)
			}
		})
	}
}

func TestConfigurationThatCannotWorkIsRefused(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		env  map[string]string
		want string
	}{
		"sample":        {cfg: Config{Sample: 1.5}, want: "sample 1.5"},
		"no port":       {cfg: Config{Endpoint: "collector"}, want: "host:port"},
		"scheme":        {cfg: Config{Endpoint: "ftp://collector:1"}, want: "host:port"},
		"user":          {cfg: Config{Endpoint: "http://me:canary@collector:1"}, want: "user information"},
		"not a URL":     {cfg: Config{Endpoint: "http://me:canary"}, want: "host:port"},
		"protocol":      {env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "udp"}, want: "PROTOCOL"},
		"exporter":      {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, want: "OTEL_TRACES_EXPORTER"},
		"sampler":       {env: map[string]string{"OTEL_TRACES_SAMPLER": "dice"}, want: "OTEL_TRACES_SAMPLER"},
		"sampler ratio": {env: map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, want: "SAMPLER_ARG"},
		"headers":       {env: map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "key=%zzcanary"}, want: "HEADERS"},
		"endpoint":      {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://me:canary"}, want: "TRACES_ENDPOINT"},
		"resource":      {cfg: Config{Endpoint: "127.0.0.1:1"}, env: map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "nothing"}, want: "OTEL_RESOURCE_ATTRIBUTES"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			clearVariables(t)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			_, err := New(t.Context(), tt.cfg, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one about %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("error shows a secret: %v", err)
			}
		})
	}
}

func TestEndpointTellsProtocolAndScheme(t *testing.T) {
	tests := []struct {
		endpoint       string
		insecure       bool
		protocol, want string
	}{
		{"127.0.0.1:4317", false, "grpc", "http://127.0.0.1:4317"},
		{"localhost:4318", false, "http/protobuf", "http://localhost:4318"},
		{"collector:9999", false, "grpc", "https://collector:9999"},
		{"collector:4317", true, "grpc", "http://collector:4317"},
		{"http://collector:4318/x", false, "http/protobuf", "http://collector:4318/x"},
		{"https://127.0.0.1:4317", true, "grpc", "https://127.0.0.1:4317"},
	}
	clearVariables(t)
	for _, tt := range tests {
		cfg := Config{Endpoint: tt.endpoint, Insecure: tt.insecure}
		if err := cfg.check(); err != nil {
			t.Errorf("%s: %v", tt.endpoint, err)
		}
		if got := cfg.collector().String(); got != tt.want {
			t.Errorf("%s: collector %s, want %s", tt.endpoint, got, tt.want)
		}
		if got := cfg.protocol(); got != tt.protocol {
			t.Errorf("%s: protocol %s, want %s", tt.endpoint, got, tt.protocol)
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
	if got := (Config{Endpoint: "127.0.0.1:4317"}).protocol(); got != "http/protobuf" {
		t.Errorf("protocol %s, want the traces variable's", got)
	}
}

// stuck is an exporter whose collector never answers.
type stuck struct {
	closed chan struct{}
	once   sync.Once
}

func (s *stuck) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	<-s.closed
	return errors.New("closed")
}

func (s *stuck) Shutdown(context.Context) error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func TestStuckCollectorHoldsNobodyUp(t *testing.T) {
	clearVariables(t)
	synctest.Test(t, func(t *testing.T) {
		tracer, err := New(t.Context(), Config{Exporter: &stuck{closed: make(chan struct{})}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 10_000 { // far more than the queue holds
			_, span := tracer.Start(t.Context(), "refresh")
			span.End(nil)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("spans waited %v for the collector", took)
		}
		if err := tracer.Close(t.Context()); !strings.Contains(errorText(err), "flushing spans") {
			t.Errorf("close: %v, want an error about the flush", err)
		}
		if took := time.Since(began); took != closeTimeout {
			t.Errorf("close took %v, want its bound of %v", took, closeTimeout)
		}
	})
}

func TestCloseEndsAnExportUnderWay(t *testing.T) {
	for _, variable := range []string{"grpc", "http/protobuf"} {
		t.Run(variable, func(t *testing.T) {
			clearVariables(t)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", variable)
			silent := listen(t) // accepts, never answers
			defer silent.Close()
			tracer, err := New(t.Context(), Config{Endpoint: silent.Addr().String()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, span := tracer.Start(t.Context(), "refresh")
			span.End(nil)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := tracer.Close(ctx); err == nil {
				t.Error("close says the spans were delivered")
			}
		})
	}
}

type failing struct{}

func (failing) Shutdown(context.Context) error { return nil }

func (failing) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return errors.New(`post "http://me:canary@collector/?key=canary": refused`)
}

func TestExportErrorsAreLoggedOnceAMinute(t *testing.T) {
	clearVariables(t)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		text := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: dropTime})
		tracer, err := New(t.Context(), Config{Exporter: failing{}}, slog.New(text))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // between two ticks of the exporter
		for range 18 {
			_, span := tracer.Start(t.Context(), "refresh")
			span.End(nil)
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		line := func(n string) string {
			return `level=WARN msg="spans not exported" spans=` + n +
				` err="post \"http://[redacted]@collector/?[redacted]\": refused"` + "\n"
		}
		if diff := cmp.Diff(line("1")+line("6")+line("6"), log.String()); diff != "" {
			t.Error(diff)
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestExportErrorsStayOutOfTheGlobalHandler(t *testing.T) {
	r := &reporter{SpanExporter: failing{}, logger: slog.New(slog.DiscardHandler)}
	if err := r.ExportSpans(t.Context(), nil); err != nil {
		t.Errorf("the processor would print %v", err)
	}
}

func dropTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
