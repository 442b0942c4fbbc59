package tracing

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// LogHandler adds trace_id and span_id of the span in the context to the
// records that h handles. They stand at the top of the record, also for a
// logger with an open group.
func LogHandler(h slog.Handler) slog.Handler {
	return &logHandler{top: h, open: h}
}

type logHandler struct {
	top    slog.Handler                      // before the first group
	open   slog.Handler                      // with everything
	replay []func(slog.Handler) slog.Handler // from top to open
}

func (l *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return l.open.Enabled(ctx, level)
}

func (l *logHandler) Handle(ctx context.Context, r slog.Record) error {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return l.open.Handle(ctx, r)
	}
	ids := []slog.Attr{
		slog.String("trace_id", sc.TraceID().String()),
		slog.String("span_id", sc.SpanID().String()),
	}
	if len(l.replay) == 0 {
		r = r.Clone() // AddAttrs might write into what the caller still holds
		r.AddAttrs(ids...)
		return l.open.Handle(ctx, r)
	}
	h := l.top.WithAttrs(ids)
	for _, step := range l.replay {
		h = step(h)
	}
	return h.Handle(ctx, r)
}

func (l *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return l
	}
	if len(l.replay) == 0 {
		return LogHandler(l.top.WithAttrs(attrs))
	}
	return l.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (l *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	return l.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l *logHandler) with(step func(slog.Handler) slog.Handler) slog.Handler {
	steps := append(slices.Clip(l.replay), step) // siblings must not share a tail
	return &logHandler{top: l.top, open: step(l.open), replay: steps}
}
