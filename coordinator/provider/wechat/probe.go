package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// Probe asks the platform for the quota of the app's own token call, which
// costs none of it, and so learns whether the access_token in call.Tokens is
// accepted. A refusal that the platform gives to living tokens only, like an
// exhausted quota, means alive as well. Tickets cannot be probed: that is an
// error with the reason no_probe. Errors are *coordinator.UpstreamError and mean
// that it could not be told. One request is sent.
func (p *Provider) Probe(ctx context.Context, call coordinator.Call) (bool, error) {
	s, err := settingsOf(call.App)
	if err != nil {
		return false, misconfigured(err)
	}
	if len(call.Group.Tokens) == 0 || call.Group.Tokens[0] != AccessToken {
		return false, &coordinator.UpstreamError{
			Class: caller, Code: "no_probe", Reason: "no_probe",
			Message: "the platform has no call that tells whether a ticket lives",
		}
	}
	r, err := probeRequest(s, call)
	if err != nil {
		return false, err
	}
	a, err := p.ask(ctx, s.base, r)
	if err == nil {
		return answered(a)
	}
	up, ok := errors.AsType[*coordinator.UpstreamError](err)
	switch {
	case ok && up.Class == deadToken:
		return false, nil
	case a.code != 0 && p.rules.of(a.code, onProbe).traits&accepted != 0:
		return true, nil
	}
	return false, err
}

// answered says alive to an errcode of zero. The platform sends one here, so an
// object without it comes from somebody else.
func answered(a answer) (bool, error) {
	if _, err := outbound.Integer(a.fields["errcode"]); err != nil {
		return false, outbound.Senseless(outbound.Bad("no_errcode", "the answer has no errcode"))
	}
	return true, nil
}

func probeRequest(s settings, call coordinator.Call) (request, error) {
	token := call.Tokens[AccessToken].Reveal()
	if token == "" {
		return request{}, noToken()
	}
	path := pathStableToken
	if s.mode == modePlain {
		path = pathToken
	}
	body, err := json.Marshal(map[string]string{"cgi_path": path})
	if err != nil {
		return request{}, misconfigured(errors.New("the path cannot be encoded"))
	}
	return request{
		kind: onProbe, path: pathQuota, body: body, hide: hidden(call),
		query: url.Values{"access_token": {token}},
	}, nil
}
