package store

import (
	"bytes"
	"log/slog"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// etcdLogger lets etcd's client, which logs with zap, speak through log. Only
// warnings pass, and each but once in ten seconds: while etcd is away the
// client repeats one for each of its many retries.
func etcdLogger(log *slog.Logger) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "message"})
	core := zapcore.NewCore(encoder, logWriter{log}, zap.WarnLevel)
	return zap.New(zapcore.NewSamplerWithOptions(core, 10*time.Second, 1, 0))
}

// logWriter logs each line that is written. What etcd's client calls an error
// is seldom one for us, who try again; whoever gives up says so.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	w.log.Warn("etcd client warns", "text", string(bytes.TrimSpace(line)))
	return len(line), nil
}

func (w logWriter) Sync() error { return nil }
