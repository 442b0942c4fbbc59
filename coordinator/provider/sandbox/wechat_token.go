package sandbox

import (
	"fmt"
	"net/netip"
	"time"
)

// tokenAsk is what a token call brings.
type tokenAsk struct {
	grantType, appid, secret string
	forced                   bool
	from                     netip.Addr
	refusal                  *wechatError // what was wrong with the request's form
}

// plainToken mints on every call, which costs quota and starts the former token's
// death.
func (p *wechat) plainToken(ask tokenAsk) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	acc, refusal := p.admitLocked(ask, now)
	if refusal != nil {
		return refusal.answer()
	}
	today := p.clock.day(now)
	if !acc.left(meterPlain, today, acc.app.Quotas.Plain) {
		return wechatError{code: codeQuotaUsedUp}.answer()
	}
	acc.spend(meterPlain, today)
	return tokenAnswer(p.mintLocked(acc, LinePlain, now), now)
}

// stableToken returns the current token, or a new one where it has entered its
// last minutes, is dead, or a forced call is due.
func (p *wechat) stableToken(ask tokenAsk) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	acc, refusal := p.admitLocked(ask, now)
	if refusal != nil {
		return refusal.answer()
	}
	if refusal := p.spendStableLocked(acc, now); refusal != nil {
		return refusal.answer()
	}
	if ask.forced {
		return p.forcedLocked(acc, now)
	}
	return tokenAnswer(p.renewedLocked(acc, LineStable, now), now)
}

// spendStableLocked counts the call by minute and by day.
func (p *wechat) spendStableLocked(acc *account, now time.Time) *wechatError {
	minute, today := p.clock.minute(now), p.clock.day(now)
	if !acc.left(meterStableMinute, minute, acc.app.Quotas.StablePerMinute) {
		return &wechatError{code: codeTooFast}
	}
	if !acc.left(meterStable, today, acc.app.Quotas.Stable) {
		return &wechatError{code: codeQuotaUsedUp}
	}
	acc.spend(meterStableMinute, minute)
	acc.spend(meterStable, today)
	return nil
}

// forcedLocked replaces the token, unless the last forced refresh is too fresh:
// then it answers like an ordinary call, refreshes nothing and, so we choose,
// costs none of the day's forced refreshes. The replaced token keeps the overlap;
// a second forced refresh ends that, which is how a leaked token is killed.
func (p *wechat) forcedLocked(acc *account, now time.Time) answer {
	if now.Sub(acc.forcedAt) < p.clock.shrink(acc.app.ForceInterval) {
		return tokenAnswer(p.renewedLocked(acc, LineStable, now), now)
	}
	today := p.clock.day(now)
	if !acc.left(meterForced, today, acc.app.Quotas.Forced) {
		return wechatError{code: codeQuotaUsedUp}.answer()
	}
	acc.spend(meterForced, today)
	acc.forcedAt = now
	return tokenAnswer(p.mintLocked(acc, LineStable, now), now)
}

// renewedLocked returns the current value of a line, or a new one once its last
// minutes have come. So a stable token is never handed out with less than the
// overlap to live.
func (p *wechat) renewedLocked(acc *account, line Line, now time.Time) *value {
	v := acc.lines[line]
	if v.alive(now) && v.dies.Sub(now) > p.clock.shrink(acc.app.Overlap) {
		return v
	}
	return p.mintLocked(acc, line, now)
}

// admitLocked checks what every token call must bring, in an order of our choice:
// form, parameters, appid, secret, address.
func (p *wechat) admitLocked(ask tokenAsk, now time.Time) (*account, *wechatError) {
	acc, refusal := p.identifyLocked(ask)
	if refusal != nil {
		return nil, refusal
	}
	if !acc.app.allows(ask.from) {
		text := fmt.Sprintf("invalid ip %s ipv6 %s, not in whitelist", ask.from, mapped(ask.from))
		return nil, &wechatError{code: codeIPNotAllowed, text: text}
	}
	return acc, p.checkAddressLocked(acc, ask.from.String(), now)
}

// identifyLocked is admitLocked without the address, which only the two token
// calls look at.
func (p *wechat) identifyLocked(ask tokenAsk) (*account, *wechatError) {
	switch {
	case ask.refusal != nil:
		return nil, ask.refusal
	case ask.grantType != "client_credential":
		return nil, &wechatError{code: codeBadGrantType}
	case ask.appid == "":
		return nil, &wechatError{code: codeAppIDMissing}
	case ask.secret == "":
		return nil, &wechatError{code: codeSecretMissing}
	}
	acc := p.accounts[ask.appid]
	if acc == nil && p.anyApp {
		acc = p.addLocked(App{AppID: ask.appid, Secret: ask.secret})
	}
	if acc == nil {
		return nil, &wechatError{code: codeBadAppID}
	}
	return acc, acc.checkSecret(ask.secret)
}

// checkSecret refuses a wrong secret with one of the two codes the platform has
// for it: 40125 for one that cannot be a secret, taken to be one of another
// length, and 40001 for one that merely is not this app's.
func (acc *account) checkSecret(secret string) *wechatError {
	switch {
	case acc.app.SecretFrozen:
		return &wechatError{code: codeSecretFrozen}
	case len(secret) != len(acc.app.Secret):
		return &wechatError{code: codeBadSecret}
	case secret != acc.app.Secret:
		return &wechatError{code: codeInvalidCredential, text: "invalid credential"}
	}
	return nil
}

// mapped writes an IPv4 address as IPv6, the way the platform repeats it.
func mapped(ip netip.Addr) string {
	if ip.Is4() {
		return "::ffff:" + ip.String()
	}
	return ip.String()
}

// tokenAnswer is the success of both token calls, which has no errcode.
func tokenAnswer(v *value, now time.Time) answer {
	return jsonAnswer(struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}{v.text, v.expiresIn(now)})
}
