package sandbox

import (
	"net/http"
	"strings"
	"time"
)

// family is one grant: a subject's consent and every refresh token that came of it.
// Guarded by oauth.mu.
type family struct {
	client  string
	subject string
	scope   string // granted; empty: all the client may have
	issued  int    // refresh tokens
	reused  int    // replaced ones presented again
	newest  *refreshToken
	revoked bool
}

// refreshToken is the life of one refresh token; guarded by oauth.mu.
type refreshToken struct {
	text       string
	family     *family
	generation int           // 1: the one the consent gave
	successor  *refreshToken // nil: never used, or it stays
	replaced   time.Time     // when it got its successor
}

// openLocked begins a family.
func (p *oauth) openLocked(acc *oauthAccount, subject string) *family {
	f := &family{
		client: acc.client.ID, subject: subject, scope: strings.Join(acc.client.Scopes, " "),
	}
	acc.families = append(acc.families, f)
	p.issueLocked(acc, f)
	return f
}

func (p *oauth) issueLocked(acc *oauthAccount, f *family) *refreshToken {
	f.issued++
	acc.counts.refresh++
	t := &refreshToken{text: p.newText("rt"), family: f, generation: f.issued}
	f.newest = t
	p.refreshes[t.text] = t
	return t
}

// refreshLocked answers the refresh_token grant. What is wrong with the request is
// found first, so that only a request that can be granted uses the token up.
func (p *oauth) refreshLocked(acc *oauthAccount, ask tokenRequest, now time.Time) answer {
	presented := ask.fields.Get("refresh_token")
	if presented == "" {
		return oauthError{code: oauthInvalidRequest, text: "no refresh_token"}.answer()
	}
	t := p.refreshes[presented]
	if t == nil || t.family.client != acc.client.ID || t.family.revoked {
		return acc.noGrant("the refresh token is unknown, or its grant was revoked")
	}
	scope, refusal := acc.scope(ask, strings.Fields(t.family.scope))
	if refusal != nil {
		return refusal.answer()
	}
	next, ok := p.rotateLocked(acc, t, now)
	if !ok {
		return acc.noGrant("the refresh token was used before; its whole grant is revoked")
	}
	g := grantOf{ask: ask, subject: t.family.subject, scope: scope, family: t.family, refresh: next.text}
	if next == t && !acc.client.RepeatRefresh {
		g.refresh = ""
	}
	return p.grantLocked(acc, g, now)
}

// rotateLocked uses a refresh token up and returns the one to present next. It
// revokes the family where a replaced one comes again that may not.
func (p *oauth) rotateLocked(acc *oauthAccount, t *refreshToken, now time.Time) (next *refreshToken, ok bool) {
	if t.successor != nil {
		t.family.reused++
		acc.counts.reused++
	}
	switch class := acc.client.Rotation; {
	case class == RotateNone:
		return t, true
	case t.successor == nil || class == RotateOldStays:
		next := p.issueLocked(acc, t.family)
		t.successor, t.replaced = next, now
		return next, true
	case class == RotateGrace && now.Sub(t.replaced) < p.clock.shrink(acc.client.Grace):
		if !acc.client.Siblings {
			return t.successor, true
		}
		return p.issueLocked(acc, t.family), true
	default:
		p.revokeLocked(acc, t.family, now)
		return nil, false
	}
}

// revokeLocked ends a family, its access tokens included.
func (p *oauth) revokeLocked(acc *oauthAccount, f *family, now time.Time) {
	if f.revoked {
		return
	}
	f.revoked = true
	acc.counts.revoked++
	for _, t := range p.access {
		if t.family == f && t.alive(now) {
			t.dies = now
		}
	}
}

// living reports whether presenting t would be granted, and would still be however
// long one waits: it has not been replaced, or being replaced does not end it.
func (t *refreshToken) living(class RefreshRotation) bool {
	return t != nil && !t.family.revoked &&
		(t.successor == nil || class == RotateOldStays || class == RotateNone)
}

func (acc *oauthAccount) noGrant(text string) answer {
	e := oauthError{code: oauthInvalidGrant, text: text}
	if acc.client.ForbidGrant {
		e.status = http.StatusForbidden
	}
	return e.answer()
}
