package memory

import (
	"context"
	"iter"
	"time"

	"freshet/coordinator"
)

// lifeEvery is the pause between two signs of life of a quiet watch: a fifth of a
// session's life, 3 s by default.
func (c *Cluster) lifeEvery() time.Duration { return c.config.SessionTTL / 5 }

// Watch yields a snapshot and every change after it. A slow consumer holds up
// nobody: it reads on from the history, or from a new snapshot.
func (s *Store) Watch(ctx context.Context) iter.Seq2[coordinator.Batch, error] {
	return func(yield func(coordinator.Batch, error) bool) {
		w := watch{store: s, next: time.Now().Add(s.cluster.lifeEvery())}
		for {
			batch, ok := w.wait(ctx)
			if !ok {
				yield(coordinator.Batch{}, ctx.Err())
				return
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// watch is one consumer's place in the history.
type watch struct {
	store *Store
	began bool
	at    int64     // revision reached
	past  int       // restores before what was handed out
	next  time.Time // next sign of life
}

// wait returns the next batch; not ok, when ctx has ended.
func (w *watch) wait(ctx context.Context) (coordinator.Batch, bool) {
	for ctx.Err() == nil {
		batch, ok, changed, at := w.look()
		if ok {
			return batch, true
		}
		sleep(ctx.Done(), changed, at)
	}
	return coordinator.Batch{}, false
}

// look returns the next batch if there is one, else what to wait for.
func (w *watch) look() (batch coordinator.Batch, ok bool, changed <-chan struct{}, at time.Time) {
	c := w.store.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	if w.store.cut {
		return batch, false, c.changed, at
	}
	if restored := w.began && w.past != c.restores; restored || !w.began || w.at < c.compacted {
		w.began, w.past = true, c.restores
		batch = c.snapshotLocked()
		batch.Restored = restored
		return w.reach(batch), true, nil, at
	}
	if batch, ok = c.changeAfterLocked(w.at); ok {
		return w.reach(batch), true, nil, at
	}
	if !time.Now().Before(w.next) {
		return w.reach(coordinator.Batch{Revision: c.revision}), true, nil, at
	}
	return batch, false, c.changed, earliest(c.dueLocked(), w.next)
}

// reach notes that a batch is handed out.
func (w *watch) reach(b coordinator.Batch) coordinator.Batch {
	w.at = b.Revision
	w.next = time.Now().Add(w.store.cluster.lifeEvery())
	return b
}
