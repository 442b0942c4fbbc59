package wechat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"freshet/coordinator"
)

// Codes of exchanges that brought no answer.
const (
	codeTimeout  = "timeout"
	codeCanceled = "canceled"
	codeConnect  = "connect" // no connection was made: the request was certainly not sent
	codeLost     = "connection_lost"
	codeCut      = "truncated"
	codeHTTP     = "http_" // and the status
)

// maxRetryAfter bounds what a gateway's Retry-After can ask for.
const maxRetryAfter = time.Hour

// delivery watches whether a request can have reached the platform.
type delivery struct {
	asked atomic.Bool // the transport tells us about connections
	given atomic.Bool // it has had one
}

func (d *delivery) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { d.asked.Store(true) },
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
	up := &coordinator.UpstreamError{Class: retry, Ambiguous: sent}
	switch {
	case canceled(ctx, err):
		up.Code, up.Reason, up.Message = codeCanceled, codeCanceled, "the call was given up"
	case timedOut(err):
		up.Code, up.Reason, up.Message = codeTimeout, codeTimeout, "the platform did not answer in time"
	case sent:
		up.Code, up.Reason, up.Message = codeLost, codeLost, "the connection broke before an answer came"
	default:
		up.Code, up.Reason, up.Message = codeConnect, "unreachable", "no connection: "+clean(err.Error(), hide...)
	}
	return up
}

// cutShort makes the error of an answer that broke off.
func cutShort(ctx context.Context, err error) error {
	up := &coordinator.UpstreamError{Class: retry, Ambiguous: true, Reason: "bad_answer"}
	switch {
	case canceled(ctx, err):
		up.Code, up.Reason, up.Message = codeCanceled, codeCanceled, "the call was given up within the answer"
	case timedOut(err):
		up.Code, up.Reason, up.Message = codeTimeout, codeTimeout, "the answer did not end in time"
	default:
		up.Code, up.Message = codeCut, "the answer broke off"
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

// badStatus makes the error of an answer that is not 200: the platform itself
// says 200 always, so this comes from something before it.
func badStatus(resp *http.Response) error {
	return &coordinator.UpstreamError{
		Class: retry, Code: codeHTTP + strconv.Itoa(resp.StatusCode), Reason: "bad_status", Ambiguous: true,
		Message:    fmt.Sprintf("the answer has HTTP status %d, where the platform sends 200 only", resp.StatusCode),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

// retryAfter reads a Retry-After header: seconds or a date. Zero: not said.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// elsewhere reports whether another host could do better after err.
func elsewhere(err error) bool {
	up, ok := errors.AsType[*coordinator.UpstreamError](err)
	if !ok {
		return false
	}
	switch up.Code {
	case codeConnect, codeLost, codeCut, codeTimeout:
		return true
	}
	return strings.HasPrefix(up.Code, codeHTTP+"5")
}
