package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Permissions are what a client may do :: verb → globs of token names. "*" stays
// within a segment, "**" crosses.
type Permissions map[string][]string

// ClientBody describes a client to be made.
type ClientBody struct { //nolint:revive // the client is the noun here, not the package: a bare Body would not say of what
	Name      string      `json:"name"`
	Can       Permissions `json:"can"`
	Note      string      `json:"note,omitempty"`
	ExpiresAt time.Time   `json:"expires_at,omitzero"` // zero: never
}

// ClientKey is a client just made. Its key is shown this once; printing a
// ClientKey does not show it.
type ClientKey struct { //nolint:revive // the client is the noun here, not the package: a bare Key would not say of what
	Client string `json:"client"`
	Key    string `json:"key"`
}

// Format prints the client's name, whatever the verb.
func (k ClientKey) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "key of client %s", k.Client) }

// ClientInfo is a client as the cluster keeps it.
type ClientInfo struct { //nolint:revive // the client is the noun here, not the package: a bare Info would not say of what
	Name      string      `json:"name"`
	Can       Permissions `json:"can"`
	Note      string      `json:"note,omitempty"`
	Owner     string      `json:"owner,omitempty"`
	ExpiresAt time.Time   `json:"expires_at,omitzero"`
	CreatedAt time.Time   `json:"created_at,omitzero"`
}

// ClientList is one page of clients.
type ClientList struct { //nolint:revive // the client is the noun here, not the package: a bare List would not say of what
	Clients    []ClientInfo `json:"clients"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

// Clients returns one page of the clients there are, sorted by name.
func (c *Client) Clients(ctx context.Context, page Page) (ClientList, error) {
	var list ClientList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/clients", query: page.query()}, &list)
	return list, err
}

// AddClient makes a client and returns its key.
func (c *Client) AddClient(ctx context.Context, body ClientBody) (ClientKey, error) {
	var key ClientKey
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/clients", body: body, once: true}, &key)
	return key, err
}

// DeleteClient removes a client; its key is worth nothing at once.
func (c *Client) DeleteClient(ctx context.Context, name string) error {
	path := "/v1/clients/" + url.PathEscape(name)
	return c.do(ctx, call{method: http.MethodDelete, path: path, once: true}, nil)
}
