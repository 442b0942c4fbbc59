package memory

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"freshet/coordinator"
)

// Join keeps the node registered until ctx ends, whose error it returns.
func (s *Store) Join(ctx context.Context, info func() coordinator.NodeInfo) error {
	for {
		held, err := s.register(ctx, info())
		if err != nil {
			return err
		}
		err = s.stay(ctx, held, info)
		s.leave(held)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.cluster.config.Logger.WarnContext(ctx, "registration lost", "err", err)
	}
}

// register takes the node's name as soon as it is free.
func (s *Store) register(ctx context.Context, info coordinator.NodeInfo) (*session, error) {
	c := s.cluster
	ttl := c.config.SessionTTL
	var patience time.Time // set when the name is found taken
	for {
		if err := s.reach(ctx); err != nil {
			return nil, err
		}
		held, moved, due := s.tryRegister(info)
		if held != nil {
			return held, nil
		}
		if patience.IsZero() {
			patience = time.Now().Add(ttl + margin(ttl))
		}
		if !time.Now().Before(patience) {
			return nil, fmt.Errorf("registering node %q: %w", info.Name, coordinator.ErrNameTaken)
		}
		sleep(ctx.Done(), moved, earliest(due, patience))
	}
}

// tryRegister registers the node, or says what to wait for.
func (s *Store) tryRegister(info coordinator.NodeInfo) (held *session, moved <-chan struct{}, due time.Time) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	other, taken := recordAt[coordinator.NodeInfo](c, keyOf(info))
	if taken && other.Instance != info.Instance {
		return nil, c.moved, c.endingLocked()
	}
	return s.beginLocked(keyOf(info), info), nil, due
}

// stay keeps the registration alive and true: with each keepalive, every third of
// a session's life, the node says again what it says of itself.
func (s *Store) stay(ctx context.Context, held *session, info func() coordinator.NodeInfo) error {
	said := held.renew // written by who tends the session: this goroutine
	for {
		err := s.tend(ctx.Done(), held, func() bool { return held.renew.After(said) })
		if err != nil {
			return err
		}
		said = held.renew
		s.rewrite(held, info())
	}
}

// rewrite writes what a node says of itself if that has changed.
func (s *Store) rewrite(held *session, info coordinator.NodeInfo) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	if s.cut || !c.holdsLocked(held) || reflect.DeepEqual(copyOf(info, 0), c.keys[held.key.kind][held.key.id].record) {
		return
	}
	c.updateLocked(func(t *tx) { t.putUnder(held, info) })
}
