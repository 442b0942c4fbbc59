package sandbox

import (
	"net/http"
	"strings"
)

func (s *Sandbox) oauthRoutes() []route {
	p := s.oauth
	return []route{
		{"/oauth/token", "OAuth 2: client_credentials, refresh_token (POST)", s.platform(p.tokenCall)},
		{"/oauth/userinfo", "a business call with a Bearer token", s.platform(p.useCall)},
	}
}

// tokenCall understands a request to the token endpoint.
func (p *oauth) tokenCall(r *http.Request, body []byte) call {
	ask := readTokenRequest(r, body)
	return call{app: ask.id, kind: KindOAuthToken, minting: true, act: func() answer { return p.token(ask) }}
}

// useCall understands a business call. Only the header counts (RFC 6750, section 2.1).
func (p *oauth) useCall(r *http.Request, _ []byte) call {
	var value string
	if scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		value = strings.TrimLeft(rest, " ")
	}
	return call{app: p.owner(value), kind: KindOAuthUse, act: func() answer { return p.use(value) }}
}
