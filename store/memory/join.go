package memory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"freshet/coordinator"
)

// infoEvery is how often a node looks whether what it says of itself has changed:
// each third of a session's life, 5 s by default.
func (c *Cluster) infoEvery() time.Duration { return c.config.SessionTTL / 3 }

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
		held, changed, due := s.tryRegister(info)
		if held != nil {
			return held, nil
		}
		if patience.IsZero() {
			patience = time.Now().Add(ttl + margin(ttl))
		}
		if !time.Now().Before(patience) {
			return nil, fmt.Errorf("registering node %q: %w", info.Name, coordinator.ErrNameTaken)
		}
		sleep(ctx.Done(), changed, earliest(due, patience))
	}
}

// tryRegister registers the node, or says what to wait for.
func (s *Store) tryRegister(info coordinator.NodeInfo) (held *session, changed <-chan struct{}, due time.Time) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	other, taken := recordAt[coordinator.NodeInfo](c, keyOf(info))
	if taken && other.Instance != info.Instance {
		return nil, c.changed, c.dueLocked()
	}
	return s.beginLocked(keyOf(info), info), nil, due
}

// stay keeps the registration alive and true.
func (s *Store) stay(ctx context.Context, held *session, info func() coordinator.NodeInfo) error {
	for {
		round, cancel := context.WithTimeout(ctx, s.cluster.infoEvery())
		err := s.tend(round.Done(), held, nil)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, errDone) {
			return err
		}
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
