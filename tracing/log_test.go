package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLogRecordsNameTheirTrace(t *testing.T) {
	const ids = " trace_id=" + someTrace + " span_id=" + someSpan
	tests := []struct {
		name string
		with func(*slog.Logger) *slog.Logger
		want string
	}{
		{"plain", func(l *slog.Logger) *slog.Logger { return l }, " k=1" + ids},
		{"attrs", func(l *slog.Logger) *slog.Logger { return l.With("node", "n1") }, " node=n1 k=1" + ids},
		{"group", func(l *slog.Logger) *slog.Logger { return l.WithGroup("g") }, ids + " g.k=1"},
		{
			"nested", func(l *slog.Logger) *slog.Logger {
				return l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").With()
			}, " a=1" + ids + " g.b=2 g.h.k=1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			logger := tt.with(slog.New(LogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: dropTime}))))
			logger.InfoContext(Join(t.Context(), someParent), "done", "k", 1)
			if diff := cmp.Diff("level=INFO msg=done"+tt.want+"\n", out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLogGroupsOfSiblingsStayApart(t *testing.T) {
	var out bytes.Buffer
	base := slog.New(LogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: dropTime}))).
		WithGroup("a").WithGroup("b").WithGroup("c") // a tail with room to spare
	one, two := base.With("one", 1), base.With("two", 2)
	ctx := Join(t.Context(), someParent)
	one.InfoContext(ctx, "m")
	two.InfoContext(ctx, "m")
	const ids = "level=INFO msg=m trace_id=" + someTrace + " span_id=" + someSpan
	if diff := cmp.Diff(ids+" a.b.c.one=1\n"+ids+" a.b.c.two=2\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLogLeavesTheCallersRecordAlone(t *testing.T) {
	var out bytes.Buffer
	h := LogHandler(slog.NewTextHandler(&out, nil))
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)
	for range 10 { // one by one, so that there is room behind the last
		r.AddAttrs(slog.Int("k", 1))
	}
	for range 2 { // as a handler that fans out would
		if err := h.Handle(Join(t.Context(), someParent), r); err != nil {
			t.Fatal(err)
		}
	}
	if first, second, _ := strings.Cut(out.String(), "\n"); first+"\n" != second {
		t.Errorf("one record, two lines:\n%s\n%s", first, second)
	}
}

func TestLogHandlerKeepsTheLevel(t *testing.T) {
	h := LogHandler(slog.NewTextHandler(&bytes.Buffer{}, &slog.HandlerOptions{Level: slog.LevelWarn})).WithGroup("g")
	if h.Enabled(context.Background(), slog.LevelInfo) || !h.Enabled(context.Background(), slog.LevelError) {
		t.Error("level of the wrapped handler is lost")
	}
}

func TestLogHandlerIsASoundSlogHandler(t *testing.T) {
	var out bytes.Buffer
	err := slogtest.TestHandler(LogHandler(slog.NewJSONHandler(&out, nil)), func() []map[string]any {
		var records []map[string]any
		for line := range bytes.Lines(out.Bytes()) {
			var m map[string]any
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			records = append(records, m)
		}
		return records
	})
	if err != nil {
		t.Error(err)
	}
}
