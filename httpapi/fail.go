package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// fail answers with the problem that an error is. An error that no table knows
// is logged here, and nowhere else; the client gets a fixed text.
func (a *API) fail(c *gin.Context, err error) {
	found, known := problemOf(err)
	if !known {
		a.log.ErrorContext(c.Request.Context(), "request failed", "route", pattern(c.Request), "err", err)
	}
	a.headers.set(c.Writer.Header(), a.node.Health())
	setProblemHeaders(c.Writer.Header(), found, err)
	p := wireProblem(c.Request.Method, found, err)
	_ = writeJSON(c, answer{found.status, p}, "application/problem+json") // texts always encode
	c.Abort()
}

func setProblemHeaders(header http.Header, found problem, err error) {
	header.Set("Freshet-Problem", found.code) // tells our refusals of forwarded calls from the platforms' answers
	switch {
	case errors.Is(err, errNoKey):
		header.Set("WWW-Authenticate", `Bearer realm="freshet"`)
	case errors.Is(err, errWrongKey):
		header.Set("WWW-Authenticate", `Bearer realm="freshet", error="invalid_token"`)
	}
	if errors.Is(err, errTooLarge) {
		header.Set("Connection", "close") // or net/http would read on before it answers
	}
	if found.again {
		header.Set("Retry-After", strconv.Itoa(retryAfter(err)))
	}
}

// retryAfter returns when to ask again, in seconds, at least one.
func retryAfter(err error) int {
	if missing, ok := errors.AsType[*coordinator.NoValueError](err); ok {
		return max(1, int((missing.RetryAfter+time.Second-1)/time.Second))
	}
	return 1
}

// wireProblem builds the document. Its detail comes from texts that were made
// for callers, never from a chain of wrapped errors, which tells of our inside.
func wireProblem(method string, found problem, err error) client.Problem {
	p := client.Problem{
		Type:   "urn:freshet:problem:" + found.code,
		Title:  found.title,
		Status: found.status,
		Code:   found.code,
		Detail: found.detail(method),
	}
	if invalid, ok := errors.AsType[*coordinator.InvalidError](err); ok {
		p.Detail = invalid.Message
	}
	if twin, ok := errors.AsType[*coordinator.TwinError](err); ok {
		p.Detail = twin.Error() // an endpoint has hidden it from who may not see the twin
	}
	if missing, ok := errors.AsType[*coordinator.NoValueError](err); ok {
		v := missing.View
		p.App, p.Token = v.Name.App, v.Name.Token
		p.State, p.Reason = string(v.Status(time.Now())), v.State.Reason
		p.Detail = missingDetail(found, missing, err)
	}
	return p
}

// missingDetail says why there is no value, and what would bring one.
func missingDetail(found problem, missing *coordinator.NoValueError, err error) string {
	switch {
	case errors.Is(found.err, errDraining):
		return errDraining.Error()
	case errors.Is(err, errSameAgain):
		return missing.View.Name.String() + ": " + errSameAgain.Error()
	}
	return missing.Error()
}
