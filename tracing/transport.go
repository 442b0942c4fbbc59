package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Transport wraps base (nil: [http.DefaultTransport]) so that each call is a
// client span, from the request to the end of the answer's body. A call outside
// any trace begins one at the rate of [Config.Sample]. The span holds method,
// scheme, host, port, path and status; never the query, user information,
// headers or body. No traceparent is sent: upstreams are third parties. A
// caller that trusts the other side sets the header itself, from [Traceparent].
func (t *Tracer) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	if !t.exports() {
		return base
	}
	return &transport{tracer: t, base: base}
}

type transport struct {
	tracer *Tracer
	base   http.RoundTripper
}

func (rt *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	inTrace := trace.SpanContextFromContext(r.Context()).IsValid()
	if r.URL == nil || !inTrace && !rt.tracer.pick() {
		return rt.base.RoundTrip(r)
	}
	method, name := knownMethod(r.Method)
	ctx, span := rt.tracer.tracer.Start(r.Context(), name, trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("http.request.method", method),
			attribute.String("url.scheme", r.URL.Scheme),
			attribute.String("url.path", r.URL.Path),
			attribute.String("server.address", r.URL.Hostname()),
			attribute.Int("server.port", port(r.URL)),
		)
	}
	resp, err := rt.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		fail(span, err)
		span.End()
		return resp, err
	}
	answered(span, resp)
	return resp, nil
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] reach base.
func (rt *transport) CloseIdleConnections() {
	if c, ok := rt.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// answered records the status and ends span with the body.
func answered(span trace.Span, resp *http.Response) {
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= 400 {
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(resp.StatusCode)))
		span.SetStatus(codes.Error, "")
	}
	if resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		span.End() // a switched connection's body must stay what it is: also a writer
		return
	}
	resp.Body = &body{ReadCloser: resp.Body, span: span}
}

// body ends its span when it is read to the end, fails or is closed.
type body struct {
	io.ReadCloser
	span trace.Span
	once sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(func() {
			if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				fail(b.span, err)
			}
			b.span.End()
		})
	}
	return n, err
}

func (b *body) Close() error {
	b.once.Do(func() { b.span.End() })
	return b.ReadCloser.Close()
}

func fail(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("error.type", errorType(err)))
	span.SetStatus(codes.Error, redact(err))
}

// errorType is a short class where there is one, else the type at the root.
func errorType(err error) string {
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "timeout"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns"
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return fmt.Sprintf("%T", err)
		}
		err = next
	}
}

// knownMethod returns the method as an attribute and as a span's name. Unknown
// ones are not copied: they are text of somebody else's choice.
func knownMethod(method string) (attr, name string) {
	switch method {
	case "":
		return http.MethodGet, http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method, method
	default:
		return "_OTHER", "HTTP"
	}
}

func port(u *url.URL) int {
	if n, err := strconv.Atoi(u.Port()); err == nil {
		return n
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}
