// Package tokensource makes an oauth2.TokenSource of a cluster's token. It
// stands apart so that package client brings no other module along.
//
//	source := tokensource.New(ctx, cache, "crm/access_token")
//	api := &http.Client{Transport: &oauth2.Transport{Source: source}}
//
// Use oauth2.Transport as above rather than oauth2.NewClient: the latter keeps a
// value until shortly before its expiry, also one that was replaced meanwhile,
// while a read of a *client.Cache costs no more. A client.Transport replaces dead
// values as well.
package tokensource

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"freshet/httpapi/client"
)

// New returns a source of a token, named "app/token", or "app" for its
// access_token. The context is that of all its reads, since a source is asked
// without one.
func New(ctx context.Context, from client.Reader, name string) oauth2.TokenSource {
	return source(func() (*oauth2.Token, error) {
		token, err := from.Token(ctx, name, client.TokenOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading the token %s: %w", name, err)
		}
		return convert(token), nil
	})
}

// convert counts the expiry by our clock, which is what it is compared with. A
// platform's other fields, e.g. instance_url, are found by Extra.
func convert(token client.Token) *oauth2.Token {
	extra := map[string]any{"scope": token.Scope}
	for field, value := range token.Extra {
		extra[field] = value
	}
	out := &oauth2.Token{
		AccessToken: token.Value, TokenType: token.TokenType,
		ExpiresIn: token.ExpiresIn, Expiry: time.Now().Add(time.Duration(token.ExpiresIn) * time.Second),
	}
	return out.WithExtra(extra)
}

type source func() (*oauth2.Token, error)

// Token returns the value that there is now.
func (s source) Token() (*oauth2.Token, error) { return s() }
