package httpapi

import (
	"net/http"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// maxPushBody bounds the body of a push, in bytes.
const maxPushBody = 256 << 10

// pushBody is the body of a push, as the client package writes it, with an end
// whose mistakes are told without repeating it: it may be a value in the wrong place.
type pushBody struct {
	client.PushBody

	ExpiresAt string `json:"expires_at"`
}

// pushToken takes a value. It answers 202 and the version to wait for: whoever
// refreshes publishes it.
func (a *API) pushToken(r request) (answer, error) {
	name, err := r.tokenName()
	if err != nil {
		return answer{}, err
	}
	if err := r.may(name, coordinator.VerbPush); err != nil {
		return answer{}, err
	}
	var body pushBody
	if err := r.readBody(maxPushBody, &body); err != nil {
		return answer{}, err
	}
	push, err := body.push()
	if err != nil {
		return answer{}, err
	}
	push.By = r.client.Name
	if push.IdempotencyKey, err = r.idempotencyKey(); err != nil {
		return answer{}, err
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	pushed, err := a.node.Push(ctx, name, push)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusAccepted, client.PushAnswer{
		App: name.App, Token: name.Token, Version: pushed.Version, After: pushed.Version - 1,
		ExpiresAt: seconds(pushed.Expires), Paused: pushed.View.Paused,
	}}, nil
}

// idempotencyKey reads by what a client knows its push again; empty: by nothing.
func (r request) idempotencyKey() (string, error) {
	given := r.Request.Header["Idempotency-Key"]
	switch {
	case len(given) == 0:
		return "", nil
	case len(given) > 1 || given[0] == "":
		return "", coordinator.Invalidf("send one header Idempotency-Key, with a text of its own for each push, or none")
	}
	return given[0], nil
}

// mostSeconds is more than what may be pushed, and a length of time can hold it.
const mostSeconds = int64(coordinator.MostPush/time.Second) + 1

// push is what the body says.
func (b pushBody) push() (coordinator.Push, error) {
	p := coordinator.Push{
		Value: coordinator.NewSecret(b.Value), Type: b.TokenType, Scope: b.Scope, Extra: b.Extra,
		Lifetime: time.Duration(max(min(b.ExpiresIn, mostSeconds), -1)) * time.Second,
	}
	if (b.ExpiresIn == 0) == (b.ExpiresAt == "") {
		return p, coordinator.Invalidf("say when the value ends by either %q, in whole seconds from now, or %q", "expires_in", "expires_at")
	}
	if b.ExpiresAt == "" {
		return p, nil
	}
	at, err := time.Parse(time.RFC3339, b.ExpiresAt)
	if err != nil {
		return p, coordinator.Invalidf("field %q: write a time like %s", "expires_at", "2030-01-31T12:00:00Z")
	}
	p.Expires = at
	return p, nil
}
