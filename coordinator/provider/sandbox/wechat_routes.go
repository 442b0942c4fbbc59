package sandbox

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/netip"
)

func (s *Sandbox) wechatRoutes() []route {
	p := s.wechat
	return []route{
		{"/cgi-bin/token", "mints a plain token (GET)", s.platform(p.plainCall)},
		{"/cgi-bin/stable_token", "the stable token (POST, JSON)", s.platform(p.stableCall)},
		{"/cgi-bin/ticket/getticket", "jsapi and wx_card tickets (GET)", s.platform(p.ticketCall)},
		{"/cgi-bin/openapi/quota/get", "limits and use of one path (POST, JSON)", s.platform(p.quotaCall)},
		{"/cgi-bin/get_api_domain_ip", "addresses of the platform", s.platform(p.domainCall)},
		{"/cgi-bin/clear_quota", "resets the daily counters (POST, JSON)", s.platform(p.clearCall)},
		{"/cgi-bin/clear_quota/v2", "the same by secret (POST)", s.platform(p.clearBySecretCall)},
		{"/cgi-bin/user/info", "a business call", s.platform(p.userCall)},
		{"/cgi-bin/", "every other business call", s.platform(p.businessCall)},
	}
}

// plainCall understands GET /cgi-bin/token.
func (p *wechat) plainCall(r *http.Request, _ []byte) call {
	q := r.URL.Query()
	ask := tokenAsk{
		grantType: q.Get("grant_type"), appid: q.Get("appid"), secret: q.Get("secret"), from: callerAddress(r),
	}
	if r.Method != http.MethodGet {
		ask.refusal = &wechatError{code: codeNeedsGET}
	}
	return call{
		app: ask.appid, kind: KindToken, minting: true,
		act: func() answer { return p.plainToken(ask) },
	}
}

// stableCall understands POST /cgi-bin/stable_token. Parameters in the URL do not
// count there.
func (p *wechat) stableCall(r *http.Request, body []byte) call {
	var fields struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}
	refusal := decodePost(r, body, &fields)
	ask := tokenAsk{
		grantType: fields.GrantType, appid: fields.AppID, secret: fields.Secret,
		forced: fields.ForceRefresh, from: callerAddress(r), refusal: refusal,
	}
	return call{
		app: ask.appid, kind: KindStableToken, minting: true, forced: ask.forced,
		act: func() answer { return p.stableToken(ask) },
	}
}

// ticketCall understands GET /cgi-bin/ticket/getticket.
func (p *wechat) ticketCall(r *http.Request, _ []byte) call {
	q := r.URL.Query()
	return call{app: p.owner(q.Get("access_token")), kind: KindTicket, act: func() answer {
		if r.Method != http.MethodGet {
			return wechatError{code: codeNeedsGET}.answer()
		}
		return p.ticket(q.Get("access_token"), q.Get("type"))
	}}
}

func (p *wechat) quotaCall(r *http.Request, body []byte) call {
	token := r.URL.Query().Get("access_token")
	return call{app: p.owner(token), kind: KindProbe, act: func() answer {
		var fields struct {
			CgiPath string `json:"cgi_path"`
		}
		if refusal := decodePost(r, body, &fields); refusal != nil {
			return refusal.answer()
		}
		return p.quota(token, fields.CgiPath)
	}}
}

func (p *wechat) domainCall(r *http.Request, _ []byte) call {
	return p.checked(r, KindProbe, map[string]any{"ip_list": []string{"203.0.113.10", "203.0.113.11"}})
}

func (p *wechat) userCall(r *http.Request, _ []byte) call {
	openid := cmp.Or(r.URL.Query().Get("openid"), "o6_bmjrPTlm6_2sgVt7hMZOPfL2M")
	return p.checked(r, KindBusiness, map[string]any{"subscribe": 1, "openid": openid, "language": "zh_CN"})
}

func (p *wechat) businessCall(r *http.Request, _ []byte) call {
	return p.checked(r, KindBusiness, map[string]any{"errcode": 0, "errmsg": "ok"})
}

// checked is a call that answers success to every token that lives.
func (p *wechat) checked(r *http.Request, kind Kind, success any) call {
	token := r.URL.Query().Get("access_token")
	return call{app: p.owner(token), kind: kind, act: func() answer {
		a := jsonAnswer(success)
		if refusal := p.check(token); refusal != nil {
			a = refusal.answer()
		}
		a.gzip = kind == KindBusiness
		return a
	}}
}

// decodePost reads a JSON body as the platform does; names it does not know are
// ignored.
func decodePost(r *http.Request, body []byte, into any) *wechatError {
	if r.Method != http.MethodPost {
		return &wechatError{code: codeNeedsPOST}
	}
	if len(body) == 0 {
		return &wechatError{code: codeEmptyBody}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &wechatError{code: codeBadFormat}
	}
	return nil
}

// callerAddress returns the address a request came from; the zero Addr if unknown.
func callerAddress(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap().WithZone("")
}
