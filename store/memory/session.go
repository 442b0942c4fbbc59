package memory

import (
	"errors"
	"slices"
	"time"

	"freshet/coordinator"
)

// session ties a key to the life of a node: the cluster removes the key when
// the node has been silent for a TTL, and the node stops relying on it before.
// All fields are guarded by cluster.mu.
type session struct {
	store *Store
	key   key
	epoch coordinator.Epoch // create revision of the key

	// as the cluster knows it
	ends time.Time // when the key goes

	// as the node knows it
	renew time.Time // next keepalive
	until time.Time // what can be relied on: sent + TTL - margin
	beat  time.Time // last Beat of a leader; zero: no beat is expected
	deaf  bool      // the node is not told that its key is gone
	over  bool      // the node has given it up
}

// errDone tells that nobody waits any more.
var errDone = errors.New("done")

// beginLocked begins a session that holds a key.
func (s *Store) beginLocked(k key, record coordinator.Record) *session {
	c, now := s.cluster, time.Now()
	held := &session{store: s, key: k, ends: now.Add(c.config.SessionTTL)}
	held.sentLocked(now)
	c.sessions = append(c.sessions, held)
	revision := c.updateLocked(func(t *tx) {
		if record == nil {
			t.set(k, &entry{session: held})
			return
		}
		t.putUnder(held, record)
	})
	held.epoch = coordinator.Epoch(revision)
	return held
}

// sentLocked counts what the node may rely on from the instant it sent a keepalive.
func (held *session) sentLocked(now time.Time) {
	ttl := held.store.cluster.config.SessionTTL
	held.renew = now.Add(ttl / 3)
	held.until = now.Add(ttl - margin(ttl))
}

func margin(ttl time.Duration) time.Duration { return min(time.Second, ttl/5) }

// endLocked ends a session for the cluster; its key goes.
func (c *Cluster) endLocked(held *session) {
	c.sessions = slices.DeleteFunc(c.sessions, func(s *session) bool { return s == held })
	if c.holdsLocked(held) {
		c.updateLocked(func(t *tx) { t.delete(held.key) })
	}
}

// holdsLocked reports whether the session's key is there.
func (c *Cluster) holdsLocked(held *session) bool {
	e := c.keys[held.key.kind][held.key.id]
	return e != nil && e.session == held
}

// leave gives a session up: the key goes at once if the cluster can be told,
// else when the session expires.
func (s *Store) leave(held *session) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.cluster.expireLocked()
	held.over = true
	if s.leading == held {
		s.leading = nil
	}
	if !s.cut {
		s.cluster.endLocked(held)
	}
	s.cluster.wakeLocked()
}

// tend keeps a session alive until until() holds (nil), done is closed
// (errDone) or the session cannot be relied on any more (ErrLeadershipLost).
// until is called with the mutex held, and only while the cluster can be reached.
func (s *Store) tend(done <-chan struct{}, held *session, until func() bool) error {
	for {
		select {
		case <-done:
			return errDone
		default:
		}
		ready, lost, moved, at := s.look(held, until)
		switch {
		case lost:
			return coordinator.ErrLeadershipLost
		case ready:
			return nil
		}
		sleep(done, moved, at)
	}
}

// look renews a session if that is due and says how things stand: what tend
// waits for, and until when.
func (s *Store) look(held *session, until func() bool) (ready, lost bool, moved <-chan struct{}, at time.Time) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	now := time.Now()
	if !s.reliesLocked(held, now) {
		held.over = true
		return false, true, nil, at
	}
	at = earliest(c.endingLocked(), held.until)
	if !held.beat.IsZero() {
		at = earliest(at, held.beat.Add(c.config.SessionTTL))
	}
	if s.cut {
		return false, false, c.moved, at
	}
	if !now.Before(held.renew) && c.holdsLocked(held) {
		held.ends = now.Add(c.config.SessionTTL)
		held.sentLocked(now)
	}
	if now.Before(held.renew) {
		at = earliest(at, held.renew)
	}
	return until != nil && until(), false, c.moved, at
}

// reliesLocked reports whether the node may still rely on its session, by all
// that has reached it.
func (s *Store) reliesLocked(held *session, now time.Time) bool {
	if !held.assumedLocked(now) {
		return false
	}
	return s.cut || held.deaf || s.cluster.holdsLocked(held)
}

// assumedLocked is what the node's own clock says of a session.
func (held *session) assumedLocked(now time.Time) bool {
	hung := !held.beat.IsZero() && !now.Before(held.beat.Add(held.store.cluster.config.SessionTTL))
	return !held.over && !hung && now.Before(held.until)
}
