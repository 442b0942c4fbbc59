package memory

import (
	"context"
	"time"

	"freshet/coordinator"
)

// Ask writes a request unless one for as much or more exists.
func (s *Store) Ask(ctx context.Context, r coordinator.Request, seen coordinator.State) error {
	c := s.cluster
	seen.Name = r.Name
	_, err := s.write(ctx, OpAsk, transaction{
		check: func() error { return c.unchangedLocked(seen, seen.Revision) },
		do: func(t *tx) {
			if there, found := recordAt[coordinator.Request](c, keyOf(r)); found && covers(there, r) {
				return
			}
			t.put(r)
		},
		mine: func() (int64, bool) { return c.writtenLocked(r) },
	})
	return err
}

// covers reports whether a request asks for as much as another, or more.
func covers(there, r coordinator.Request) bool {
	return there.Above >= r.Above && strength(there.Reason) >= strength(r.Reason)
}

func strength(r coordinator.Reason) int {
	switch r {
	case coordinator.ReasonRestored:
		return 3
	case coordinator.ReasonForce, coordinator.ReasonReport:
		return 2
	case coordinator.ReasonRefresh:
		return 1
	case coordinator.ReasonDue, coordinator.ReasonLastChance: // nobody asks for those
	}
	return 0
}

// Note writes a state outside of an attempt.
func (s *Store) Note(ctx context.Context, n coordinator.Note) error {
	c := s.cluster
	_, err := s.write(ctx, OpNote, transaction{
		epoch: n.Epoch,
		fence: true,
		check: func() error { return c.unchangedLocked(n.State, n.State.Revision) },
		do: func(t *tx) {
			t.put(n.State)
			if n.Request != nil && c.modLocked(keyOf(*n.Request)) == n.Request.Revision {
				t.delete(keyOf(*n.Request))
			}
		},
		mine: func() (int64, bool) { return c.writtenLocked(n.State) },
	})
	return err
}

// Beat writes the heartbeat and shows that the leader is not hung.
func (s *Store) Beat(ctx context.Context, h coordinator.Heartbeat) error {
	s.alive(h.Epoch)
	_, err := s.write(ctx, OpBeat, transaction{
		epoch: h.Epoch,
		fence: true,
		do:    func(t *tx) { t.put(h) },
	})
	return err
}

func (s *Store) alive(epoch coordinator.Epoch) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if s.leading != nil && s.leading.epoch == epoch {
		s.leading.beat = time.Now()
	}
}
