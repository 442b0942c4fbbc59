package sandbox

import "time"

// ticket returns the current ticket of a type, or a new one in its last minutes.
// A ticket has a life of its own: it does not end with the token that fetched it.
// That a repeated call returns the same ticket is our choice; the platform
// promises nothing.
func (p *wechat) ticket(token, kind string) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	acc, refusal := p.holderLocked(token, now)
	if refusal != nil {
		return refusal.answer()
	}
	line := map[string]Line{"jsapi": LineJSAPI, "wx_card": LineWxCard}[kind]
	if line == "" {
		return wechatError{code: codeBadArgument}.answer()
	}
	today := p.clock.day(now)
	if !acc.left(meterTicket, today, acc.app.Quotas.Ticket) {
		return wechatError{code: codeQuotaUsedUp}.answer()
	}
	acc.spend(meterTicket, today)
	v := p.renewedLocked(acc, line, now)
	expiresIn := v.expiresIn(now)
	if acc.app.TicketFullLife {
		expiresIn = wholeSeconds(p.clock.shrink(acc.app.TicketLifetime))
	}
	return jsonAnswer(struct {
		Errcode   int    `json:"errcode"`
		Errmsg    string `json:"errmsg"`
		Ticket    string `json:"ticket"`
		ExpiresIn int    `json:"expires_in"`
	}{0, "ok", v.text, expiresIn})
}
