package memory

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"sync"
	"time"

	"freshet/coordinator"
)

// campaignPause is the wait after a leadership that ended although it was not lost.
const campaignPause = time.Second

// Lead campaigns and leads until ctx ends, whose error it returns.
func (s *Store) Lead(ctx context.Context, node string, lead func(context.Context, coordinator.Leadership) error) error {
	for ctx.Err() == nil {
		err := s.leadOnce(ctx, node, lead)
		if errors.Is(err, coordinator.ErrLeadershipLost) {
			s.cluster.config.Logger.WarnContext(ctx, "leadership lost", "node", node)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		s.cluster.config.Logger.ErrorContext(ctx, "leading ended early", "node", node, "err", err)
		sleep(ctx.Done(), nil, time.Now().Add(campaignPause))
	}
	return ctx.Err()
}

// leadOnce campaigns, leads and resigns. The error is ErrLeadershipLost where
// leadership was lost, else that of lead.
func (s *Store) leadOnce(ctx context.Context, node string, lead func(context.Context, coordinator.Leadership) error) error {
	held, err := s.campaign(ctx)
	if err != nil {
		return err
	}
	defer s.leave(held)
	first := func() bool { return s.cluster.firstLocked(held) }
	if err := s.tend(ctx.Done(), held, first); err != nil {
		return err
	}
	revision, err := s.takeOver(ctx, held, node)
	if err != nil {
		return err
	}
	return s.hold(ctx, held, revision, lead)
}

// campaign joins the queue of candidates.
func (s *Store) campaign(ctx context.Context) (*session, error) {
	if err := s.reach(ctx); err != nil {
		return nil, err
	}
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	id := strconv.FormatInt(c.revision+1, 10)
	return s.beginLocked(key{kindElection, id}, nil), nil
}

// firstLocked reports whether the session's key is the oldest of all candidates'.
func (c *Cluster) firstLocked(held *session) bool {
	for _, e := range c.keys[kindElection] {
		if e.create < int64(held.epoch) {
			return false
		}
	}
	return c.holdsLocked(held)
}

// leadsLocked reports whether the election key of an epoch exists.
func (c *Cluster) leadsLocked(epoch coordinator.Epoch) bool {
	for _, e := range c.keys[kindElection] {
		if e.create == int64(epoch) {
			return true
		}
	}
	return false
}

// takeOver writes down the new leadership and returns the revision of that.
func (s *Store) takeOver(ctx context.Context, held *session, node string) (int64, error) {
	if err := s.reach(ctx); err != nil {
		return 0, err
	}
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	if !c.holdsLocked(held) {
		return 0, coordinator.ErrLeadershipLost
	}
	if fingerprint := (coordinator.FingerprintKey{}); c.modLocked(keyOf(fingerprint)) == 0 {
		fingerprint.Key = coordinator.NewSecret(rand.Text())
		c.updateLocked(func(t *tx) { t.put(fingerprint) })
	}
	now := time.Now()
	held.beat = now
	s.leading = held
	return c.updateLocked(func(t *tx) {
		t.put(coordinator.Elected{Epoch: held.epoch, Node: node, At: now})
	}), nil
}

// hold runs lead for as long as it takes, keeps the session alive all the
// while, also when ctx has ended and lead is draining, and tells lead when
// leadership is lost.
func (s *Store) hold(ctx context.Context, held *session, revision int64, lead func(context.Context, coordinator.Leadership) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	leadership := coordinator.Leadership{
		Epoch:    held.epoch,
		Revision: revision,
		Held:     func() bool { return s.assumes(held) },
	}
	var (
		err   error
		wg    sync.WaitGroup
		ended = make(chan struct{})
	)
	wg.Go(func() {
		defer close(ended)
		err = lead(ctx, leadership)
	})
	lost := errors.Is(s.tend(ended, held, nil), coordinator.ErrLeadershipLost)
	if lost {
		cancel(coordinator.ErrLeadershipLost)
	}
	wg.Wait()
	if lost {
		return coordinator.ErrLeadershipLost
	}
	return err
}

func (s *Store) assumes(held *session) bool {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	return held.assumedLocked(time.Now())
}
