package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

const (
	silence       = 10 * time.Second // a watch that says nothing for so long is taken for dead
	progressEvery = 3 * time.Second

	// Nodes that lost history together must not all list at once. Each serves
	// from what it has, so it can wait the longer, the more there is to list.
	relistWithin  = time.Second
	relistPerPage = 5 * time.Second
	relistAtMost  = 30 * time.Second
)

var (
	errLeft        = errors.New("the consumer has left")
	errHistoryLost = errors.New("history was compacted")
	errSilent      = errors.New("the watch has gone silent")
	errUnanswered  = errors.New("etcd does not open a watch")
	errNewKeys     = errors.New("seal keys have come")
)

// Watch lists every record and follows what happens to them: list at a revision,
// watch from the next one, so that nothing is missed and nothing comes twice.
// Besides the error of ctx it may yield ErrUnsupported.
func (s *Store) Watch(ctx context.Context) iter.Seq2[coordinator.Batch, error] {
	return func(yield func(coordinator.Batch, error) bool) {
		f := follower{store: s, yield: yield}
		if err := f.run(ctx); !errors.Is(err, errLeft) {
			yield(coordinator.Batch{}, err)
		}
	}
}

// follower is one consumer's place in the history.
type follower struct {
	store *Store
	yield func(coordinator.Batch, error) bool
	past
	size     int  // records listed last
	restored bool // the history followed so far is not the cluster's any more

	newKeys  <-chan struct{} // closed when seal keys come
	unopened int64           // records left out for want of a key, when we listed
}

// give yields a batch.
func (f *follower) give(b coordinator.Batch) error {
	f.last = max(f.last, b.Revision)
	if !f.yield(b, nil) {
		return errLeft
	}
	return nil
}

// run lists and follows until ctx ends, again whenever history was lost, and when
// seal keys come for records that were left out.
func (f *follower) run(ctx context.Context) error {
	for {
		err := f.turn(ctx)
		switch {
		case errors.Is(err, errLeft), fatal(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errHistoryLost), errors.Is(err, errNewKeys):
			f.store.log.InfoContext(ctx, "listing again", "err", err, "revision", f.last)
		default:
			f.store.suffered(ctx, "listing records", err)
		}
		sleep(ctx, f.untilRelist())
	}
}

// untilRelist is a random wait before a list, which spreads the lists of many
// nodes. Who has nothing yet does not wait for long.
func (f *follower) untilRelist() time.Duration {
	return rand.N(min(relistWithin+time.Duration(f.size/pageSize)*relistPerPage, relistAtMost))
}

// turn lists once, and follows from there until it is time to list again.
func (f *follower) turn(ctx context.Context) error {
	if err := f.store.ready(ctx); err != nil {
		return err
	}
	f.newKeys, f.unopened = f.store.codec.newKeys(), f.store.unopened.count.Load()
	batch, now, err := f.store.list(ctx)
	if err != nil {
		return err
	}
	batch.Restored = f.restored || f.contradicts(now)
	f.past, f.size, f.restored = now, len(batch.Events), false
	if err := f.give(batch); err != nil {
		return err
	}
	return f.follow(ctx)
}

// follow watches from where we are, again whenever a watch ends.
func (f *follower) follow(ctx context.Context) error {
	var wait backoff
	for {
		began := time.Now()
		err := f.stream(ctx)
		switch {
		case errors.Is(err, errLeft), errors.Is(err, errHistoryLost), errors.Is(err, errNewKeys), fatal(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errSilent):
			f.store.log.DebugContext(ctx, "watch has gone silent, watching again", "revision", f.last)
		default:
			f.store.suffered(ctx, "watching", err)
		}
		if time.Since(began) > silence/2 {
			wait = backoff{}
		}
		sleep(ctx, wait.next())
	}
}

// stream is one watch. It ends where the watch does, or when nothing was heard
// for too long: a connection that swallows everything tells of no error.
func (f *follower) stream(ctx context.Context) error {
	client, err := request(ctx, f.store.watch, dialTimeout, func(_ context.Context, c *clientv3.Client) (*clientv3.Client, error) {
		return c, nil
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	// Watch itself waits until the server answers.
	silent := time.AfterFunc(f.store.silence, cancel)
	defer silent.Stop()
	responses := client.Watch(ctx, f.store.keys.all(),
		clientv3.WithPrefix(), clientv3.WithRev(f.last+1), clientv3.WithCreatedNotify(),
		clientv3.WithProgressNotify(), clientv3.WithFragment())
	progress := time.NewTicker(progressEvery)
	defer progress.Stop()
	for ended := errUnanswered; ; {
		select {
		case resp, ok := <-responses:
			if !ok {
				return ended
			}
			ended = errSilent
			silent.Stop() // while the consumer works
			if err := f.hear(ctx, resp); err != nil {
				return err
			}
			silent.Reset(f.store.silence)
		case <-f.newKeys:
			f.newKeys = f.store.codec.newKeys()
			if f.store.unopened.count.Load() != f.unopened {
				return errNewKeys
			}
		case <-progress.C:
			// A supplement: etcd does not answer on a quiet store.
			_ = client.RequestProgress(ctx)
		}
	}
}

// hear passes on one response of a watch.
func (f *follower) hear(ctx context.Context, resp clientv3.WatchResponse) error {
	switch err := resp.Err(); {
	case errors.Is(err, rpctypes.ErrCompacted):
		return errHistoryLost
	case err != nil:
		return fmt.Errorf("watching: %w", err)
	case f.elsewhere(resp.Header.ClusterId):
		return f.otherHistory("this is another cluster")
	case resp.Created || resp.Header.Revision < f.last:
		return f.created(ctx, resp.Header.Revision)
	}
	f.store.worked()
	if resp.IsProgressNotify() {
		return f.give(coordinator.Batch{Revision: max(f.last, resp.Header.Revision)})
	}
	return f.changes(ctx, resp.Events)
}

// created passes on a sign of life. A server whose revision is below ours is
// behind, or was restored from a backup: then our future is not its future.
func (f *follower) created(ctx context.Context, revision int64) error {
	if revision < f.last {
		resp, err := f.store.get(ctx, f.store.keys.schema(), clientv3.WithCountOnly())
		if err != nil {
			return err
		}
		if resp.Header.Revision < f.last {
			return f.otherHistory("its revisions went back")
		}
	}
	f.store.worked()
	return f.give(coordinator.Batch{Revision: f.last})
}

// otherHistory gives up a history that is not the cluster's any more. The
// library goes on watching over a restart of the servers and does not notice.
func (f *follower) otherHistory(how string) error {
	f.restored = true
	return fmt.Errorf("%w: etcd was restored from a backup: %s", errHistoryLost, how)
}

// changes yields one batch for each revision: a response can hold several, but
// never a part of one. A revision without a record of ours is a sign of life.
func (f *follower) changes(ctx context.Context, events []*clientv3.Event) error {
	for len(events) > 0 {
		revision := events[0].Kv.ModRevision
		batch := coordinator.Batch{Revision: revision}
		for len(events) > 0 && events[0].Kv.ModRevision == revision {
			if string(events[0].Kv.Key) == f.store.keys.heartbeat() && !f.meet(events[0].Kv) {
				return f.otherHistory("heartbeats are missing")
			}
			if string(events[0].Kv.Key) == f.store.keys.schema() {
				if err := f.store.heardSchema(ctx, events[0].Kv); err != nil {
					return err
				}
			}
			if e, ok := f.store.event(ctx, events[0].Kv, events[0].Type == clientv3.EventTypeDelete); ok {
				batch.Events = append(batch.Events, e)
			}
			events = events[1:]
		}
		if err := f.give(batch); err != nil {
			return err
		}
	}
	return nil
}
