package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// accessToken is the life of one access token; guarded by oauth.mu.
type accessToken struct {
	text     string
	client   string
	subject  string // whose; the client's own id where there is no human
	scope    string
	audience []string
	family   *family // the grant it came from; nil: the client's own
	born     time.Time
	expires  time.Time // as granted
	dies     time.Time // as things turned out: never after expires
}

func (t *accessToken) alive(now time.Time) bool { return t != nil && now.Before(t.dies) }

// token answers a request to the token endpoint.
func (p *oauth) token(ask tokenRequest) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if ask.wrong != nil {
		return ask.wrong.answer()
	}
	acc, refusal := p.identifyLocked(ask)
	if refusal != nil {
		return refusal.answer()
	}
	if refusal := acc.admit(ask); refusal != nil {
		return refusal.answer()
	}
	if ask.fields.Get("grant_type") == GrantRefreshToken {
		return p.refreshLocked(acc, ask, now)
	}
	scope, refusal := acc.scope(ask, acc.client.Scopes)
	if refusal != nil {
		return refusal.answer()
	}
	return p.grantLocked(acc, grantOf{ask: ask, subject: acc.client.ID, scope: scope}, now)
}

// identifyLocked checks who calls. A client that came by itself keeps the first
// secret it showed and may show it in any way.
func (p *oauth) identifyLocked(ask tokenRequest) (*oauthAccount, *oauthError) {
	acc := p.clients[ask.id]
	switch {
	case ask.basicBad:
		return nil, &oauthError{code: oauthInvalidClient, text: "the Authorization header is not Basic over two form-urlencoded texts"}
	case ask.id == "":
		return nil, &oauthError{code: oauthInvalidClient, text: "no client_id"}
	case acc == nil:
		acc = p.welcomeLocked(ask.id)
	}
	if acc == nil {
		return nil, &oauthError{code: oauthInvalidClient, text: "unknown client"}
	}
	if acc.open && acc.client.Secret == "" {
		acc.client.Secret = ask.secret
	}
	switch {
	case !acc.open && ask.auth != acc.client.Auth:
		return nil, &oauthError{code: oauthInvalidClient, text: fmt.Sprintf("this client is registered for %q", acc.client.Auth)}
	case ask.secret != acc.client.Secret:
		return nil, &oauthError{code: oauthInvalidClient, text: "client authentication failed"}
	}
	return acc, nil
}

// admit checks what every grant must bring.
func (acc *oauthAccount) admit(ask tokenRequest) *oauthError {
	grant := ask.fields.Get("grant_type")
	switch {
	case acc.client.Body != "" && ask.body != acc.client.Body:
		return &oauthError{code: oauthInvalidRequest, text: "this client is registered for another kind of body"}
	case grant == "":
		return &oauthError{code: oauthInvalidRequest, text: "no grant_type"}
	case grant != GrantClientCredentials && grant != GrantRefreshToken:
		return &oauthError{code: oauthUnsupportedGrant}
	case !slices.Contains(acc.client.Grants, grant):
		return &oauthError{code: oauthUnauthorized, text: "this client may not use this grant"}
	}
	for _, resource := range ask.fields["resource"] {
		if u, err := url.Parse(resource); err != nil || !u.IsAbs() || strings.Contains(resource, "#") {
			return &oauthError{code: oauthInvalidTarget, text: "a resource must be an absolute URI without a fragment"}
		}
	}
	return nil
}

// scope returns what is granted of what is asked for: all that is allowed where
// nothing is asked.
func (acc *oauthAccount) scope(ask tokenRequest, allowed []string) (string, *oauthError) {
	asked := ask.fields.Get("scope")
	if asked == "" {
		return strings.Join(allowed, " "), nil
	}
	for word := range strings.SplitSeq(asked, " ") {
		if !scopeToken(word) || len(allowed) > 0 && !slices.Contains(allowed, word) {
			return "", &oauthError{code: oauthInvalidScope}
		}
	}
	return asked, nil
}

// grantOf is what an answer grants.
type grantOf struct {
	ask     tokenRequest
	subject string
	scope   string
	family  *family
	refresh string // of the answer; empty: it holds none
}

// grantLocked issues an access token and words the answer.
func (p *oauth) grantLocked(acc *oauthAccount, g grantOf, now time.Time) answer {
	p.forgetLocked(now)
	expires := now.Add(p.clock.shrink(acc.client.Lifetime))
	t := &accessToken{
		text: p.newText("at"), client: acc.client.ID, subject: g.subject, scope: g.scope, family: g.family,
		audience: slices.Concat(g.ask.fields["audience"], g.ask.fields["resource"]),
		born:     now, expires: expires, dies: expires,
	}
	p.access[t.text] = t
	acc.counts.access++
	body := map[string]any{"access_token": t.text, "token_type": "Bearer"}
	seconds := wholeSeconds(expires.Sub(now))
	switch {
	case acc.client.OmitExpiresIn:
	case acc.client.TextExpiresIn:
		body["expires_in"] = fmt.Sprint(seconds)
	default:
		body["expires_in"] = seconds
	}
	if g.refresh != "" {
		body["refresh_token"] = g.refresh
	}
	if g.scope != "" && g.scope != g.ask.fields.Get("scope") {
		body["scope"] = g.scope
	}
	if acc.client.IDToken && slices.Contains(strings.Fields(g.scope), "openid") {
		body["id_token"] = p.newText("id")
	}
	return oauthJSON(200, body)
}

// newText returns a value nobody has seen; kind tells people what it is.
func (p *oauth) newText(kind string) string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	return p.prefix + "sb" + kind + "_" + base64.RawURLEncoding.EncodeToString(raw[:])
}

// use answers a business call: who the token belongs to, or RFC 6750's refusal.
func (p *oauth) use(value string) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	challenge := func(text string) map[string]string { return map[string]string{"WWW-Authenticate": text} }
	if value == "" {
		a := oauthError{code: oauthInvalidToken, status: 401, header: challenge(`Bearer realm="sandbox"`)}.answer()
		a.body = nil // RFC 6750, section 3.1: no error code to who sends no token
		return a
	}
	t := p.access[value]
	if !t.alive(time.Now()) {
		return oauthError{
			code: oauthInvalidToken, text: "the access token is expired, revoked or unknown", status: 401,
			header: challenge(`Bearer realm="sandbox", error="invalid_token"`),
		}.answer()
	}
	return oauthJSON(200, map[string]any{"sub": t.subject, "client_id": t.client, "scope": t.scope, "aud": t.audience})
}

// owner returns the client that an access token was issued to, dead or alive;
// empty if the server does not remember it.
func (p *oauth) owner(value string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.access[value]; t != nil {
		return t.client
	}
	return ""
}
