package client

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Token is one value. Printing it shows no value; only the field Value gives it out.
type Token struct {
	App         string            `json:"app"`
	Token       string            `json:"token"`
	Value       string            `json:"value"`
	TokenType   string            `json:"token_type"` // e.g. "Bearer"; empty where the platform has none
	Scope       string            `json:"scope"`
	IssuedAt    time.Time         `json:"issued_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	ExpiresIn   int64             `json:"expires_in"` // whole seconds that were left when it was answered
	Version     int64             `json:"version"`
	Revision    int64             `json:"revision"` // diagnostic
	Fingerprint string            `json:"fingerprint"`
	State       string            `json:"state"`
	Node        string            `json:"node"` // that answered
	Extra       map[string]string `json:"extra"`
}

// Name returns the token's name, "app/token".
func (t Token) Name() string { return t.App + "/" + t.Token }

// Format prints name, version and state, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%s version %d (%s)", t.Name(), t.Version, t.State)
}

// LogValue logs name, version and state.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.String("token", t.Name()), slog.Int64("version", t.Version), slog.String("state", t.State))
}

// TokenOptions say which value is wanted. The zero TokenOptions take what the
// node holds.
type TokenOptions struct {
	MinTTL time.Duration // a value that lives so long
	After  int64         // a version above this one
	Wait   time.Duration // for it, at most a minute; zero: not at all
}

// Token returns the value of a token, named "app/token" or "app" for its access_token.
func (c *Client) Token(ctx context.Context, name string, opts TokenOptions) (Token, error) {
	query := url.Values{}
	if opts.MinTTL > 0 {
		query.Set("min_ttl", opts.MinTTL.String())
	}
	if opts.After > 0 {
		query.Set("after", strconv.FormatInt(opts.After, 10))
	}
	if opts.Wait > 0 {
		query.Set("wait", opts.Wait.String())
	}
	var token Token
	path, err := tokenPath(name)
	if err != nil {
		return token, err
	}
	err = c.do(ctx, call{method: http.MethodGet, path: path, query: query, wait: opts.Wait}, &token)
	return token, err
}
