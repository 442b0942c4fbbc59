package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TokenResult is what became of one name of several: Token or Problem is set.
type TokenResult struct {
	Name    string   `json:"name"` // "app/token"
	Token   *Token   `json:"token,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

// TokenList is what became of each name, in the order they were asked for.
type TokenList struct {
	Tokens []TokenResult `json:"tokens"`
}

// TokensOptions say which values are wanted. The zero TokensOptions take what
// the node holds.
type TokensOptions struct {
	MinTTL time.Duration // values that live so long
}

// Tokens returns the values of many tokens at once, at most 500, each named
// "app/token" or "app" for its access_token. One that cannot be had is a Problem
// in its place, and no error.
func (c *Client) Tokens(ctx context.Context, names []string, opts TokensOptions) ([]TokenResult, error) {
	if len(names) == 0 {
		return nil, errors.New("no token is named")
	}
	query := url.Values{"names": {strings.Join(names, ",")}}
	if opts.MinTTL > 0 {
		query.Set("min_ttl", opts.MinTTL.String())
	}
	var list TokenList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/tokens", query: query}, &list)
	return list.Tokens, err
}
