package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Bar is a platform's refusal of an app from one egress address.
type Bar struct {
	App    string    `json:"app"`
	Egress string    `json:"egress"` // as the configuration of its nodes names it
	Node   string    `json:"node"`   // that was refused
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"` // it is forgotten then
}

// BarList is the bars that stand.
type BarList struct {
	Bars []Bar `json:"bars"`
}

// BarsLifted says how many bars were lifted.
type BarsLifted struct {
	Lifted int `json:"lifted"`
}

// Bars returns the bars of the apps the client may see, sorted by app and egress.
func (c *Client) Bars(ctx context.Context) ([]Bar, error) {
	var list BarList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/bars"}, &list)
	return list.Bars, err
}

// LiftBars lifts the bars of an app, or the one from an egress address, and
// returns how many stood.
func (c *Client) LiftBars(ctx context.Context, app, egress string) (int, error) {
	query := url.Values{}
	setText(query, "egress", egress)
	var lifted BarsLifted
	err := c.do(ctx, call{method: http.MethodDelete, path: "/v1/bars/" + url.PathEscape(app), query: query}, &lifted)
	return lifted.Lifted, err
}
