package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"freshet/coordinator"
)

// Codes of exchanges that brought no answer.
const (
	CodeTimeout  = "timeout"
	CodeCanceled = "canceled"
	CodeConnect  = "connect" // no connection was made: the request was certainly not sent
	CodeLost     = "connection_lost"
	CodeCut      = "truncated"
	CodeHTTP     = "http_" // and the status
)

// maxRetryAfter bounds what a Retry-After can ask for.
const maxRetryAfter = time.Hour

// Send sends a request once. It uses the transport without an http.Client, which
// would follow redirects and put URLs into its errors. The error is an
// *coordinator.UpstreamError of ClassRetry, ambiguous unless it is certain that the
// request was not sent; it holds none of the texts in hide.
func Send(transport http.RoundTripper, r *http.Request, hide ...string) (*http.Response, error) {
	var d delivery
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		d.asked.Store(true) // nothing was sent, for certain
		return nil, d.fault(ctx, err, hide)
	}
	resp, err := transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, d.trace())))
	if err != nil {
		return nil, d.fault(ctx, err, hide)
	}
	return resp, nil
}

// Read reads an answer that Send returned, at most so many bytes of it. The error is
// an ambiguous *coordinator.UpstreamError.
func Read(ctx context.Context, resp *http.Response, most int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	if len(body) > most {
		return nil, Senseless(Bad("too_large", "the answer is longer than %d bytes", most))
	}
	if err != nil {
		return nil, cutShort(ctx, err)
	}
	return body, nil
}

// OnceOnly is the empty body of a GET that must not be sent twice. net/http sends a
// GET again, without telling, when a kept connection breaks after the request was
// written; but not one whose body it cannot get a second time. Nothing of it goes
// over the wire.
type OnceOnly struct{}

// Read ends at once.
func (OnceOnly) Read([]byte) (int, error) { return 0, io.EOF }

// delivery watches whether a request can have reached the platform.
type delivery struct {
	asked atomic.Bool // the transport tells us about connections
	given atomic.Bool // it has had one
}

// trace notes connections. A transport that asks for a second one has written
// nothing to the first: net/http repeats no other request that Send is made for.
func (d *delivery) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { d.asked.Store(true); d.given.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { d.given.Store(true) },
	}
}

// possible reports whether the request may have been delivered. Only a proof
// says no: a transport that was still without a connection, or an error of
// dialling from one that tells nothing.
func (d *delivery) possible(err error) bool {
	if d.given.Load() {
		return true
	}
	op, isOp := errors.AsType[*net.OpError](err)
	return !d.asked.Load() && (!isOp || op.Op != "dial")
}

// fault makes the error of a round trip that failed. What went wrong before the
// request was sent is told in the transport's words; afterwards it is not, for
// those may quote what the platform has sent.
func (d *delivery) fault(ctx context.Context, err error, hide []string) error {
	sent := d.possible(err)
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // its text has the URL
	}
	up := &coordinator.UpstreamError{Class: coordinator.ClassRetry, Ambiguous: sent}
	switch {
	case canceled(ctx, err):
		up.Code, up.Reason, up.Message = CodeCanceled, CodeCanceled, "the call was given up"
	case timedOut(err):
		up.Code, up.Reason, up.Message = CodeTimeout, CodeTimeout, "the platform did not answer in time"
	case sent:
		up.Code, up.Reason, up.Message = CodeLost, CodeLost, "the connection broke before an answer came"
	default:
		up.Code, up.Reason, up.Message = CodeConnect, "unreachable", "no connection: "+Clean(err.Error(), hide...)
	}
	return up
}

// cutShort makes the error of an answer that broke off.
func cutShort(ctx context.Context, err error) error {
	up := &coordinator.UpstreamError{Class: coordinator.ClassRetry, Ambiguous: true, Reason: "bad_answer"}
	switch {
	case canceled(ctx, err):
		up.Code, up.Reason, up.Message = CodeCanceled, CodeCanceled, "the call was given up within the answer"
	case timedOut(err):
		up.Code, up.Reason, up.Message = CodeTimeout, CodeTimeout, "the answer did not end in time"
	default:
		up.Code, up.Message = CodeCut, "the answer broke off"
	}
	return up
}

func canceled(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(ctx.Err(), context.Canceled)
}

func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// RetryAfter reads a Retry-After header, seconds or a date, at most an hour. Zero: not said.
func RetryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
