package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Page asks for one page of a list.
type Page struct {
	Prefix string // of the name
	Limit  int    // zero: 100
	Cursor string // NextCursor of the page before
}

func (p Page) query() url.Values {
	query := url.Values{}
	setText(query, "prefix", p.Prefix)
	setText(query, "cursor", p.Cursor)
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	return query
}

func setText(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

// AppsOptions say which apps are listed.
type AppsOptions struct {
	Page
	Label string // "team=retail", or "team" for any value; several with commas
}

// Apps returns one page of the apps there are, sorted by name.
func (c *Client) Apps(ctx context.Context, opts AppsOptions) (AppList, error) {
	query := opts.query()
	setText(query, "label", opts.Label)
	var list AppList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/apps", query: query}, &list)
	return list, err
}

// App returns one app.
func (c *Client) App(ctx context.Context, name string) (AppInfo, error) {
	var app AppInfo
	err := c.do(ctx, call{method: http.MethodGet, path: appPath(name, "")}, &app)
	return app, err
}

// ApplyOptions says how an app is applied.
type ApplyOptions struct {
	DryRun       bool // write nothing; the answer says what would be
	ReplaceGrant bool // put the given refresh token in the place of the one that is kept
}

func (o ApplyOptions) query() url.Values {
	query := url.Values{}
	if o.DryRun {
		query.Set("dry_run", "1")
	}
	if o.ReplaceGrant {
		query.Set("replace_grant", "1")
	}
	return query
}

// PutApp applies an app.
func (c *Client) PutApp(ctx context.Context, name string, app App, opts ApplyOptions) (AppChange, error) {
	var change AppChange
	err := c.do(ctx, call{method: http.MethodPut, path: appPath(name, ""), query: opts.query(), body: app}, &change)
	return change, err
}

// DeleteApp removes an app with its credentials and tokens.
func (c *Client) DeleteApp(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: appPath(name, ""), once: true}, nil)
}

// PauseApp stops or resumes the refreshing of an app; what it holds is served on.
func (c *Client) PauseApp(ctx context.Context, name string, paused bool) error {
	return c.do(ctx, call{method: http.MethodPost, path: appPath(name, pauseVerb(paused))}, nil)
}

// Pause stops or resumes the refreshing of the whole cluster.
func (c *Client) Pause(ctx context.Context, paused bool) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/v1" + pauseVerb(paused)}, nil)
}

func pauseVerb(paused bool) string {
	if paused {
		return "/pause"
	}
	return "/resume"
}
