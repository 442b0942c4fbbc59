package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// AuditRecord is one record of who changed what. It holds names only.
type AuditRecord struct {
	ID          string    `json:"id"` // a ULID
	At          time.Time `json:"at"`
	By          string    `json:"by"`                // "api:" and a client's name, or "file:" and that of an apps file
	Action      string    `json:"action"`            // e.g. "app_updated"
	Objects     []string  `json:"objects,omitempty"` // the app, client or file; several where one act changed several
	Changed     []string  `json:"changed,omitempty"` // what of it, e.g. "credentials.secret"
	Node        string    `json:"node"`              // that wrote it
	Traceparent string    `json:"traceparent,omitempty"`
}

// AuditList is one page of records of who changed what.
type AuditList struct {
	Records    []AuditRecord `json:"records"`
	NextCursor string        `json:"next_cursor,omitempty"`
}

// AuditOptions say which records are listed.
type AuditOptions struct {
	Limit  int    // zero: 100
	Cursor string // NextCursor of the page before
	App    string // only those about this app
	By     string // only those of this actor, as AuditRecord.By has it
}

// Audit returns one page of who changed what, newest first.
func (c *Client) Audit(ctx context.Context, opts AuditOptions) (AuditList, error) {
	query := url.Values{}
	setText(query, "app", opts.App)
	setText(query, "by", opts.By)
	setText(query, "cursor", opts.Cursor)
	if opts.Limit > 0 {
		query.Set("limit", strconv.Itoa(opts.Limit))
	}
	var list AuditList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/audit", query: query}, &list)
	return list, err
}
