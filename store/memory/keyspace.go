package memory

import (
	"maps"
	"slices"
	"sort"

	"freshet/coordinator"
)

// entry is what is kept under one key.
type entry struct {
	record  coordinator.Record // its own copy, without a revision; nil for an election key
	create  int64
	mod     int64
	session *session // whose end removes it; nil: none
}

// change is what one revision did.
type change struct {
	revision int64
	events   []coordinator.Event // the cluster's own copies
}

// tx collects the changes of one revision. It is used with cluster.mu held.
type tx struct {
	cluster  *Cluster
	revision int64
	events   []coordinator.Event
	touched  bool
	moved    bool // a key that hangs on a session was written or deleted
}

// updateLocked applies do as one revision, unless it changes nothing, and
// returns the revision reached.
func (c *Cluster) updateLocked(do func(t *tx)) int64 {
	t := &tx{cluster: c, revision: c.revision + 1}
	do(t)
	if !t.touched {
		return c.revision
	}
	c.revision = t.revision
	if len(t.events) > 0 {
		c.history = append(c.history, change{t.revision, t.events})
		c.trimLocked()
	}
	if t.moved {
		c.wakeLocked()
	} else {
		c.newsLocked()
	}
	return c.revision
}

// trimLocked forgets the older half of a history that has become too long.
func (c *Cluster) trimLocked() {
	if len(c.history) <= c.config.History {
		return
	}
	half := len(c.history) / 2
	c.compacted = c.history[half-1].revision
	c.history = slices.Clone(c.history[half:])
}

// newsLocked wakes who follows the records. Sessions sleep on: a quiet cluster
// writes a heartbeat every three seconds, weeks of it in a test.
func (c *Cluster) newsLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wakeLocked wakes everybody.
func (c *Cluster) wakeLocked() {
	c.newsLocked()
	close(c.moved)
	c.moved = make(chan struct{})
}

// put writes a record under its own key.
func (t *tx) put(record coordinator.Record) { t.putUnder(nil, record) }

// putUnder writes a record that goes when the session ends.
func (t *tx) putUnder(s *session, record coordinator.Record) {
	record = copyOf(record, 0)
	k := keyOf(record)
	t.set(k, &entry{record: record, session: s})
	if k.kind != kindAudit {
		t.events = append(t.events, coordinator.Event{Record: record})
	}
	if at := t.cluster.expiryOf(record); !at.IsZero() {
		t.cluster.expiries.add(expiry{at, k, t.revision})
	}
}

// set writes an entry, record or not.
func (t *tx) set(k key, e *entry) {
	e.create, e.mod = t.revision, t.revision
	if old := t.cluster.keys[k.kind][k.id]; old != nil {
		e.create = old.create
	}
	if t.cluster.keys[k.kind] == nil {
		t.cluster.keys[k.kind] = map[string]*entry{}
	}
	t.cluster.keys[k.kind][k.id] = e
	t.note(k, e)
}

// delete removes a key, if there is one.
func (t *tx) delete(k key) {
	e := t.cluster.keys[k.kind][k.id]
	if e == nil {
		return
	}
	delete(t.cluster.keys[k.kind], k.id)
	t.note(k, e)
	if e.record != nil && k.kind != kindAudit {
		t.events = append(t.events, coordinator.Event{Record: identityOf(e.record), Deleted: true})
	}
}

// deleteAll removes the keys of one kind whose record is chosen.
func (t *tx) deleteAll(of kind, chosen func(coordinator.Record) bool) {
	for _, id := range slices.Sorted(maps.Keys(t.cluster.keys[of])) {
		if chosen(t.cluster.keys[of][id].record) {
			t.delete(key{of, id})
		}
	}
}

func (t *tx) note(k key, e *entry) {
	t.touched = true
	t.moved = t.moved || e.session != nil
	if k.kind == kindApp {
		t.cluster.apps = t.revision
	}
}

// modLocked returns the revision that last changed a key, 0 where there is none.
func (c *Cluster) modLocked(k key) int64 {
	if e := c.keys[k.kind][k.id]; e != nil {
		return e.mod
	}
	return 0
}

// recordAt returns a copy of the record under a key with its revision; the zero
// record where there is none.
func recordAt[R coordinator.Record](c *Cluster, k key) (record R, found bool) {
	e := c.keys[k.kind][k.id]
	if e == nil {
		return record, false
	}
	return copyOf(e.record, e.mod).(R), true
}

// snapshotLocked returns everything as the first batch of a watch.
func (c *Cluster) snapshotLocked() coordinator.Batch {
	b := coordinator.Batch{Revision: c.revision, Snapshot: true}
	for _, of := range slices.Sorted(maps.Keys(c.keys)) {
		for _, id := range slices.Sorted(maps.Keys(c.keys[of])) {
			if e := c.keys[of][id]; e.record != nil && of != kindAudit {
				b.Events = append(b.Events, coordinator.Event{Record: copyOf(e.record, e.mod)})
			}
		}
	}
	return b
}

// changeAfterLocked returns a copy of the first change after a revision.
func (c *Cluster) changeAfterLocked(revision int64) (coordinator.Batch, bool) {
	i := sort.Search(len(c.history), func(i int) bool { return c.history[i].revision > revision })
	if i == len(c.history) {
		return coordinator.Batch{}, false
	}
	b := coordinator.Batch{Revision: c.history[i].revision}
	for _, e := range c.history[i].events {
		at := b.Revision
		if e.Deleted {
			at = 0
		}
		b.Events = append(b.Events, coordinator.Event{Record: copyOf(e.Record, at), Deleted: e.Deleted})
	}
	return b, true
}
