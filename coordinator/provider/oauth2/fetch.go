package oauth2

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// Fetch asks the token endpoint for the tokens of call.Group, once. Ctx should have a
// deadline. A refresh token comes from call.Refresh alone.
//
// Errors are *coordinator.UpstreamError. Where an answer holds a new refresh token but
// cannot be used otherwise, the Yield beside the error holds that refresh token.
func (p *Provider) Fetch(ctx context.Context, call coordinator.Call) (coordinator.Yield, error) {
	s, err := settingsOf(call.App)
	if err != nil {
		return coordinator.Yield{}, misconfigured(err.Error())
	}
	if len(call.Group.Tokens) == 0 || !slices.ContainsFunc(callsOf(call.App), func(c tokenCall) bool { return c.name == call.Group.Name }) {
		return coordinator.Yield{}, &coordinator.UpstreamError{
			Class: coordinator.ClassCaller, Code: "unknown_group", Reason: "unknown_group", Message: "the app has no such fetch group",
		}
	}
	if s.grant == grantRefreshToken && call.Refresh.IsZero() {
		return coordinator.Yield{}, &coordinator.UpstreamError{
			Class: reauthorize, Code: "no_refresh_token", Reason: "no_refresh_token", Message: "there is no refresh token: authorise the app",
		}
	}
	began := time.Now()
	yield, err := p.exchange(ctx, s, call)
	p.log(ctx, s, err, time.Since(began))
	return yield, err
}

func (p *Provider) log(ctx context.Context, s settings, err error, elapsed time.Duration) {
	code := "0"
	if up, ok := errors.AsType[*coordinator.UpstreamError](err); ok {
		code = up.Code
	}
	p.logger.LogAttrs(ctx, slog.LevelDebug, "upstream called", slog.String("host", s.endpoint.Host),
		slog.String("path", s.endpoint.Path), slog.String("code", code), slog.Duration("elapsed", elapsed))
}

// exchange sends the request and understands the answer.
func (p *Provider) exchange(ctx context.Context, s settings, call coordinator.Call) (coordinator.Yield, error) {
	req, err := p.build(ctx, s, call)
	if err != nil {
		return coordinator.Yield{}, misconfigured("the request cannot be built of these settings")
	}
	hide := hidden(s, call)
	resp, err := outbound.Send(p.transport, req, hide...)
	if err != nil {
		return coordinator.Yield{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := outbound.Read(ctx, resp, maxBody)
	granted := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated
	if err != nil && granted {
		return coordinator.Yield{}, err
	}
	a, err := decode(body) // of a refusal what there is: its status tells enough
	switch {
	case !granted:
		return coordinator.Yield{}, p.refusal(s, resp, a, append(hide, a.values()...))
	case err != nil:
		return coordinator.Yield{}, outbound.Senseless(err)
	case a.code != "" && a.values()[0] == "": // some refuse with status 200
		return coordinator.Yield{}, p.refusal(s, resp, a, append(hide, a.values()...))
	}
	return yield(s, call, a)
}

// yield makes what a call yields of a success.
func yield(s settings, call coordinator.Call, a answer) (coordinator.Yield, error) {
	var y coordinator.Yield
	if s.grant == grantRefreshToken {
		next, err := a.refresh(call.Refresh.Reveal())
		if err != nil {
			return y, outbound.Senseless(err)
		}
		y.Refresh = coordinator.NewSecret(next)
	}
	values, err := valuesOf(s, call, a)
	y.Values = values
	return y, err
}

func valuesOf(s settings, call coordinator.Call, a answer) (map[string]coordinator.Value, error) {
	access, err := a.value("access_token")
	if err != nil {
		return nil, outbound.Senseless(err)
	}
	lifetime, err := a.lifetime(s.lifetime)
	if err != nil {
		return nil, outbound.Senseless(err)
	}
	scope := outbound.Cut(outbound.Hide(outbound.Text(a.fields["scope"]), access), maxTokenOption)
	if scope == "" {
		scope = call.App.Tokens[call.Group.Name].Options[optionScope]
	}
	values := make(map[string]coordinator.Value, len(call.Group.Tokens))
	for _, token := range call.Group.Tokens {
		if token == IDToken {
			if values[token], err = idValue(a, lifetime); err != nil {
				return nil, err
			}
			continue
		}
		values[token] = coordinator.Value{
			Value: coordinator.NewSecret(access), Lifetime: lifetime, Scope: scope,
			Type: outbound.Clean(outbound.Text(a.fields["token_type"]), access),
		}
	}
	return values, nil
}

// idValue returns the id_token, which servers send only to who asks for the scope openid.
func idValue(a answer, usual time.Duration) (coordinator.Value, error) {
	text, err := a.value("id_token")
	if err != nil {
		return coordinator.Value{}, &coordinator.UpstreamError{
			Class: config, Code: "no_id_token", Reason: "no_id_token",
			Message: err.Error() + ": ask for the scope openid, or do not keep id_token",
		}
	}
	return coordinator.Value{Value: coordinator.NewSecret(text), Lifetime: idLifetime(text, usual)}, nil
}
