package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// The platform's paths.
const (
	pathToken       = "/cgi-bin/token"        //nolint:gosec // a path
	pathStableToken = "/cgi-bin/stable_token" //nolint:gosec // a path
	pathTicket      = "/cgi-bin/ticket/getticket"
	pathQuota       = "/cgi-bin/openapi/quota/get"
)

const grantType = "client_credential" // singular, unlike OAuth's

// Fetch asks the platform for the token of call.Group. Ctx should have a
// deadline.
//
// One request is sent, with one exception: a normal call on the stable line may
// be followed by one attempt at a backup host, even if the first request was
// delivered, because the platform answers both with the same value. A forced
// call is not so repeatable: each of them kills the value before it and is
// counted, so it has one attempt like every other call.
//
// Errors are *coordinator.UpstreamError. Where the class is dead_token, the
// access_token handed in is dead.
func (p *Provider) Fetch(ctx context.Context, call coordinator.Call) (coordinator.Yield, error) {
	s, err := settingsOf(call.App)
	if err != nil {
		return coordinator.Yield{}, misconfigured(err)
	}
	r, err := fetchRequest(s, call)
	if err != nil {
		return coordinator.Yield{}, err
	}
	r.hide = hidden(call)
	a, err := p.fetch(ctx, s, r, call)
	if err != nil {
		return coordinator.Yield{}, err
	}
	value, lifetime, err := a.granted(r.field)
	if err != nil {
		return coordinator.Yield{}, outbound.Senseless(err)
	}
	return coordinator.Yield{Values: map[string]coordinator.Value{
		call.Group.Name: {Value: coordinator.NewSecret(value), Lifetime: lifetime},
	}}, nil
}

func (p *Provider) fetch(ctx context.Context, s settings, r request, call coordinator.Call) (answer, error) {
	if r.path != pathStableToken || r.force || len(s.backups) == 0 {
		return p.ask(ctx, s.base, r)
	}
	a, err := p.askFirst(ctx, s.base, r)
	if !elsewhere(err) || ctx.Err() != nil {
		return a, err
	}
	backup := s.base
	backup.Host = s.backups[rand.IntN(len(s.backups))] // by chance: one of them may be dead too
	p.logger.WarnContext(ctx, "upstream failed, asking its backup host", "app", call.App.Name,
		"host", s.base.Host, "backup", backup.Host, "err", err)
	return p.ask(ctx, backup, r)
}

// elsewhere reports whether another host could do better after err.
func elsewhere(err error) bool {
	up, ok := errors.AsType[*coordinator.UpstreamError](err)
	if !ok {
		return false
	}
	switch up.Code {
	case outbound.CodeConnect, outbound.CodeLost, outbound.CodeCut, outbound.CodeTimeout:
		return true
	}
	return strings.HasPrefix(up.Code, outbound.CodeHTTP+"5")
}

// askFirst leaves a third of the time for the backup host.
func (p *Provider) askFirst(ctx context.Context, base url.URL, r request) (answer, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*2/3)
		defer cancel()
	}
	return p.ask(ctx, base, r)
}

func fetchRequest(s settings, call coordinator.Call) (request, error) {
	switch {
	case call.Group.Name == JSAPITicket:
		return ticketRequest(call, "jsapi")
	case call.Group.Name == WxCardTicket:
		return ticketRequest(call, "wx_card")
	case call.Group.Name != AccessToken:
		return request{}, &coordinator.UpstreamError{
			Class: caller, Code: "unknown_group", Reason: "unknown_group",
			Message: "wechat has no such fetch group",
		}
	case s.mode == modePlain:
		return plainRequest(s), nil
	}
	return stableRequest(s, call.Force)
}

func plainRequest(s settings) request {
	return request{
		kind: onToken, path: pathToken, field: fieldToken,
		query: url.Values{"grant_type": {grantType}, "appid": {s.appID}, "secret": {s.secret.Reveal()}},
	}
}

func stableRequest(s settings, force bool) (request, error) {
	fields := map[string]any{"grant_type": grantType, "appid": s.appID, "secret": s.secret.Reveal()}
	if force {
		fields["force_refresh"] = true
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return request{}, misconfigured(errors.New("the credentials cannot be encoded"))
	}
	return request{kind: onToken, force: force, path: pathStableToken, field: fieldToken, body: body}, nil
}

func ticketRequest(call coordinator.Call, kind string) (request, error) {
	token := call.Tokens[AccessToken].Reveal()
	if token == "" {
		return request{}, noToken()
	}
	return request{
		kind: onTicket, path: pathTicket, field: fieldTicket,
		query: url.Values{"access_token": {token}, "type": {kind}},
	}, nil
}

// hidden lists every secret a call was handed.
func hidden(call coordinator.Call) []string {
	hide := []string{call.App.Credentials[credentialSecret].Reveal()}
	for _, token := range call.Tokens {
		hide = append(hide, token.Reveal())
	}
	return hide
}

func misconfigured(err error) error {
	return &coordinator.UpstreamError{
		Class: config, Code: "invalid_settings", Reason: "invalid_settings", Message: err.Error(),
	}
}

func noToken() error {
	return &coordinator.UpstreamError{
		Class: caller, Code: "no_access_token", Reason: "no_access_token",
		Message: "the call was handed no access_token",
	}
}
