package tracing

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Handler wraps next so that requests are server spans, named by method and
// route ("GET /v1/tokens/{app}/{token}"). A request with a traceparent
// continues that trace; of the others [Config.Sample] begin one, and the rest
// go straight to next. route is called once, after next, with the request that
// next was given, and returns the pattern that matched ("" if none; a method
// before it is dropped, so that Request.Pattern will do). The span holds no
// path, since paths of drop-in surfaces carry client keys, and never a query,
// header or body.
func (t *Tracer) Handler(next http.Handler, route func(*http.Request) string) http.Handler {
	if t.off() {
		return next
	}
	return &handler{tracer: t, next: next, route: route}
}

type handler struct {
	tracer *Tracer
	next   http.Handler
	route  func(*http.Request) string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if parent := r.Header["Traceparent"]; len(parent) == 1 {
		ctx = Join(ctx, parent[0])
	}
	if !trace.SpanContextFromContext(ctx).IsValid() && !h.tracer.pick() {
		h.next.ServeHTTP(w, r)
		return
	}
	if !h.tracer.exports() {
		h.next.ServeHTTP(w, r.WithContext(ctx))
		return
	}
	_, name := knownMethod(r.Method)
	ctx, span := h.tracer.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	r = r.WithContext(ctx)
	if !span.IsRecording() {
		h.next.ServeHTTP(w, r)
		return
	}
	h.record(span, w, r)
}

// record serves r and fills span with what is known only afterwards.
func (h *handler) record(span trace.Span, w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w}
	panicked := true
	defer func() { h.finish(span, r, a.code(panicked), panicked) }()
	h.next.ServeHTTP(a, r)
	panicked = false
}

func (h *handler) finish(span trace.Span, r *http.Request, code int, panicked bool) {
	defer span.End()
	method, name := knownMethod(r.Method)
	span.SetAttributes(
		attribute.String("http.request.method", method),
		attribute.String("url.scheme", scheme(r)),
		attribute.Int("http.response.status_code", code),
	)
	if panicked {
		span.SetAttributes(attribute.String("error.type", "panic"))
		span.SetStatus(codes.Error, "handler panicked")
	} else if code >= 500 {
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(code)))
		span.SetStatus(codes.Error, "")
	}
	route := h.route(r)
	if _, pattern, ok := strings.Cut(route, " "); ok {
		route = pattern
	}
	if route != "" {
		span.SetName(name + " " + route)
		span.SetAttributes(attribute.String("http.route", route))
	}
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// answer remembers the status. It has Flush and Hijack of its own because gin
// asserts them on the writer it is given.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(code int) {
	informational := code < 200 && code != http.StatusSwitchingProtocols
	if a.status == 0 && !informational {
		a.status = code
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (a *answer) Flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker].
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap lets [http.ResponseController] reach the writer below.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// code is the status sent, or what net/http sends for a handler that set none.
func (a *answer) code(panicked bool) int {
	switch {
	case a.status != 0:
		return a.status
	case panicked:
		return http.StatusInternalServerError
	default:
		return http.StatusOK
	}
}
