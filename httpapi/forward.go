package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
	"freshet/tracing"
)

// forwarding is one call of a client that shall be carried to a platform with a
// value put in. Whoever makes one has authenticated the client and found that it may.
type forwarding struct {
	client    string                // limits and reports are counted by it
	name      coordinator.Name      // whose value is put in
	injection coordinator.Injection // where it is put, and where calls go
	path      string                // escaped, to be sent as it is; begins with a slash and goes below the injection's base
	query     string                // as it was sent; a parameter of the injection's name is replaced
	wait      time.Duration         // for a value where there is none
}

// forward carries the request of c to the platform and the answer back, both
// streamed. A dead value is reported, and the call made once more with the next
// one, where the body could be kept. The client's key, cookies, what proxies say
// of each other and what belongs to one connection stay behind; neither the
// answer's headers nor an error hold the value.
//
// An error is what the client shall be refused with; where c.Writer.Written()
// the answer has begun, and nothing can be said any more.
func (a *API) forward(c *gin.Context, f forwarding) (err error) {
	target, err := targetOf(f.injection, f.path, f.query)
	if err != nil {
		return err
	}
	leave, err := a.forwards.limits.enter(f.client)
	if err != nil {
		return err
	}
	defer leave()
	view, err := a.node.Read(c.Request.Context(), f.name, coordinator.Want{Wait: min(f.wait, a.maxWait)})
	if err != nil {
		return a.orDraining(f.wait, err)
	}
	ctx, stop := context.WithCancelCause(c.Request.Context())
	defer stop(nil)
	call := &carrying{forwarding: f, api: a, target: target, view: view, alone: c.Request.ProtoMajor < 2}
	call.progress = newProgress(c.Writer, a.forwards.idle, stop)
	defer call.progress.end()
	ctx, span := a.startForward(ctx, call, pattern(c.Request))
	defer func() { call.endSpan(span, err) }()
	onlyWebSocket(c.Request.Header)
	call.run(c.Writer, c.Request.WithContext(ctx))
	if call.err != nil && call.closes() {
		c.Header("Connection", "close")
	}
	return call.err
}

// carrying is one forwarding under way. It is the transport of its reverse proxy.
type carrying struct {
	forwarding

	api      *API
	target   url.URL
	progress *progress
	alone    bool // the client's connection carries no other call at the same time

	view     *coordinator.View // whose value the last attempt was made with
	former   *coordinator.View // whose value was refused; nil: none was
	body     *keptBody
	sent     atomic.Bool // the last attempt was given a connection
	status   int
	replayed bool
	err      error
}

func (f *carrying) run(w http.ResponseWriter, r *http.Request) {
	proxy := httputil.ReverseProxy{
		Rewrite:        f.rewrite,
		Transport:      f,
		ModifyResponse: f.clean,
		ErrorHandler:   func(_ http.ResponseWriter, r *http.Request, err error) { f.err = f.fault(r.Context(), err) },
		FlushInterval:  -1, // each piece at once
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	proxy.ServeHTTP(w, r)
}

// rewrite makes the call out of the request.
func (f *carrying) rewrite(r *httputil.ProxyRequest) {
	target := f.target
	r.Out.URL, r.Out.Host = &target, ""
	r.Out.Trailer = nil
	stripCall(r.Out.Header, f.injection.Place.Header)
}

// clean makes an answer fit to be passed on.
func (f *carrying) clean(answer *http.Response) error {
	f.status = answer.StatusCode
	stripAnswer(answer.Header)
	f.scrub(answer.Header)
	f.api.mark(answer.Header, f)
	if f.closes() {
		answer.Header.Set("Connection", "close")
	}
	stripTrailer(answer.Trailer) // so that none is announced that does not come
	answer.Body = f.progress.watch(answer.Body, func() {
		stripTrailer(answer.Trailer)
		f.scrub(answer.Trailer)
	})
	return nil
}

// closes reports whether the client's connection must be closed after the answer:
// what it still sends of the body would be read as a request.
func (f *carrying) closes() bool { return f.alone && f.body.half() }

// fault says what went wrong between client, us and platform. The texts of
// net/http are dropped: they may quote what the platform has sent.
func (f *carrying) fault(ctx context.Context, err error) error {
	timeout, isNet := errors.AsType[net.Error](err)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStalled):
		return errStalled
	case cause != nil:
		return context.Canceled
	case errors.Is(err, coordinator.ErrInvalid):
		return err
	case !f.sent.Load():
		return errUpstreamUnreachable
	case isNet && timeout.Timeout():
		return errUpstreamSilent
	}
	return errUpstreamLost
}

// startForward begins the span of a forwarded call where its request is traced.
func (a *API) startForward(ctx context.Context, f *carrying, route string) (context.Context, *tracing.Span) {
	if tracing.Traceparent(ctx) == "" {
		return ctx, nil // not picked: see tracing.Config.Sample
	}
	return a.tracer.Start(ctx, "forward", slog.Group("http", slog.String("route", route)),
		slog.Group("server", slog.String("address", f.target.Hostname())),
		slog.Group("freshet", slog.String("token", f.name.String())))
}

func (f *carrying) endSpan(span *tracing.Span, err error) {
	span.Set(slog.Group("http", slog.Group("response", slog.Int("status_code", f.status))),
		slog.Group("freshet", slog.Bool("replayed", f.replayed)))
	span.End(err)
}
