package sandbox

import (
	"maps"
	"net/http"
)

// The error codes of RFC 6749, section 5.2, RFC 8707 and RFC 6750.
const (
	oauthInvalidRequest   = "invalid_request"
	oauthInvalidClient    = "invalid_client"
	oauthInvalidGrant     = "invalid_grant"
	oauthUnauthorized     = "unauthorized_client"
	oauthUnsupportedGrant = "unsupported_grant_type"
	oauthInvalidScope     = "invalid_scope"
	oauthInvalidTarget    = "invalid_target"
	oauthInvalidToken     = "invalid_token"
)

// oauthError is a refusal.
type oauthError struct {
	code   string
	text   string            // error_description; empty: none is sent
	status int               // 0: 401 for invalid_client, 400 for all others
	header map[string]string // besides the usual ones
}

// answer returns the refusal as RFC 6749 wants it. Every 401 names a scheme, as
// HTTP demands of it.
func (e oauthError) answer() answer {
	status := e.status
	switch {
	case status != 0:
	case e.code == oauthInvalidClient:
		status = http.StatusUnauthorized
	default:
		status = http.StatusBadRequest
	}
	body := map[string]string{"error": e.code}
	if e.text != "" {
		body["error_description"] = e.text
	}
	a := oauthJSON(status, body)
	if status == http.StatusUnauthorized {
		a.header["WWW-Authenticate"] = `Basic realm="sandbox", charset="UTF-8"`
	}
	maps.Copy(a.header, e.header)
	a.failed, a.refused = true, e.code
	return a
}

// oauthJSON is any answer of the token endpoint, which no cache may keep.
func oauthJSON(status int, v any) answer {
	a := jsonAnswer(v)
	a.status = status
	a.header = map[string]string{
		"Content-Type":  "application/json;charset=UTF-8",
		"Cache-Control": "no-store",
		"Pragma":        "no-cache",
	}
	return a
}
