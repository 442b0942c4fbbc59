package client

import (
	"context"
	"net/http"
)

// Seals says what the cluster's secrets are sealed with.
type Seals struct {
	Keys     []SealKey `json:"keys"`     // in the order of their ids
	Unsealed int       `json:"unsealed"` // secret records that are not sealed
}

// SealKey is a seal key that a node has, or that something is sealed with.
type SealKey struct {
	ID        int      `json:"id"`         // 1 to 255
	Primary   bool     `json:"is_primary"` // the answering node seals with it
	Records   int      `json:"records"`    // in etcd, sealed with it
	MissingOn []string `json:"missing_on"` // nodes that do not have it
}

// RecordsOf returns how many records are sealed with a key.
func (s Seals) RecordsOf(id int) int {
	for _, key := range s.Keys {
		if key.ID == id {
			return key.Records
		}
	}
	return 0
}

// Seals counts the cluster's secret records by the key that seals them. It needs
// the permission admin on the cluster.
func (c *Client) Seals(ctx context.Context) (Seals, error) {
	var seals Seals
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/seals"}, &seals)
	return seals, err
}
