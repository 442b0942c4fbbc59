package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// Errors of the API itself.
var (
	errNoKey       = errors.New("send a client key: Authorization: Bearer <key>")
	errWrongKey    = errors.New("the client key is not valid, or has expired")
	errForbidden   = errors.New("this client may not do this, or not to this name")
	errNoRoute     = errors.New("there is no such route; those of the API stand in its /v1/openapi.json")
	errMethod      = errors.New("this route does not answer this method; the Allow header says which it does")
	errTooLarge    = errors.New("the body is too large")
	errMediaType   = errors.New("send the body as JSON: Content-Type: application/json")
	errNotLines    = errors.New("send the apps one a line: Content-Type: " + client.NDJSON)
	errLongLine    = fmt.Errorf("the line is longer than %d KiB", maxAppBody>>10)
	errImportPause = errors.New("no whole line came for too long: send the same import again, what is there already is left unchanged")
	errImportBroke = errors.New("the body broke off: nothing of its last line was applied; send the same import again, what is there already is left unchanged")
	errRateLimited = errors.New("too many reports of this token by this client")
	errStreams     = errors.New("too many streams are open: close some, or ask another node")
	errTooFast     = errors.New("too many calls of this client in a short time")
	errTooMany     = errors.New("too many calls of this client are under way: let some of them end")
	errDraining    = errors.New("this node is going away: ask another one")
	errSameAgain   = errors.New("the platform gave the same value again; a forced refresh makes it give another")
	errNoHubKey    = errors.New("send a client key as the password of basic authentication")
	errNoHubEntry  = errors.New("there is no such entry, or this client may not read it")
	errStalled     = errors.New("nothing moved between client and platform for too long: the call was given up")
	errPanic       = errors.New("the node met a mistake of its own; its log says more")
)

// Errors of calls that are forwarded. Nothing is repeated after the last two: the
// platform may have acted.
var (
	errUpstreamUnreachable = errors.New("no connection to the platform could be made: nothing was sent")
	errUpstreamLost        = errors.New("the connection to the platform broke before an answer came: it may have acted")
	errUpstreamSilent      = errors.New("the platform did not begin to answer in time: it may have acted")
)

// problem is what an error means to a client.
type problem struct {
	err    error
	status int
	code   string
	title  string
	again  bool // worth asking again: Retry-After is sent
}

// problems is the table of all errors that clients can meet; the first that
// matches counts. What is not in it is answered as an internal error, and logged.
func problems() []problem {
	return []problem{
		{coordinator.ErrInvalid, http.StatusBadRequest, client.CodeInvalidRequest, "The request is not valid", false},
		{errNoKey, http.StatusUnauthorized, client.CodeUnauthenticated, "A client key is needed", false},
		{errWrongKey, http.StatusUnauthorized, client.CodeUnauthenticated, "The client key is not valid", false},
		{errForbidden, http.StatusForbidden, client.CodeForbidden, "Not permitted", false},
		{errNoRoute, http.StatusNotFound, client.CodeNotFound, "No such route", false},
		{coordinator.ErrUnknownToken, http.StatusNotFound, client.CodeUnknownToken, "No such token", false},
		{coordinator.ErrUnknownApp, http.StatusNotFound, client.CodeUnknownApp, "No such app", false},
		{coordinator.ErrUnknownClient, http.StatusNotFound, client.CodeUnknownClient, "No such client", false},
		{coordinator.ErrClientExists, http.StatusConflict, client.CodeConflict, "The client exists already", false},
		{errMethod, http.StatusMethodNotAllowed, client.CodeMethodNotAllowed, "Method not allowed", false},
		{coordinator.ErrConflict, http.StatusConflict, client.CodeConflict, "Changed by somebody else meanwhile", true},
		{errTooLarge, http.StatusRequestEntityTooLarge, client.CodeBodyTooLarge, "The body is too large", false},
		{errLongLine, http.StatusRequestEntityTooLarge, client.CodeBodyTooLarge, "The line is too long", false},
		{errNotLines, http.StatusUnsupportedMediaType, client.CodeMediaType, "The body is not NDJSON", false},
		{errImportPause, http.StatusRequestTimeout, client.CodeRequestTimeout, "The sender stood still", true},
		{errImportBroke, http.StatusBadRequest, client.CodeInvalidRequest, "The body broke off", true},
		{errMediaType, http.StatusUnsupportedMediaType, client.CodeMediaType, "The body is not JSON", false},
		{coordinator.ErrReauthorize, http.StatusFailedDependency, client.CodeReauthorize, "The app must be authorised again", false},
		{coordinator.ErrBudgetExhausted, http.StatusTooManyRequests, client.CodeBudgetExhausted, "The budget of upstream calls is spent", true},
		{errTooFast, http.StatusTooManyRequests, client.CodeRateLimited, "Too many calls", true},
		{errTooMany, http.StatusTooManyRequests, client.CodeRateLimited, "Too many calls at once", true},
		{errUpstreamUnreachable, http.StatusBadGateway, client.CodeUpstreamUnreachable, "The platform cannot be reached", true},
		{errUpstreamLost, http.StatusBadGateway, client.CodeUpstreamLost, "The platform broke the call off", false},
		{errUpstreamSilent, http.StatusGatewayTimeout, client.CodeUpstreamTimeout, "The platform did not answer in time", false},
		{errStalled, http.StatusGatewayTimeout, client.CodeUpstreamTimeout, "The call stood still", false},
		{errRateLimited, http.StatusTooManyRequests, client.CodeRateLimited, "Too many requests", true},
		{errStreams, http.StatusTooManyRequests, client.CodeRateLimited, "Too many streams", true},
		{errDraining, http.StatusServiceUnavailable, client.CodeDraining, "The node is going away", true},
		{coordinator.ErrTokenPending, http.StatusServiceUnavailable, client.CodeTokenPending, "The token has no value yet", true},
		{coordinator.ErrNoValidToken, http.StatusServiceUnavailable, client.CodeNoValidToken, "The token has no valid value", true},
		{coordinator.ErrNoNewerToken, http.StatusServiceUnavailable, client.CodeNoNewerToken, "The token has no newer value", true},
		{coordinator.ErrNotSynced, http.StatusServiceUnavailable, client.CodeNotSynced, "The node has just started", true},
		{coordinator.ErrStale, http.StatusServiceUnavailable, client.CodeStale, "The node hears nothing from etcd", true},
		{coordinator.ErrAmbiguous, http.StatusServiceUnavailable, client.CodeOutcomeUnknown, "The change may or may not have been made", true},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, client.CodeUnavailable, "The cluster's store did not answer in time", true},
		{context.Canceled, http.StatusServiceUnavailable, client.CodeCanceled, "The client went away", true},
		{errPanic, http.StatusInternalServerError, client.CodeInternal, "Internal error", false},
	}
}

// detail says what happened to a request of a method, in words for callers:
// the texts of some errors are for programmers.
func (p problem) detail(method string) string {
	silent := errors.Is(p.err, context.DeadlineExceeded)
	switch {
	case silent && (method == http.MethodGet || method == http.MethodHead):
		return "etcd did not answer in time: try again"
	case silent, errors.Is(p.err, coordinator.ErrAmbiguous):
		return "etcd did not answer in time: the change may or may not have been made; look at the state, then try again"
	case errors.Is(p.err, context.Canceled):
		return "the request was given up before it was answered"
	}
	return p.err.Error()
}

// problemOf looks an error up; false: it is in no table.
func problemOf(err error) (problem, bool) {
	for _, p := range problems() {
		if errors.Is(err, p.err) {
			return p, true
		}
	}
	return problem{errPanic, http.StatusInternalServerError, client.CodeInternal, "Internal error", false}, false
}
