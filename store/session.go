package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// session is a lease of our own that is kept alive, and what we know of it.
//
// The library's session renews the lease too, but tells of its end only after
// the server may have deleted its keys: it counts from the arrival of the last
// answer, once a second. What may be relied on is counted here from the instant
// before the last answered renewal was sent, which is never later than the
// server's own count.
type session struct {
	lease clientv3.LeaseID
	ttl   time.Duration // as granted
	main  *dialer
	inner *concurrency.Session

	cancel  context.CancelFunc // of everything that renews
	stopped atomic.Bool
	renewed atomic.Pointer[time.Time] // when the last answered renewal was sent
}

const (
	marginMax   = time.Second // what the clocks of two machines may differ in over one TTL
	renewTick   = time.Second
	renewRetry  = 50 * time.Millisecond
	renewsInTTL = 3
)

var (
	errLeaseGone  = errors.New("the lease of the session is gone")
	errNotRenewed = errors.New("the session could not be renewed in time")
)

// withSession runs work under a lease of its own, and revokes it afterwards.
// The context of work ends with cause gone when the session can no longer be
// relied on, and when ctx ends; the lease is renewed until work returns, even
// after ctx has ended, so that work can finish what it began.
func (s *Store) withSession(ctx context.Context, gone error, work func(context.Context, *session) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	// Not of ctx: see above. The session's contexts end in this function.
	renewing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	held, err := s.openSession(ctx, renewing, cancel)
	if err != nil {
		return err
	}
	working, lose := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := held.renew(renewing); err != nil {
			held.stop()
			lose(fmt.Errorf("%w: %w", gone, err))
		}
	})
	err = work(working, held)
	held.stop()
	wg.Wait()
	lose(nil)
	s.revoke(ctx, held)
	return err
}

// openSession grants a lease and begins to renew it.
func (s *Store) openSession(ctx, renewing context.Context, cancel context.CancelFunc) (*session, error) {
	client, err := s.main.get(ctx)
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	grant, err := request(ctx, s.main, requestTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.LeaseGrantResponse, error) {
		return c.Grant(ctx, int64(s.config.SessionTTL/time.Second))
	})
	if err != nil {
		return nil, fmt.Errorf("granting a session: %w", err)
	}
	held := &session{lease: grant.ID, ttl: time.Duration(grant.TTL) * time.Second, main: s.main, cancel: cancel}
	held.renewed.Store(&sent)
	held.inner, err = concurrency.NewSession(bound(client, renewing),
		concurrency.WithLease(grant.ID), concurrency.WithContext(renewing))
	if err != nil {
		s.revoke(ctx, held)
		return nil, fmt.Errorf("keeping a session alive: %w", err)
	}
	return held, nil
}

// bound returns a client that shares client's connection and whose own context
// is ctx. The library cleans up after a campaign under the client's context,
// which otherwise never ends: during a partition a campaign could not be left.
func bound(client *clientv3.Client, ctx context.Context) *clientv3.Client { //nolint:revive // the context is not of this call
	b := clientv3.NewCtxClient(ctx, clientv3.WithZapLogger(client.GetLogger()))
	b.KV, b.Lease, b.Watcher = client.KV, client.Lease, client.Watcher
	return b
}

// stop ends all renewing, and with it everybody's reliance on the session.
func (h *session) stop() {
	h.stopped.Store(true)
	h.cancel()
}

// alive reports whether the session can be relied on at this instant.
func (h *session) alive() bool { return !h.stopped.Load() && h.left() > 0 }

// left returns how long the session can be relied on if it is not renewed. Two
// clocks are asked: the monotonic one is not moved by whoever sets the time,
// the other one goes on while the machine is suspended.
func (h *session) left() time.Duration {
	sent, now := *h.renewed.Load(), time.Now()
	passed := max(now.Sub(sent), now.Round(0).Sub(sent.Round(0)))
	return h.ttl - min(marginMax, h.ttl/4) - passed
}

// renew renews the lease until stop is called (nil) or the session is lost.
func (h *session) renew(ctx context.Context) error {
	wait := h.ttl / renewsInTTL
	for h.await(ctx, wait) {
		err := h.renewOnce(ctx)
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return errLeaseGone
		case err != nil:
			wait = renewRetry
		default:
			wait = h.ttl/renewsInTTL - time.Since(*h.renewed.Load())
		}
	}
	switch {
	case h.stopped.Load():
		return nil
	case h.left() <= 0:
		return errNotRenewed
	}
	return errLeaseGone
}

// await waits, and reports whether the session can still be relied on. It looks
// at the clocks every second, because a timer stands still with the machine.
func (h *session) await(ctx context.Context, d time.Duration) bool {
	for end := time.Now().Add(d); ; {
		timer := time.NewTimer(min(time.Until(end), h.left(), renewTick))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-h.inner.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
		if !h.alive() || !time.Now().Before(end) {
			return h.alive()
		}
	}
}

func (h *session) renewOnce(ctx context.Context) error {
	sent := time.Now()
	limit := min(h.ttl/renewsInTTL, h.left())
	_, err := request(ctx, h.main, limit, func(ctx context.Context, c *clientv3.Client) (*clientv3.LeaseKeepAliveResponse, error) {
		return c.KeepAliveOnce(ctx, h.lease)
	})
	if err == nil {
		h.renewed.Store(&sent)
	}
	return err
}

// revoke ends the lease, and with it the keys under it, as far as etcd can be
// told in a short time; if not, it expires.
func (s *Store) revoke(ctx context.Context, h *session) {
	_, err := request(context.WithoutCancel(ctx), s.main, partingTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.LeaseRevokeResponse, error) {
		return c.Revoke(ctx, h.lease)
	})
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		s.log.DebugContext(ctx, "a session could not be revoked and will expire", "err", err)
	}
}
