package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The codes of problems. They are stable: programs may branch on them.
const (
	CodeInvalidRequest      = "invalid_request"          // 400: the detail says what to change
	CodeUnauthenticated     = "unauthenticated"          // 401: no client key, or one that is not valid
	CodeForbidden           = "forbidden"                // 403: not permitted, whether or not it exists
	CodeNotFound            = "not_found"                // 404: no such route
	CodeUnknownToken        = "unknown_token"            // 404
	CodeUnknownApp          = "unknown_app"              // 404
	CodeUnknownClient       = "unknown_client"           // 404
	CodeMethodNotAllowed    = "method_not_allowed"       // 405: Allow says what is
	CodeRequestTimeout      = "request_timeout"          // 408: the body stood still while it was sent
	CodeConflict            = "conflict"                 // 409: it changed meanwhile; look again
	CodeBodyTooLarge        = "body_too_large"           // 413
	CodeMediaType           = "unsupported_media_type"   // 415: bodies are application/json
	CodeReauthorize         = "reauthorization_required" // 424: a human must authorise the app again
	CodeBudgetExhausted     = "budget_exhausted"         // 429: the app's upstream calls are spent
	CodeRateLimited         = "rate_limited"             // 429: too many reports, streams or forwarded calls
	CodeInternal            = "internal_error"           // 500: the node's log says more
	CodeUpstreamUnreachable = "upstream_unreachable"     // 502: no connection to the platform; nothing was sent
	CodeUpstreamLost        = "upstream_lost"            // 502: the platform broke off; it may have acted
	CodeUpstreamTimeout     = "upstream_timeout"         // 504: the platform was silent; it may have acted
	CodeTokenPending        = "token_pending"            // 503: no value yet
	CodeNoValidToken        = "no_valid_token"           // 503: no value that is still valid
	CodeNoNewerToken        = "no_newer_token"           // 503: no value as new or long-lived as asked for
	CodeNotSynced           = "not_synced"               // 503: this node has just started
	CodeStale               = "stale"                    // 503: this node hears nothing from etcd and cannot tell whether anything would change
	CodeDraining            = "draining"                 // 503: this node is going away
	CodeUnavailable         = "store_unavailable"        // 503: the cluster's store did not answer in time; a change may or may not have been made
	CodeOutcomeUnknown      = "outcome_unknown"          // 503: the change may or may not have been made
	CodeCanceled            = "canceled"                 // 503: the caller went away
)

// Problem is a refusal, as RFC 9457 writes it. It is the error of every method
// that reached a node.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"` // one of the Code constants
	Detail string `json:"detail,omitempty"`

	// Of the token that was asked for, where there is one.
	App    string `json:"app,omitempty"`
	Token  string `json:"token,omitempty"`
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"` // why it is in that state

	RetryAfter time.Duration `json:"-"` // from the header; zero: not said
}

// Error returns what happened and its code.
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text = p.Detail
	}
	return fmt.Sprintf("%s (%s, status %d)", text, p.Code, p.Status)
}

// anotherNode reports that this node cannot answer now and another one may.
func (p *Problem) anotherNode() bool {
	return p.Code == CodeDraining || p.Code == CodeNotSynced || p.Code == CodeStale
}

// fromBetween reports that no node answered, but something before it that reached none.
func (p *Problem) fromBetween() bool {
	return p.Status >= http.StatusInternalServerError && strings.HasPrefix(p.Code, "http_")
}

// problemFrom reads a refusal. What is not a problem document came from
// something in between, and its text is not repeated.
func problemFrom(resp *http.Response, data []byte) error {
	p := &Problem{}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "application/problem+json" || json.Unmarshal(data, p) != nil || p.Code == "" {
		p = &Problem{Title: "the answer is not from a freshet node", Code: "http_" + strconv.Itoa(resp.StatusCode)}
	}
	p.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(min(seconds, 24*3600)) * time.Second
	}
	return p
}
