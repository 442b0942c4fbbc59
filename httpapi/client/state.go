package client

import (
	"context"
	"net/http"
	"time"
)

// State is what the cluster knows of a token, without its value.
type State struct {
	App         string    `json:"app"`
	Token       string    `json:"token"`
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Todo        string    `json:"todo,omitempty"` // who must do what, where something is wrong
	Paused      bool      `json:"paused,omitempty"`
	Version     int64     `json:"version"` // 0 before the first value
	Fingerprint string    `json:"fingerprint,omitempty"`
	IssuedAt    time.Time `json:"issued_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	ExpiresIn   int64     `json:"expires_in"`      // whole seconds; 0 without a valid value
	DueAt       time.Time `json:"due_at,omitzero"` // when the refresher acts next
	Failures    int       `json:"failures"`        // in a row
	Epoch       int64     `json:"epoch"`
	Verdict     *Verdict  `json:"verdict,omitempty"`  // on the last report
	Outcomes    []Outcome `json:"outcomes,omitempty"` // newest first
}

// Name returns the token's name, "app/token".
func (s State) Name() string { return s.App + "/" + s.Token }

// Verdict is what was found about a version that was reported.
type Verdict struct {
	Version int64     `json:"version"`
	Answer  string    `json:"answer"` // one of the Verdict constants
	At      time.Time `json:"at"`
}

// Outcome is how one refresh ended. Steps are milliseconds after BeganAt; 0 was not reached.
type Outcome struct {
	Attempt   string    `json:"attempt"`
	Epoch     int64     `json:"epoch"`
	Result    string    `json:"result"` // published, same, failed, salvaged
	Version   int64     `json:"version"`
	BeganAt   time.Time `json:"began_at"`
	OpenedMS  int64     `json:"opened_ms"`
	FetchedMS int64     `json:"fetched_ms"`
	Message   string    `json:"message,omitempty"`
}

// StateList is one page of states.
type StateList struct {
	States     []State `json:"states"`
	NextCursor string  `json:"next_cursor,omitempty"`
}

// StatesOptions say which states are listed.
type StatesOptions struct {
	Page
	State string // e.g. "failing"; empty: any
}

// States returns one page of the states of the tokens the client may see, sorted by name.
func (c *Client) States(ctx context.Context, opts StatesOptions) (StateList, error) {
	query := opts.query()
	setText(query, "state", opts.State)
	var list StateList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/states", query: query}, &list)
	return list, err
}

// State returns the state of one token.
func (c *Client) State(ctx context.Context, name string) (State, error) {
	var state State
	path, err := namedPath("/v1/states/", name)
	if err != nil {
		return state, err
	}
	err = c.do(ctx, call{method: http.MethodGet, path: path}, &state)
	return state, err
}
