package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ClientAuth is how an OAuth client proves who it is.
type ClientAuth string

// The methods of client authentication (RFC 6749, section 2.3).
const (
	AuthBasic ClientAuth = "basic" // client_secret_basic: id and secret form-urlencoded, then Basic
	AuthPost  ClientAuth = "post"  // client_secret_post: client_id and client_secret in the body
	AuthNone  ClientAuth = "none"  // a public client: client_id in the body, no secret
)

// RefreshRotation is what the server does with a refresh token that was used.
type RefreshRotation string

// The classes of rotation.
const (
	RotateNone     RefreshRotation = "none"      // it stays, and the answer holds none
	RotateOldStays RefreshRotation = "old-stays" // the answer holds a new one, and the old one lives on
	RotateGrace    RefreshRotation = "grace"     // replaced, but welcome once more for OAuthClient.Grace; later its family is revoked
	RotateStrict   RefreshRotation = "strict"    // replaced; presented again, its family is revoked
)

// The grants of OAuthClient.Grants.
const (
	GrantClientCredentials = "client_credentials"
	GrantRefreshToken      = "refresh_token"
)

// OAuthClient is one client registered at the emulated OAuth 2 server. In JSON
// durations are written like "1h" and fields have the names in their tags.
type OAuthClient struct {
	ID     string     `json:"client_id"`
	Secret string     `json:"client_secret,omitempty"` // none for a public client
	Auth   ClientAuth `json:"auth,omitempty"`          // the one method allowed; empty: basic
	Body   string     `json:"body,omitempty"`          // the one body allowed, form or json; empty: both
	Grants []string   `json:"grants,omitempty"`        // empty: both, but a public client has refresh_token only
	Scopes []string   `json:"scopes,omitempty"`        // that may be asked for; empty: any

	Lifetime      time.Duration   `json:"-"`                         // of an access token; 0: 1 h
	OmitExpiresIn bool            `json:"omit_expires_in,omitempty"` // answers do not tell the lifetime
	TextExpiresIn bool            `json:"text_expires_in,omitempty"` // expires_in is sent as a text
	IDToken       bool            `json:"id_token,omitempty"`        // answers to the scope openid hold an id_token
	ForbidGrant   bool            `json:"forbid_grant,omitempty"`    // invalid_grant comes with 403, as Atlassian sends it
	Rotation      RefreshRotation `json:"rotation,omitempty"`        // empty: strict
	Grace         time.Duration   `json:"-"`                         // for RotateGrace; 0: 10 min
	Siblings      bool            `json:"siblings,omitempty"`        // RotateGrace: a replay gets a new token beside the successor, not that one again
	RepeatRefresh bool            `json:"repeat_refresh,omitempty"`  // RotateNone: the answer repeats the refresh token
}

type oauthClientFields OAuthClient

type oauthClientWire struct {
	*oauthClientFields
	Lifetime textDuration `json:"lifetime,omitzero"`
	Grace    textDuration `json:"grace,omitzero"`
}

func (c *OAuthClient) wire() oauthClientWire {
	return oauthClientWire{(*oauthClientFields)(c), textDuration(c.Lifetime), textDuration(c.Grace)}
}

// MarshalJSON writes the client with its durations in words, its secret included.
func (c OAuthClient) MarshalJSON() ([]byte, error) { return json.Marshal(c.wire()) }

// UnmarshalJSON reads what MarshalJSON writes, keeps fields that are absent and
// refuses unknown names.
func (c *OAuthClient) UnmarshalJSON(data []byte) error {
	*c = c.clone() // decoding reuses arrays, which others may hold
	wire := c.wire()
	if err := decodeStrict(data, &wire); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	c.Lifetime, c.Grace = time.Duration(wire.Lifetime), time.Duration(wire.Grace)
	return nil
}

// withDefaults returns the client as the server treats it.
func (c OAuthClient) withDefaults() OAuthClient {
	c = c.clone()
	c.Auth = cmp.Or(c.Auth, AuthBasic)
	c.Lifetime = cmp.Or(c.Lifetime, time.Hour)
	c.Rotation = cmp.Or(c.Rotation, RotateStrict)
	c.Grace = cmp.Or(c.Grace, 10*time.Minute)
	if len(c.Grants) == 0 {
		c.Grants = []string{GrantRefreshToken}
		if c.Auth != AuthNone {
			c.Grants = append(c.Grants, GrantClientCredentials)
		}
	}
	return c
}

func (c OAuthClient) validate() error {
	full := c.withDefaults()
	var errs []error
	switch {
	case c.ID == "":
		errs = append(errs, errors.New("client_id is needed"))
	case full.Auth == AuthNone && c.Secret != "":
		errs = append(errs, errors.New("a public client has no secret"))
	case full.Auth != AuthNone && c.Secret == "":
		errs = append(errs, errors.New("client_secret is needed, unless auth is none"))
	}
	if !slices.Contains([]ClientAuth{AuthBasic, AuthPost, AuthNone}, full.Auth) {
		errs = append(errs, fmt.Errorf("auth %q: want basic, post or none", c.Auth))
	}
	if !slices.Contains([]string{"", "form", "json"}, c.Body) {
		errs = append(errs, fmt.Errorf("body %q: want form or json", c.Body))
	}
	if !slices.Contains([]RefreshRotation{RotateNone, RotateOldStays, RotateGrace, RotateStrict}, full.Rotation) {
		errs = append(errs, fmt.Errorf("rotation %q: want none, old-stays, grace or strict", c.Rotation))
	}
	for _, grant := range full.Grants {
		if grant != GrantRefreshToken && (grant != GrantClientCredentials || full.Auth == AuthNone) {
			errs = append(errs, fmt.Errorf("grant %q: want refresh_token, or for a client with a secret client_credentials", grant))
		}
	}
	for _, scope := range c.Scopes {
		if !scopeToken(scope) {
			errs = append(errs, fmt.Errorf("scope %q: want one word", scope))
		}
	}
	if min(c.Lifetime, c.Grace) < 0 {
		errs = append(errs, errors.New("durations may not be negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("client %q: %w", c.ID, err)
	}
	return nil
}

// scopeToken reports whether text is a scope-token of RFC 6749, section 3.3.
func scopeToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}
