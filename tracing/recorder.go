package tracing

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Recorded is an ended span, in plain words.
type Recorded struct {
	Name string
	// Kind is "internal", "client" or "server".
	Kind string
	// TraceID, SpanID and ParentID are lower-case hex; ParentID is "" at the
	// root.
	TraceID, SpanID, ParentID string
	Attrs                     map[string]string
	Events                    []RecordedEvent
	// Links holds traceparents.
	Links []string
	// Failed says that the span ended with an error, Err its text.
	Failed     bool
	Err        string
	Start, End time.Time
}

// RecordedEvent is an event of a recorded span.
type RecordedEvent struct {
	Name  string
	Attrs map[string]string
	Time  time.Time
}

// Recorder keeps ended spans in memory, for tests.
type Recorder struct {
	mu    sync.Mutex
	spans []Recorded
}

// NewRecorder returns a Tracer that samples everything and reads no variable,
// and the Recorder of its spans. It starts nothing that must be closed.
func NewRecorder() (*Tracer, *Recorder) {
	r := &Recorder{}
	p := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithSpanProcessor(processor{r}),
	)
	return newTracer(p, "", 1), r
}

// Spans returns the spans ended so far, in the order of their ends.
func (r *Recorder) Spans() []Recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// processor keeps OpenTelemetry's types out of the Recorder's methods.
type processor struct{ recorder *Recorder }

func (processor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (processor) Shutdown(context.Context) error                  { return nil }
func (processor) ForceFlush(context.Context) error                { return nil }

func (p processor) OnEnd(s sdktrace.ReadOnlySpan) {
	span := record(s)
	p.recorder.mu.Lock()
	defer p.recorder.mu.Unlock()
	p.recorder.spans = append(p.recorder.spans, span)
}

func record(s sdktrace.ReadOnlySpan) Recorded {
	out := Recorded{
		Name:    s.Name(),
		Kind:    s.SpanKind().String(),
		TraceID: s.SpanContext().TraceID().String(),
		SpanID:  s.SpanContext().SpanID().String(),
		Attrs:   texts(s.Attributes()),
		Failed:  s.Status().Code == codes.Error,
		Err:     s.Status().Description,
		Start:   s.StartTime(),
		End:     s.EndTime(),
	}
	if s.Parent().IsValid() {
		out.ParentID = s.Parent().SpanID().String()
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, RecordedEvent{Name: e.Name, Attrs: texts(e.Attributes), Time: e.Time})
	}
	for _, l := range s.Links() {
		sc := l.SpanContext
		out.Links = append(out.Links, fmt.Sprintf("00-%s-%s-%s", sc.TraceID(), sc.SpanID(), sc.TraceFlags()))
	}
	return out
}

func texts(attrs []attribute.KeyValue) map[string]string {
	m := make(map[string]string, len(attrs))
	for _, a := range attrs {
		m[string(a.Key)] = a.Value.String()
	}
	return m
}
