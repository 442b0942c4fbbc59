package coordinator

import (
	"context"
	"slices"
	"time"
)

// Saved is what a node keeps on its own disk of what it knows: enough to serve
// reads while the store cannot be reached, and nothing that could be refreshed
// with.
type Saved struct {
	// Records are the apps, states, values, clients, the pause and the
	// fingerprint key: no credential and no grant.
	Records  []Record
	Revision int64
	Heard    time.Time     // when the store was heard last, by this node's clock; zero: nothing is saved
	Ahead    time.Duration // by how much the refresher's clock ran ahead of this node's
}

// serves reports whether it holds a value. One that holds none would make a node
// ready that can answer nothing.
func (s Saved) serves() bool {
	return slices.ContainsFunc(s.Records, func(r Record) bool {
		_, ok := r.(Token)
		return ok
	})
}

// Snapshot keeps one Saved on the local disk.
type Snapshot interface {
	// Load returns what was saved last, or the zero Saved. The error says in one
	// sentence why what is there cannot be used.
	Load() (Saved, error)
	// Save replaces it, whole or not at all.
	Save(s Saved) error
}

const (
	// recallAfter is how long the store is given to answer at the start: in an
	// ordinary restart nothing old is shown.
	recallAfter = time.Second

	// recallLimit is how long after the store was heard last a snapshot admits
	// clients. Keys that were deleted since are not known to be, so this bounds
	// how long one of them still opens something.
	recallLimit = 24 * time.Hour

	// saveEvery is the least pause between two snapshots. A large one costs
	// more, and at most one part in saveShare of a processor.
	saveEvery = 5 * time.Second
	saveShare = 20

	saveRetry = time.Minute // after one that failed
)

// recall serves from the snapshot on disk where the store does not answer at
// once. It ends when there is nothing more to do about it.
func (n *Node) recall(ctx context.Context) {
	if n.snapshot == nil {
		return
	}
	patience := time.NewTimer(recallAfter)
	defer patience.Stop()
	saved, err := n.snapshot.Load()
	switch age := n.now().Sub(saved.Heard); {
	case err != nil:
		n.log.WarnContext(ctx, "the snapshot on disk is not used", "err", err)
		return
	case saved.Heard.IsZero(), !saved.serves():
		return
	case age > recallLimit:
		n.log.WarnContext(ctx, "the snapshot on disk is too old to be used", "age", age.Round(time.Second), "limit", recallLimit)
		return
	}
	select {
	case <-patience.C:
	case <-ctx.Done():
		return
	}
	if !n.resume(ctx, saved) {
		return
	}
	limit := time.NewTimer(recallLimit - max(n.now().Sub(saved.Heard), 0))
	defer limit.Stop()
	select {
	case <-limit.C:
		n.forgetClients(ctx)
	case <-ctx.Done():
	}
}

// resume takes in what was saved, unless the store was quicker. Neither the
// leader nor a write may build on it, so the cache is not synced by it and has
// reached no revision.
func (n *Node) resume(ctx context.Context, saved Saved) bool {
	n.following.Lock()
	defer n.following.Unlock()
	if n.cache.synced.Load() {
		return false
	}
	batch := Batch{Revision: saved.Revision, Snapshot: true}
	for _, record := range saved.Records {
		batch.Events = append(batch.Events, Event{Record: record})
	}
	now := n.now()
	// A clock that was set back since makes what has expired look alive.
	n.skew.assume(max(saved.Ahead, saved.Heard.Sub(now)))
	n.heard.Store(min(0, int64(saved.Heard.Sub(n.born))))
	t := n.takeIn(ctx, batch, &touched{old: true})
	n.recalled.Store(true)
	n.cache.moved.fire()
	n.log.WarnContext(ctx, "etcd does not answer: serving what the snapshot on disk holds", "revision", saved.Revision,
		"tokens", len(t.tokens), "age", now.Sub(saved.Heard).Round(time.Second))
	return true
}

// forgetClients ends the admission of clients by a snapshot.
func (n *Node) forgetClients(ctx context.Context) {
	n.following.Lock()
	defer n.following.Unlock()
	if !n.recalled.Load() {
		return
	}
	n.cache.mu.Lock()
	clear(n.cache.records.clients)
	n.cache.mu.Unlock()
	n.cache.indexClients()
	n.changes.tell(true)
	n.log.ErrorContext(ctx, "etcd is away for too long: the clients of the snapshot are not admitted any more", "limit", recallLimit)
}

// disown forgets what a snapshot brought if the first list from the store shows
// that it was another cluster's: its versions have nothing to do with these.
func (n *Node) disown(ctx context.Context, batch Batch) {
	var ours, theirs FingerprintKey
	n.cache.reading(func(r *records) { ours = r.fingerprint })
	for _, event := range batch.Events {
		if key, ok := event.Record.(FingerprintKey); ok {
			theirs = key
		}
	}
	if ours.Key.Equal(theirs.Key) || (batch.LeftOut && theirs.Key.IsZero()) {
		return
	}
	n.log.ErrorContext(ctx, "the snapshot on disk was another cluster's and is forgotten")
	for name, cell := range n.cache.cells.all() {
		cell.highest = 0
		cell.former.Store(nil)
		n.cache.values.forget(name, cell, 0)
		cell.view.Store(nil)
		cell.changed.fire()
		n.changes.lose(name, cell)
	}
}

// remember saves a snapshot whenever what it holds has changed, at most every
// few seconds, and when ctx ends, so that it tells when the store was heard last.
func (n *Node) remember(ctx context.Context) {
	if n.snapshot == nil {
		return
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for ctx.Err() == nil {
		moved := n.cache.moved.wait()
		if !n.unsaved.Load() {
			select {
			case <-moved:
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-pause.C:
			pause.Reset(n.save(ctx))
		case <-ctx.Done():
		}
	}
	if n.cache.synced.Load() {
		n.save(ctx)
	}
}

// save saves a snapshot and returns how long to wait before the next.
func (n *Node) save(ctx context.Context) time.Duration {
	n.unsaved.Store(false)
	began := time.Now()
	if err := n.snapshot.Save(n.saved()); err != nil {
		n.unsaved.Store(true)
		n.log.WarnContext(ctx, "the snapshot cannot be saved", "err", err)
		return saveRetry
	}
	took := time.Since(began)
	n.log.DebugContext(ctx, "snapshot saved", "took", took)
	return max(saveEvery, saveShare*took)
}

// saved puts together what is saved: what is shown now, of one moment.
func (n *Node) saved() Saved {
	n.following.Lock()
	defer n.following.Unlock()
	s := Saved{
		Revision: n.cache.applied.Load(),
		Heard:    n.now().Add(-n.Health().Age).Round(0),
		Ahead:    time.Duration(n.skew.ahead.Load()),
	}
	n.cache.reading(func(r *records) { s.Records = r.saved() })
	for _, cell := range n.cache.cells.all() {
		if v := cell.view.Load(); v != nil && v.Token != nil {
			s.Records = append(s.Records, *v.Token)
		}
	}
	return s
}

// saved lists the records but for values. Outcomes and verdicts are left out:
// they tell of the past, and are answers that only a present may give.
func (r *records) saved() []Record {
	saved := make([]Record, 0, len(r.apps)+2*len(r.states)+len(r.clients)+2)
	for _, app := range r.apps {
		saved = append(saved, app)
	}
	for _, state := range r.states {
		if !state.Deleted {
			state.Outcomes, state.Verdict = nil, Verdict{}
			saved = append(saved, state)
		}
	}
	for _, client := range r.clients {
		saved = append(saved, client)
	}
	if r.paused != nil {
		saved = append(saved, *r.paused)
	}
	return append(saved, r.fingerprint)
}
