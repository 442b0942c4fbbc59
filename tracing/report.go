package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const reportEvery = time.Minute

// reporter logs what its exporter could not deliver, one line a minute. It
// keeps the errors to itself: returned, they would go to OpenTelemetry's global
// error handler, which prints.
type reporter struct {
	sdktrace.SpanExporter
	logger *slog.Logger
	once   sync.Once // Shutdown

	mu   sync.Mutex
	next time.Time // no line before
	lost int       // spans since the last line
}

// ExportSpans hands spans on and never fails.
func (r *reporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	if lost, ok := r.due(len(spans)); ok {
		r.logger.WarnContext(ctx, "spans not exported", "spans", lost, "err", redact(err))
	}
	return nil
}

// due counts spans as lost and says whether a line is due, and of how many.
func (r *reporter) due(spans int) (int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost += spans
	now := time.Now()
	if now.Before(r.next) {
		return 0, false
	}
	lost := r.lost
	r.lost, r.next = 0, now.Add(reportEvery)
	return lost, true
}

// Shutdown ends the exporter once: the provider and Close both ask for it.
func (r *reporter) Shutdown(ctx context.Context) error {
	var err error
	r.once.Do(func() { err = r.SpanExporter.Shutdown(ctx) })
	return err
}
