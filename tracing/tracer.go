// Package tracing makes the spans that show one refresh from its due instant
// to the last node that applied it, and carries their trace over records in
// etcd as W3C traceparents.
//
// It is the only package that imports OpenTelemetry. A [Tracer] is injected;
// no OpenTelemetry global is set or read here. What reaches a span is narrow
// by intent: no query string, user information, header or body, and no value
// that hides itself behind [slog.LogValuer].
//
// Which traces are recorded: one that arrives from outside keeps the decision
// it came with. A refresh ([Tracer.Start] without a trace in its context) is
// always recorded, there are few of them and each matters. Of the requests
// that bring no trace, [Config.Sample] says the share; the others pass without
// touching OpenTelemetry at all, because reads from memory must stay fast.
// OTEL_TRACES_SAMPLER decides all of it where the configuration is silent.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// DefaultService is the service.name of our spans where neither the
	// configuration nor a variable names one.
	DefaultService = "freshet"
	// DefaultSample is the share of requests without a trace of their own
	// that begin one.
	DefaultSample = 0.01

	scope        = "freshet/tracing"
	closeTimeout = 2 * time.Second
)

// Config says what is traced and where spans go. The standard OTEL_* variables
// are honoured where a field is zero; two of them are switches and win always:
// OTEL_SDK_DISABLED=true (no trace ids, no spans) and OTEL_TRACES_EXPORTER=none
// (trace ids, nothing exported).
type Config struct {
	// Service, Version and Node become service.name, service.version and
	// service.instance.id. Service defaults to OTEL_SERVICE_NAME, then to
	// DefaultService.
	Service, Version, Node string

	// Endpoint is the OTLP collector, "host:port" or "http(s)://host:port".
	// Without a scheme a loopback address is spoken to in clear text, any
	// other with TLS unless Insecure is set. Empty: spans are exported only
	// if OTEL_EXPORTER_OTLP_(TRACES_)ENDPOINT or OTEL_TRACES_EXPORTER=otlp
	// ask for it. The protocol is OTEL_EXPORTER_OTLP_(TRACES_)PROTOCOL; else
	// the port tells (4317 gRPC, 4318 HTTP); else gRPC for an Endpoint of
	// ours and http/protobuf, the standard's default, for one of a variable.
	Endpoint string
	// Insecure allows clear text to an Endpoint written without a scheme.
	Insecure bool

	// Sample is the share, up to 1, of requests (and of upstream calls outside
	// any trace) that begin a trace. Zero is OTEL_TRACES_SAMPLER or, where
	// that is unset, DefaultSample. Negative is none.
	Sample float64

	// Exporter replaces the OTLP exporter; for tests.
	Exporter sdktrace.SpanExporter
}

// Tracer begins spans and wraps HTTP clients and servers so that they do. All
// its methods may be called on a nil Tracer and then do nothing. It is safe
// for concurrent use.
type Tracer struct {
	tracer   trace.Tracer             // nil: disabled
	provider *sdktrace.TracerProvider // nil: nothing is exported
	exporter sdktrace.SpanExporter    // nil: a Recorder listens
	share    float64                  // of requests without a trace
}

// New validates cfg and the OTEL_* variables and builds a Tracer. It neither
// dials nor waits: a collector that cannot be reached costs spans, dropped once
// the queue is full, and one line a minute on logger. The exporter runs in the
// background until [Tracer.Close]. A nil logger discards.
func New(ctx context.Context, cfg Config, logger *slog.Logger) (*Tracer, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return &Tracer{}, nil
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(cfg.check(), checkVariables()); err != nil {
		return nil, err
	}
	exporter, err := openExporter(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("setting up the span exporter: %s", redact(err))
	}
	if exporter == nil {
		return &Tracer{tracer: idTracer{}}, nil
	}
	res, err := describe(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter = &reporter{SpanExporter: exporter, logger: logger}
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res), sdktrace.WithBatcher(exporter)}
	share := 1.0 // OTEL_TRACES_SAMPLER decides behind it
	if cfg.Sample != 0 || os.Getenv("OTEL_TRACES_SAMPLER") == "" {
		share = cfg.share()
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	}
	t := newTracer(sdktrace.NewTracerProvider(opts...), cfg.Version, share)
	t.exporter = exporter
	return t, nil
}

func newTracer(p *sdktrace.TracerProvider, version string, share float64) *Tracer {
	return &Tracer{
		tracer:   p.Tracer(scope, trace.WithInstrumentationVersion(version)),
		provider: p,
		share:    share,
	}
}

// share is Sample with its default, in 0..1.
func (cfg Config) share() float64 {
	if cfg.Sample == 0 {
		return DefaultSample
	}
	return max(cfg.Sample, 0)
}

// Close exports what is queued and ends the exporter. It returns after two
// seconds, or when ctx ends, whichever is first; what is queued then is lost
// and the error says so. Spans ended later are dropped.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil || t.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	if t.exporter != nil {
		// The provider returns at the deadline and leaves an export running;
		// shutting the exporter down with the same context ends that too.
		_ = t.exporter.Shutdown(ctx)
	}
	if err != nil {
		return fmt.Errorf("flushing spans: %s", redact(err))
	}
	return nil
}

// off reports that there are neither spans nor trace ids.
func (t *Tracer) off() bool { return t == nil || t.tracer == nil }

// exports reports that spans go somewhere.
func (t *Tracer) exports() bool { return t != nil && t.provider != nil }

// pick decides whether a request without a trace begins one.
func (t *Tracer) pick() bool {
	return t.share >= 1 || t.share > 0 && rand.Float64() < t.share
}
