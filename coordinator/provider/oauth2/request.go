package oauth2

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"freshet/coordinator"
)

// fields returns the parameters of a call.
func fields(s settings, call coordinator.Call) url.Values {
	f := url.Values{"grant_type": {s.grant}}
	if s.grant == grantRefreshToken {
		f.Set("refresh_token", call.Refresh.Reveal())
	}
	options := call.App.Tokens[call.Group.Name].Options
	for _, option := range []string{optionScope, optionAudience} {
		if text := options[option]; text != "" {
			f.Set(option, text)
		}
	}
	if resources := strings.Fields(options[optionResource]); len(resources) > 0 {
		f["resource"] = resources
	}
	if s.auth != authBasic {
		f.Set("client_id", s.id)
	}
	if s.auth == authPost {
		f.Set("client_secret", s.secret.Reveal())
	}
	return f
}

// build makes the request. Its body is a *bytes.Reader, which lets net/http take
// another connection where the kept one was dead before anything was written.
func (p *Provider) build(ctx context.Context, s settings, call coordinator.Call) (*http.Request, error) {
	body, kind, err := encode(s.body, fields(s, call))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", p.userAgent)
	if s.auth == authBasic {
		req.Header.Set("Authorization", basic(s))
	}
	return req, nil
}

func encode(body string, f url.Values) (encoded []byte, kind string, err error) {
	if body == bodyForm {
		return []byte(f.Encode()), "application/x-www-form-urlencoded", nil
	}
	flat := make(map[string]any, len(f))
	for name, values := range f {
		flat[name] = values[0]
		if len(values) > 1 {
			flat[name] = values
		}
	}
	encoded, err = json.Marshal(flat)
	return encoded, "application/json", err
}

// basic is client_secret_basic: both texts are form-urlencoded first (RFC 6749,
// section 2.3.1), so that a colon in the id tells nothing wrong.
func basic(s settings) string {
	pair := url.QueryEscape(s.id) + ":" + url.QueryEscape(s.secret.Reveal())
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

// hidden lists every secret of a call, as it stands in the request too.
func hidden(s settings, call coordinator.Call) []string {
	hide := []string{s.secret.Reveal(), call.Refresh.Reveal()}
	for _, secret := range hide {
		if quoted, err := json.Marshal(secret); err == nil {
			hide = append(hide, strings.Trim(string(quoted), `"`))
		}
	}
	return append(hide, strings.TrimPrefix(basic(s), "Basic "))
}
