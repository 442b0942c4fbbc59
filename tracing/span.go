package tracing

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"strings"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
)

// Span is one timed step of a trace. All its methods may be called on a nil
// Span, and after End, and then do nothing.
type Span struct {
	span trace.Span
}

// Start begins a span: a child of the span in ctx or of the trace joined there,
// else the first of a new trace, which is always recorded. Do not call it on
// the read path without a trace in ctx. The context returned carries the span.
// With nothing to export to, the context still gets valid ids, so that their
// [Traceparent] can be stored, and the Span does nothing.
func (t *Tracer) Start(ctx context.Context, name string, attrs ...slog.Attr) (context.Context, *Span) {
	if t.off() {
		return ctx, nil
	}
	return t.begin(ctx, name, attrs)
}

// StartLinked is Start with a link to the span that traceparent names: the
// cause in another trace, as of one refresh that answers many requests. No link
// is made of a malformed traceparent.
func (t *Tracer) StartLinked(ctx context.Context, name, traceparent string, attrs ...slog.Attr) (context.Context, *Span) {
	if t.off() {
		return ctx, nil
	}
	cause := trace.SpanContextFromContext(Join(context.Background(), traceparent))
	if !cause.IsValid() {
		return t.begin(ctx, name, attrs)
	}
	return t.begin(ctx, name, attrs, trace.WithLinks(trace.Link{SpanContext: cause}))
}

func (t *Tracer) begin(ctx context.Context, name string, attrs []slog.Attr, opts ...trace.SpanStartOption) (context.Context, *Span) {
	ctx, span := t.tracer.Start(ctx, name, opts...)
	s := &Span{span: span}
	s.Set(attrs...)
	return ctx, s
}

// Set adds attributes, replacing those of the same key. Durations become
// seconds, times RFC 3339 in UTC, groups dotted keys. A [slog.LogValuer] is
// resolved first; of a value whose text might hold what nobody meant to show (a
// struct, a map, bytes) only the type is kept.
func (s *Span) Set(attrs ...slog.Attr) {
	if s == nil || len(attrs) == 0 || !s.span.IsRecording() {
		return
	}
	s.span.SetAttributes(convert(attrs)...)
}

// Event marks an instant within the span.
func (s *Span) Event(name string, attrs ...slog.Attr) {
	if s == nil || !s.span.IsRecording() {
		return
	}
	s.span.AddEvent(name, trace.WithAttributes(convert(attrs)...))
}

// End ends the span. A non-nil err marks it as failed with the text of err,
// without the queries and user information of the URLs in it.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err != nil && s.span.IsRecording() {
		s.span.SetStatus(codes.Error, redact(err))
	}
	s.span.End()
}

// Traceparent returns the W3C traceparent of the span in ctx, "" if there is
// none.
func Traceparent(ctx context.Context) string {
	var h header
	propagation.TraceContext{}.Inject(ctx, &h)
	return string(h)
}

// Join returns a context whose next span continues the trace that traceparent
// names. A malformed traceparent leaves ctx as it is.
func Join(ctx context.Context, traceparent string) context.Context {
	if strings.HasPrefix(traceparent, "00-") && len(traceparent) != 55 {
		return ctx // OpenTelemetry lets a dash at the end pass
	}
	h := header(traceparent)
	return propagation.TraceContext{}.Extract(ctx, &h)
}

// header is the traceparent alone; tracestate is left out because it would
// let a client put text of its choice into our spans.
type header string

func (h *header) Get(key string) string {
	if key == "traceparent" {
		return string(*h)
	}
	return ""
}

func (h *header) Set(key, value string) {
	if key == "traceparent" {
		*h = header(value)
	}
}

func (h *header) Keys() []string { return []string{"traceparent"} }

// idTracer makes ids and records nothing. Its traces are flagged as sampled: a
// node that does export continues them.
type idTracer struct{ embedded.Tracer }

func (idTracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanContextFromContext(ctx)
	cfg := trace.SpanContextConfig{TraceID: parent.TraceID(), TraceFlags: parent.TraceFlags()}
	if !parent.IsValid() {
		binary.NativeEndian.PutUint64(cfg.TraceID[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(cfg.TraceID[8:], rand.Uint64()|1) // never all zero
		cfg.TraceFlags = trace.FlagsSampled
	}
	binary.NativeEndian.PutUint64(cfg.SpanID[:], rand.Uint64()|1)
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(cfg))
	return ctx, trace.SpanFromContext(ctx)
}
