package main

import (
	"io"
	"log/slog"

	"freshet/tracing"
)

// newLogger logs to out, with the trace of what is logged.
func newLogger(out io.Writer, c logConfig) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // check has refused it already
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		options.ReplaceAttr = readableDurations
		return slog.New(tracing.LogHandler(slog.NewJSONHandler(out, options)))
	}
	return slog.New(tracing.LogHandler(slog.NewTextHandler(out, options)))
}

// readableDurations writes durations like "1.5s"; JSON would have nanoseconds.
func readableDurations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
