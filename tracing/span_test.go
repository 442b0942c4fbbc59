package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	someTrace  = "0af7651916cd43dd8448eb211c80319c"
	someSpan   = "b7ad6b7169203331"
	someParent = "00-" + someTrace + "-" + someSpan + "-01"
)

func TestTraceparentRoundTrip(t *testing.T) {
	if got := Traceparent(t.Context()); got != "" {
		t.Errorf("traceparent of no span = %q", got)
	}
	ctx := Join(t.Context(), someParent)
	if got := Traceparent(ctx); got != someParent {
		t.Errorf("traceparent = %q, want %q", got, someParent)
	}
	tracer, recorder := NewRecorder()
	_, span := tracer.Start(ctx, "apply")
	span.End(nil)
	got := recorder.Spans()[0]
	if got.TraceID != someTrace || got.ParentID != someSpan {
		t.Errorf("span %+v does not continue %s", got, someParent)
	}
}

func TestMalformedTraceparentChangesNothing(t *testing.T) {
	ctx := Join(t.Context(), someParent)
	for _, bad := range []string{
		"", "x", someParent + "-", "ff" + someParent[2:], "00-" + someTrace + "-0000000000000000-01",
		"00-00000000000000000000000000000000-" + someSpan + "-01", "00-" + someTrace + "-B7AD6B7169203331-01",
	} {
		if got := Join(ctx, bad); got != ctx {
			t.Errorf("%q was joined: %s", bad, Traceparent(got))
		}
	}
}

func TestSpansFormATree(t *testing.T) {
	tracer, recorder := NewRecorder()
	ctx, root := tracer.Start(t.Context(), "refresh", slog.String("app", "shop"))
	_, child := tracer.StartLinked(ctx, "fetch", someParent, slog.Int("attempt", 2))
	child.Event("sent", slog.Int("bytes", 7))
	child.Set(slog.Int("attempt", 3))
	child.End(errors.New("answer 500"))
	_, lone := tracer.StartLinked(t.Context(), "other", "malformed")
	lone.End(nil)
	root.End(nil)

	spans := recorder.Spans()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want 3", len(spans))
	}
	fetch, other, refresh := spans[0], spans[1], spans[2]
	want := Recorded{
		Name: "fetch", Kind: "internal",
		TraceID: refresh.TraceID, SpanID: fetch.SpanID, ParentID: refresh.SpanID,
		Attrs:  map[string]string{"attempt": "3"},
		Events: []RecordedEvent{{Name: "sent", Attrs: map[string]string{"bytes": "7"}, Time: fetch.Events[0].Time}},
		Links:  []string{someParent},
		Failed: true, Err: "answer 500",
		Start: fetch.Start, End: fetch.End,
	}
	if diff := cmp.Diff(want, fetch); diff != "" {
		t.Error(diff)
	}
	if fetch.End.Before(fetch.Start) || fetch.Start.Before(refresh.Start) || refresh.End.Before(fetch.End) {
		t.Error("times do not nest")
	}
	if refresh.ParentID != "" || refresh.Failed || refresh.Attrs["app"] != "shop" {
		t.Errorf("root %+v", refresh)
	}
	if other.TraceID == refresh.TraceID || len(other.Links) != 0 {
		t.Errorf("other %+v is no trace of its own without links", other)
	}
}

// hidden redacts itself for slog only, and tells all to fmt.
type hidden struct{ text string }

func (hidden) LogValue() slog.Value { return slog.StringValue("[hidden]") }
func (h hidden) String() string     { return h.text }

type appName string

type withText struct{}

func (withText) MarshalText() ([]byte, error) { return []byte("text"), nil }

func TestAttributesAreConverted(t *testing.T) {
	when := time.Date(2026, 7, 1, 10, 0, 0, 0, time.FixedZone("", 2*3600))
	secret, _ := url.Parse("https://me:canary@host/path?key=canary#canary")
	var none *url.URL
	tests := []struct {
		in   any
		want string
	}{
		{"text", "text"},
		{7, "7"},
		{uint64(math.MaxUint64), "18446744073709551615"},
		{uint8(8), "8"},
		{true, "true"},
		{0.5, "0.5"},
		{1500 * time.Millisecond, "1.5"},
		{when, "2026-07-01T08:00:00Z"},
		{nil, "<nil>"},
		{none, "<nil>"},
		{appName("shop"), "shop"},
		{withText{}, "text"},
		{[]string{"a", "b"}, `["a","b"]`},
		{errors.New("boom"), "boom"},
		{hidden{"canary"}, "[hidden]"},
		{[]hidden{{"canary"}}, "[]tracing.hidden"},
		{struct{ s string }{"canary"}, "struct { s string }"},
		{[]byte("canary"), "[]uint8"},
		{http.Header{"Authorization": {"canary"}}, "http.Header"},
		{secret, "https://host/path"},
		{secret.User, "[redacted]"},
		{secret.String(), "https://[redacted]@host/path?[redacted]"},
		{[]string{secret.String()}, `["https://[redacted]@host/path?[redacted]"]`},
		{fmt.Errorf("calling: %w", &url.Error{Op: "Get", URL: secret.String(), Err: errors.New("no")}), `calling: Get "https://host/path": no`},
	}
	for _, tt := range tests {
		tracer, recorder := NewRecorder()
		_, span := tracer.Start(t.Context(), "s", slog.Any("key", tt.in))
		span.End(nil)
		if got := recorder.Spans()[0].Attrs["key"]; got != tt.want {
			t.Errorf("%T %v: %q, want %q", tt.in, tt.in, got, tt.want)
		}
	}
}

func TestGroupsBecomeDottedKeys(t *testing.T) {
	tracer, recorder := NewRecorder()
	_, span := tracer.Start(t.Context(), "s",
		slog.Group("app", slog.String("name", "shop"), slog.Group("token", slog.Any("value", hidden{"canary"}))),
		slog.Group("", slog.Int("inline", 1)), slog.Attr{})
	span.End(nil)
	want := map[string]string{"app.name": "shop", "app.token.value": "[hidden]", "inline": "1"}
	if diff := cmp.Diff(want, recorder.Spans()[0].Attrs); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsLoseTheirURLs(t *testing.T) {
	parsing := func(u string) error { _, err := url.Parse(u); return err }
	wrap := func(u string) error { return &url.Error{Op: "Get", URL: u, Err: errors.New("no route")} }
	tests := []struct {
		err  error
		want string
	}{
		{wrap("https://h/p?secret=canary"), `Get "https://h/p": no route`},
		{wrap("/p?canary"), `Get "/p": no route`},
		{wrap(`https://h/p?secret=a "canary" b`), `Get "https://h/p": no route`},
		{errors.Join(errors.New("one"), wrap("http://me:canary@h/p")), "one\nGet \"http://h/p\": no route"},
		{fmt.Errorf("%w, then %w", wrap("http://h/1?canary"), wrap("http://h/2?canary")), `Get "http://h/1": no route, then Get "http://h/2": no route`},
		{&url.Error{Op: "Get", URL: "http://h/1?canary", Err: wrap("http://h/2?canary")}, `Get "http://h/1": Get "http://h/2": no route`},
		{parsing("http://me:canary"), `parse "[redacted]": not a URL`},
		{parsing("http://h/%zz?canary"), `parse "[redacted]": not a URL`},
		{errors.New("get http://h/p?canary now"), "get http://h/p?[redacted] now"},
		{errors.New("get /p?secret=canary now"), "get /p?[redacted] now"},
		{errors.New("back at https://h/p#access_token=canary"), "back at https://h/p?[redacted]"},
		{errors.New(`invalid proxy address "me:canary@proxy:3128"`), `invalid proxy address "[redacted]@proxy:3128"`},
		{errors.New("malformed MIME header line: Set-Cookie canary"), "malformed MIME header line [redacted]"},
		{errors.New(`malformed HTTP response "canary"`), "malformed HTTP response [redacted]"},
		{errors.New("why? because: 12:30"), "why? because: 12:30"},
		{context.DeadlineExceeded, "context deadline exceeded"},
	}
	for _, tt := range tests {
		if got := redact(tt.err); got != tt.want {
			t.Errorf("redacted %q\n got %q\nwant %q", tt.err, got, tt.want)
		}
	}
}
