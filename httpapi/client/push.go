package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// PushBody is a value that is pushed, and when it ends: ExpiresIn or ExpiresAt,
// not both. Printing it shows no value.
type PushBody struct {
	Value     string            `json:"value"`
	ExpiresIn int64             `json:"expires_in,omitempty"` // whole seconds from now
	ExpiresAt time.Time         `json:"expires_at,omitzero"`
	TokenType string            `json:"token_type,omitempty"` // e.g. "Bearer"
	Scope     string            `json:"scope,omitempty"`
	Extra     map[string]string `json:"extra,omitempty"` // what clients need beside it and is no secret
}

// Format prints nothing of the value, whatever the verb.
func (b PushBody) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("pushed value [redacted]")) }

// LogValue logs nothing of the value.
func (b PushBody) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// PushAnswer says that a value was taken, which is served a moment later.
type PushAnswer struct {
	App       string    `json:"app"`
	Token     string    `json:"token"`
	Version   int64     `json:"version"` // served with this value, or with one that was pushed after it
	After     int64     `json:"after"`   // the version to ask any node for: ?after=
	ExpiresAt time.Time `json:"expires_at"`
	Paused    bool      `json:"paused,omitempty"` // it is served when refreshing is resumed
}

// Name returns the token's name, "app/token".
func (a PushAnswer) Name() string { return a.App + "/" + a.Token }

// Push hands a value to the cluster, for a token of an app whose provider is
// static. Where a node's answer does not come, the next one is asked: under the
// same idempotency key, so that the value is taken once, and does not replace one
// that was pushed after it.
func (c *Client) Push(ctx context.Context, name string, body PushBody) (PushAnswer, error) {
	var answer PushAnswer
	path, err := tokenPath(name)
	if err != nil {
		return answer, err
	}
	err = c.do(ctx, call{method: http.MethodPut, path: path, body: body, named: rand.Text()}, &answer)
	return answer, err
}
