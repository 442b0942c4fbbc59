package sandbox

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// quota answers how often a path may be called and has been. It looks at the token
// first, which makes it a cheap liveness probe.
func (p *wechat) quota(token, path string) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	acc, refusal := p.holderLocked(token, now)
	if refusal != nil {
		return refusal.answer()
	}
	if !strings.HasPrefix(path, "/cgi-bin/") {
		return wechatError{code: codeUnknownPath}.answer()
	}
	limit, used := p.meterLocked(acc, path, now)
	return jsonAnswer(map[string]any{
		"errcode": 0, "errmsg": "ok",
		"quota":      map[string]int{"daily_limit": limit, "used": used, "remain": limit - used},
		"rate_limit": map[string]int{"call_count": acc.app.Quotas.StablePerMinute, "refresh_second": 60},
	})
}

// meterLocked returns limit and use of a path. Business calls are not metered.
func (p *wechat) meterLocked(acc *account, path string, now time.Time) (limit, used int) {
	today, q := p.clock.day(now), acc.app.Quotas
	switch path {
	case "/cgi-bin/token":
		return q.Plain, acc.used(meterPlain, today)
	case "/cgi-bin/stable_token":
		return q.Stable, acc.used(meterStable, today)
	case "/cgi-bin/ticket/getticket":
		return q.Ticket, acc.used(meterTicket, today)
	case "/cgi-bin/clear_quota", "/cgi-bin/clear_quota/v2":
		return q.Clear, acc.used(meterClear, p.clock.month(now))
	default:
		return 1_000_000, 0
	}
}

// clearCall understands POST /cgi-bin/clear_quota: a token, and its own appid in
// the body.
func (p *wechat) clearCall(r *http.Request, body []byte) call {
	token := r.URL.Query().Get("access_token")
	return call{app: p.owner(token), kind: KindClearQuota, act: func() answer {
		var fields struct {
			AppID string `json:"appid"`
		}
		if refusal := decodePost(r, body, &fields); refusal != nil {
			return refusal.answer()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		now := time.Now()
		acc, refusal := p.holderLocked(token, now)
		if refusal != nil {
			return refusal.answer()
		}
		if fields.AppID != acc.app.AppID {
			return wechatError{code: codeBadAppID}.answer()
		}
		return p.clearLocked(acc, now)
	}}
}

// clearBySecretCall understands POST /cgi-bin/clear_quota/v2, which needs no token.
// The platform's pages disagree where the parameters go; both places work, the
// body first.
func (p *wechat) clearBySecretCall(r *http.Request, body []byte) call {
	var fields struct {
		AppID     string `json:"appid"`
		AppSecret string `json:"appsecret"`
	}
	var refusal *wechatError
	switch {
	case r.Method != http.MethodPost:
		refusal = &wechatError{code: codeNeedsPOST}
	case len(body) > 0 && json.Unmarshal(body, &fields) != nil:
		refusal = &wechatError{code: codeBadFormat}
	}
	q := r.URL.Query()
	ask := tokenAsk{
		grantType: "client_credential", from: callerAddress(r), refusal: refusal,
		appid: cmp.Or(fields.AppID, q.Get("appid")), secret: cmp.Or(fields.AppSecret, q.Get("appsecret")),
	}
	return call{app: ask.appid, kind: KindClearQuota, act: func() answer { return p.clearBySecret(ask) }}
}

func (p *wechat) clearBySecret(ask tokenAsk) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	acc, refusal := p.identifyLocked(ask)
	if refusal != nil {
		return refusal.answer()
	}
	return p.clearLocked(acc, now)
}

// clearLocked resets every daily counter, a few times a month.
func (p *wechat) clearLocked(acc *account, now time.Time) answer {
	month := p.clock.month(now)
	if !acc.left(meterClear, month, acc.app.Quotas.Clear) {
		return wechatError{code: codeClearsUsedUp}.answer()
	}
	acc.spend(meterClear, month)
	for _, m := range []meter{meterPlain, meterStable, meterForced, meterTicket} {
		delete(acc.meters, m)
	}
	return jsonAnswer(map[string]any{"errcode": 0, "errmsg": "ok"})
}
