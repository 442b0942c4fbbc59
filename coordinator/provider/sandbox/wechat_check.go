package sandbox

import "time"

// check returns why a business call with this token is refused, or nil.
func (p *wechat) check(token string) *wechatError {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, refusal := p.holderLocked(token, time.Now())
	return refusal
}

// holderLocked returns the account whose living access token this is, of either
// line. A ticket is no access token.
func (p *wechat) holderLocked(token string, now time.Time) (*account, *wechatError) {
	v := p.values[token]
	switch {
	case token == "":
		return nil, &wechatError{code: codeTokenMissing}
	case !wellFormed(token):
		return nil, &wechatError{code: codeMalformedToken}
	case v == nil || v.line != LinePlain && v.line != LineStable:
		return nil, &wechatError{code: codeInvalidCredential}
	case v.alive(now):
		return p.accounts[v.appid], nil
	case v.dies.Before(v.expires): // ended before its time: replaced or killed
		return nil, &wechatError{code: codeInvalidCredential}
	default:
		return nil, &wechatError{code: codeTokenExpired}
	}
}

// owner returns the appid that a value was handed out to, dead or alive; empty if
// the platform does not remember it.
func (p *wechat) owner(text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.values[text]; v != nil {
		return v.appid
	}
	return ""
}
