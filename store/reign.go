package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// reign is one leadership of this Store.
type reign struct {
	fence
	session *session
	lose    context.CancelCauseFunc // ends the leader's context
	beat    atomic.Pointer[time.Time]
}

// rule runs lead until it returns, and tells it when leadership is lost: when
// the session can no longer be relied on, when our election key goes, when the
// leader is hung, and when a write was fenced.
func (s *Store) rule(ctx context.Context, held *session, f fence, revision int64, lead func(context.Context, coordinator.Leadership) error) {
	leading, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	r := &reign{fence: f, session: held, lose: lose}
	r.beats()
	s.leading.Store(r)
	log := s.log.With("epoch", int64(f.epoch))
	log.InfoContext(ctx, "leadership won", "revision", revision)

	// A leader drains after ctx has ended: it must be guarded then as well.
	guarding, relieve := context.WithCancel(context.WithoutCancel(ctx))
	var guards sync.WaitGroup
	guards.Go(func() { s.guardKey(guarding, r, revision) })
	guards.Go(func() { r.guardBeats(guarding) })
	guards.Go(func() { s.keepSealed(guarding, f) })
	err := lead(leading, coordinator.Leadership{Epoch: f.epoch, Revision: revision, Held: held.alive})
	relieve()
	guards.Wait()
	switch lost := context.Cause(leading); {
	case !held.alive():
		log.WarnContext(ctx, "leadership lost", "err", lost)
	case err != nil && ctx.Err() == nil:
		log.ErrorContext(ctx, "leading ended, leadership is given up", "err", err)
	default:
		log.InfoContext(ctx, "leadership given up")
	}
	held.stop()
	s.resign(ctx, f)
}

// depose ends a leadership that cannot be relied on any more. Its lease is not
// renewed any longer, so that others need not wait for a leader that is hung.
func (r *reign) depose(why string) {
	r.lose(fmt.Errorf("%w: %s", coordinator.ErrLeadershipLost, why))
	r.session.stop()
}

// stepDown ends our leadership of an epoch, because a write of it was fenced.
func (s *Store) stepDown(epoch coordinator.Epoch) {
	if r := s.leading.Load(); r != nil && r.epoch == epoch {
		r.depose("a write was fenced")
	}
}

// beats notes that the leader is not hung.
func (r *reign) beats() { r.beat.Store(new(time.Now())) }

// guardBeats deposes a leader that has not beaten for as long as its session
// lives: a lease that is renewed only shows that this process runs.
func (r *reign) guardBeats(ctx context.Context) {
	for {
		left := r.session.ttl - time.Since(*r.beat.Load())
		if left <= 0 {
			r.depose("the leader does not beat")
			return
		}
		if !sleep(ctx, left) {
			return
		}
	}
}

// guardKey deposes the leader when its election key goes, whoever deleted it:
// the library does not look.
func (s *Store) guardKey(ctx context.Context, r *reign, revision int64) {
	gone := func(e *clientv3.Event) bool { return e.Type == clientv3.EventTypeDelete }
	if err := s.awaitEvent(ctx, r.key, revision, gone); err == nil {
		r.depose("its election key is gone")
	}
}

// awaitEvent waits for a chosen event of a key after a revision; the error is
// that of ctx. History that was lost meanwhile may have held the event: then
// the key's absence counts as its deletion.
func (s *Store) awaitEvent(ctx context.Context, key string, revision int64, chosen func(*clientv3.Event) bool) error {
	var wait backoff
	for {
		last, found := s.watchFor(ctx, key, revision, chosen)
		if found || ctx.Err() != nil {
			return ctx.Err()
		}
		revision = max(revision, last)
		sleep(ctx, wait.next())
		resp, err := s.get(ctx, key)
		switch {
		case err != nil:
			s.suffered(ctx, "watching a key", err)
		case len(resp.Kvs) == 0:
			return nil
		case resp.Kvs[0].ModRevision <= revision:
			revision = resp.Header.Revision // nothing happened to it so far
		}
	}
}

// watchFor watches a key until a chosen event is found or the watch ends.
func (s *Store) watchFor(ctx context.Context, key string, revision int64, chosen func(*clientv3.Event) bool) (last int64, found bool) {
	client, err := s.main.get(ctx)
	if err != nil {
		return revision, false
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for resp := range client.Watch(ctx, key, clientv3.WithRev(revision+1)) {
		for _, e := range resp.Events {
			if chosen(e) {
				return e.Kv.ModRevision, true
			}
			revision = e.Kv.ModRevision
		}
		if resp.CompactRevision > revision {
			revision = resp.CompactRevision
		}
	}
	return revision, false
}

// resign deletes the election key at once, by the key and the epoch we kept:
// the library forgets them when its own attempt fails. The lease is revoked
// next, which deletes the key in any case.
func (s *Store) resign(ctx context.Context, f fence) {
	_, err := request(context.WithoutCancel(ctx), s.main, partingTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(f.key), "=", int64(f.epoch))).
			Then(clientv3.OpDelete(f.key)).
			Commit()
	})
	if err != nil {
		s.log.DebugContext(ctx, "resigning was not answered", "err", err)
	}
}
