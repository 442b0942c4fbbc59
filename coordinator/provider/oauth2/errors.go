package oauth2

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// rule is the meaning of one error word.
type rule struct {
	class  coordinator.Class
	reason string
	advice string
	unsure bool // the server may have acted
}

// Short names, for the table alone.
const (
	retry       = coordinator.ClassRetry
	config      = coordinator.ClassConfig
	quota       = coordinator.ClassQuota
	reauthorize = coordinator.ClassReauthorize
)

// newRules returns the error words: those of RFC 6749, 8628 and 8707 first, then
// those of servers that have their own.
func newRules() map[string]rule {
	gone := rule{reauthorize, "grant_gone", "the refresh token is expired, revoked or was used before: authorise the app again", false}
	client := rule{config, "invalid_client", "check client_id, client_secret and option auth", false}
	busy := rule{retry, "server_busy", "the server has trouble of its own", true}
	slow := rule{quota, "too_frequent", "calls come too fast for the server", false}
	rules := map[string]rule{
		"invalid_client":         client,
		"unauthorized_client":    {config, "unauthorized_client", "the client may not use this grant, or the refresh token was given to another client", false},
		"unsupported_grant_type": {config, "unsupported_grant", "the server does not know this grant: check option grant and the upstream", false},
		"invalid_scope":          {config, "invalid_scope", "check option scope of the token", false},
		"invalid_target":         {config, "invalid_target", "check options resource and audience of the token", false},
		"invalid_request":        {config, "invalid_request", "the server wants another form of request: check options auth and body", false},
	}
	for class, words := range map[*rule][]string{
		&gone: {
			"invalid_grant", "access_denied", "invalid_refresh_token", "token_revoked", "token_expired", "bad_refresh_token",
			"refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated",
			"interaction_required", "consent_required", "login_required",
		},
		&client: {"incorrect_client_credentials", "bad_client_secret", "invalid_client_id"},
		&busy:   {"temporarily_unavailable", "server_error", "internal_error"},
		&slow:   {"slow_down", "ratelimited", "rate_limited", "rate_limit_error", "rate_limit_exceeded"},
	} {
		for _, word := range words {
			rules[word] = *class
		}
	}
	return rules
}

// refusal makes the error of an answer that grants nothing. The status says more
// than the word where it is 5xx, 408 or 429: then it may come from something before
// the server.
func (p *Provider) refusal(s settings, resp *http.Response, a answer, hide []string) *coordinator.UpstreamError {
	word := outbound.Hide(a.code, hide...)
	r, known := p.rules[word]
	code := word
	if !plainWord(word) {
		code = outbound.CodeHTTP + strconv.Itoa(resp.StatusCode)
	}
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		r = rule{class: quota, reason: "too_frequent", advice: "calls come too fast for the server, or something before it blocks them"}
	case status >= 500 || status == http.StatusRequestTimeout:
		r = rule{class: retry, reason: "server_busy", advice: "the server has trouble of its own", unsure: true}
	case !known:
		r = unknown(status)
	}
	if r.class == reauthorize && s.grant == grantClientCredentials {
		r = rule{class: config, reason: "grant_refused", advice: "the server grants this client nothing: see its console"}
	}
	message := fmt.Sprintf("%s (HTTP status %d)", r.advice, resp.StatusCode)
	if said := outbound.Clean(a.message, hide...); said != "" {
		message += "; the server says: " + said
	}
	return &coordinator.UpstreamError{
		Class: r.class, Code: code, Reason: r.reason, Message: message, Ambiguous: r.unsure,
		RetryAfter: outbound.RetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

// unknown is the meaning of a refusal without a word that we know.
func unknown(status int) rule {
	switch {
	case status == http.StatusUnauthorized:
		return rule{config, "invalid_client", "check client_id, client_secret and option auth", false}
	case status < 300:
		return rule{config, "refused", "the server refuses the call: see its console", false}
	case status < 400:
		return rule{config, "redirected", "the upstream is redirected elsewhere: write the URL of the token endpoint itself", false}
	}
	return rule{config, "refused", "the server refuses the call: check the upstream, the options and the server's console", false}
}

// plainWord reports whether a text can stand as a code: servers send sentences too,
// and it may quote anything.
func plainWord(text string) bool {
	return text != "" && len(text) <= 64 && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func misconfigured(message string) *coordinator.UpstreamError {
	return &coordinator.UpstreamError{
		Class: config, Code: "invalid_settings", Reason: "invalid_settings", Message: cmp.Or(message, "the settings cannot be used"),
	}
}
