package coordinator

import (
	"context"
	"errors"
)

// Seals says what the cluster's secrets are sealed with.
type Seals struct {
	Primary int         // id of the key that seals; 0: nothing is sealed
	Records map[int]int // :: id of a seal key → records sealed with it; 0: not sealed
}

// ErrNoSeals means that this node's store seals nothing at all.
var ErrNoSeals = errors.New("this store keeps no sealed records")

// Seals counts what is sealed with which key, over all secrets of the cluster.
// It reads them all.
func (n *Node) Seals(ctx context.Context) (Seals, error) {
	sealing, ok := n.store.(interface {
		Seals(ctx context.Context) (Seals, error)
	})
	if !ok {
		return Seals{}, ErrNoSeals
	}
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	return sealing.Seals(ctx)
}
