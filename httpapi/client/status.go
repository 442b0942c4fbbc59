package client

import (
	"context"
	"net/http"
	"time"
)

// Status is the cluster as one node sees it. Seconds are fractions where that says more.
type Status struct {
	Node                   string         `json:"node"`      // that answers
	Refresher              string         `json:"refresher"` // empty: there is none
	Epoch                  int64          `json:"epoch"`
	Nodes                  int            `json:"nodes"`
	Apps                   int            `json:"apps"`
	Tokens                 int            `json:"tokens"`
	States                 map[string]int `json:"states"` // :: state → tokens in it
	Paused                 bool           `json:"paused"`
	Revision               int64          `json:"revision"`                 // this node has applied
	OutageToleranceSeconds *float64       `json:"outage_tolerance_seconds"` // until the first token would die if refreshing stopped now; null: none lives
	WatchAgeSeconds        float64        `json:"watch_age_seconds"`        // since this node heard from the store
	SkewSeconds            float64        `json:"skew_seconds"`             // the refresher's clock is ahead of this node's by so much
	Etcd                   Etcd           `json:"etcd"`
	Synced                 bool           `json:"synced"`
	Stale                  bool           `json:"stale"`
	Draining               bool           `json:"draining"`
	Source                 string         `json:"source"` // of what this node serves: see SourceCluster
	Build                  string         `json:"build,omitempty"`
	Upstreams              []Upstream     `json:"upstreams,omitempty"` // that do not work, for who may see the whole cluster
}

// Upstream is a third party that fails and is called sparingly until it answers.
type Upstream struct {
	Name    string    `json:"name"`  // its host
	State   string    `json:"state"` // "open": it is left alone; "half-open": one call finds out whether it is back
	Since   time.Time `json:"since"`
	Waiting int       `json:"waiting"` // refreshes that wait for it
}

// Etcd is how full etcd is, by its fullest member; all zero until it has told.
type Etcd struct {
	DBBytes    int64 `json:"db_bytes"`
	QuotaBytes int64 `json:"quota_bytes"`
	Full       bool  `json:"full"` // nothing is refreshed until there is room again
}

// Where what a node serves came from.
const (
	SourceCluster  = "cluster"  // etcd, now or, where it is away, until then
	SourceSnapshot = "snapshot" // this node's disk: it started while etcd was away
	SourceNone     = "none"     // nothing is served yet
)

// Node is one member of the cluster.
type Node struct {
	Name      string    `json:"name"`
	Instance  string    `json:"instance"` // unique for each process
	Address   string    `json:"address"`
	Build     string    `json:"build"`
	Refresher bool      `json:"refresher"` // it is the refresher now
	Campaigns bool      `json:"campaigns"` // it may become the refresher
	StartedAt time.Time `json:"started_at"`
	Applied   int64     `json:"applied"` // revision it has reached
	SchemaMin int       `json:"schema_min"`
	SchemaMax int       `json:"schema_max"`

	// Hazards counts, since the process began, the moments in which nobody can
	// keep a refresh from being doubled or lost: late_write, late_arrival,
	// lost_result, replay, lost_answer. See ARCHITECTURE.md.
	Hazards map[string]int64 `json:"hazards,omitempty"`
}

// NodeList is the nodes there are.
type NodeList struct {
	Nodes []Node `json:"nodes"`
}

// Status returns the cluster as one node sees it.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/status"}, &status)
	return status, err
}

// Finalized is the format of the cluster's records after Finalize.
type Finalized struct {
	Format int `json:"format"`
}

// Finalize ends a rolling upgrade: it raises the format of the cluster's records
// to the newest that every node reads. Nodes of older builds are refused then.
func (c *Client) Finalize(ctx context.Context) (Finalized, error) {
	var done Finalized
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/finalize"}, &done)
	return done, err
}

// Nodes returns the nodes there are, sorted by name.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	var list NodeList
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/nodes"}, &list)
	return list.Nodes, err
}
