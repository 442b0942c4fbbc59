package coordinator

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"freshet/tracing"
)

// follow keeps the cache at what the store says, until ctx ends. It is the only
// way by which a value reaches the cache, on the refresher too.
func (n *Node) follow(ctx context.Context) error {
	for batch, err := range n.store.Watch(ctx) {
		if err != nil {
			return err
		}
		n.apply(ctx, batch)
	}
	return ctx.Err()
}

// apply takes in one batch of the store.
func (n *Node) apply(ctx context.Context, batch Batch) {
	n.following.Lock()
	defer n.following.Unlock()
	n.heard.Store(int64(n.age()))
	remake := n.remake.Swap(false)
	if len(batch.Events) == 0 && !batch.Snapshot && !remake {
		return
	}
	if batch.Snapshot && n.recalled.Load() {
		n.disown(ctx, batch)
	}
	t := n.takeIn(ctx, batch, &touched{all: remake})
	n.witness(batch)
	n.cache.applied.Store(batch.Revision)
	if len(t.apps) > 0 {
		n.changed.Store(batch.Revision)
	}
	if batch.Snapshot {
		n.cache.listed.Store(true)
		n.synced(ctx, batch, t)
	}
	if len(t.apps) > 0 || t.clients || t.all {
		n.unsaved.Store(true)
	}
	n.inbox.put(t)
	n.cache.moved.fire()
	n.changes.tell(t.clients)
}

// witness remembers the heartbeat of a batch, if there is one.
func (n *Node) witness(batch Batch) {
	var beat Heartbeat
	n.cache.reading(func(r *records) { beat = r.heartbeat })
	n.changes.witness(beat, batch.Restored)
}

// synced notes that all there is was read from the store.
func (n *Node) synced(ctx context.Context, batch Batch, t *touched) {
	first := !n.cache.synced.Swap(true) // before the other flag falls, or the node would be unready in between
	if recalled := n.recalled.Swap(false); first {
		n.log.InfoContext(ctx, "synced", "revision", batch.Revision, "tokens", len(t.tokens), "served_from_snapshot_before", recalled)
	}
}

// takeIn changes the cache by one batch: first all records, then the views they
// touch, so that nobody sees half a revision. The caller holds following.
func (n *Node) takeIn(ctx context.Context, batch Batch, t *touched) *touched {
	t.restored, t.leftOut = batch.Restored, batch.LeftOut
	t.tokens, t.apps = map[Name]*Token{}, map[string]struct{}{}
	t.now = n.mark()
	n.cache.mu.Lock()
	if batch.Snapshot {
		n.cache.startOver(t)
	}
	for _, event := range batch.Events {
		n.cache.take(event, t)
	}
	n.cache.addHeirs(t)
	n.cache.values.useKey(n.cache.records.fingerprint)
	n.cache.mu.Unlock()
	n.cache.named.mark(t.identities, t.snapshot)

	if batch.Restored {
		n.notice(ctx, t.grants)
	}
	n.measureSkew(t)
	if t.clients {
		n.cache.indexClients()
	}
	for name := range t.views(n.cache) {
		n.show(ctx, name, t)
	}
	return t
}

// touched collects what one batch changed.
type touched struct {
	apps      map[string]struct{} // whose schedule may have changed
	tokens    map[Name]*Token     // :: name → new value; nil: deleted
	states    []Name
	settings  []string // apps whose specification changed
	all       bool     // every view is concerned
	snapshot  bool
	old       bool // it was applied by a former process
	clients   bool
	heartbeat bool

	identities []string // apps that their platforms may know by another identity
	restored   bool
	leftOut    bool
	intents    map[groupID]seenIntent // before a snapshot
	grants     map[string]Grant       // before a snapshot
	now        mark                   // when it is taken in
}

// addHeirs adds the apps that inherit from one that was changed. The caller holds mu.
func (c *cache) addHeirs(t *touched) {
	if t.all {
		return
	}
	maps.Copy(t.apps, c.records.heirs(slices.Values(t.identities)))
}

// startOver forgets what a snapshot will bring anew. When an intent was first
// seen is kept, since the wait before a takeover must not begin again, and what
// the clocks showed with each state.
func (c *cache) startOver(t *touched) {
	t.intents, t.grants = c.records.intents, c.records.grants
	seen, fingerprint := c.records.seen, c.records.fingerprint
	c.records = newRecords()
	c.records.seen = seen
	if t.leftOut {
		c.records.fingerprint = fingerprint
	}
	t.all, t.snapshot, t.clients = true, true, true
}

// take changes the records by one event. The caller holds mu.
func (c *cache) take(event Event, t *touched) {
	r := &c.records
	switch record := event.Record.(type) {
	case App:
		r.setApp(record, event.Deleted)
		t.settings = append(t.settings, record.Name)
		t.apps[record.Name] = struct{}{}
		t.identities = append(t.identities, record.Name)
	case Credentials:
		set(r.credentials, record.App, record, event.Deleted)
		t.identities = append(t.identities, record.App)
		t.apps[record.App] = struct{}{}
	case Grant:
		set(r.grants, record.App, record, event.Deleted)
		t.apps[record.App] = struct{}{}
	case State:
		set(r.states, record.Name, record, event.Deleted)
		r.lives[record.Name.App] = max(r.lives[record.Name.App], record.Incarnation)
		set(r.seen, record.Name, r.seen[record.Name].next(record, t.now), event.Deleted)
		t.states = append(t.states, record.Name)
		t.apps[record.Name.App] = struct{}{}
	case Token:
		t.tokens[record.Name] = nil
		if !event.Deleted {
			t.tokens[record.Name] = &record
		}
		t.apps[record.Name.App] = struct{}{}
	case Intent:
		c.takeIntent(record, event.Deleted, t)
		t.apps[record.App] = struct{}{}
	case Salvage:
		id := groupID{record.App, record.Group}
		kept := slices.DeleteFunc(slices.Clone(r.salvage[id]), func(s Salvage) bool { return s.Attempt == record.Attempt })
		if !event.Deleted {
			kept = append(kept, record)
		}
		set(r.salvage, id, kept, len(kept) == 0)
		t.apps[record.App] = struct{}{}
	case Request:
		set(r.requests, record.Name, record, event.Deleted)
		t.apps[record.Name.App] = struct{}{}
	case Input:
		set(r.inputs, record.Name, record, event.Deleted)
		t.apps[record.Name.App] = struct{}{}
	default:
		c.takeCluster(event, t)
	}
}

// takeCluster changes the records that belong to no app.
func (c *cache) takeCluster(event Event, t *touched) {
	r := &c.records
	switch record := event.Record.(type) {
	case Budget:
		set(r.budgets, budgetID{record.App, record.Window}, record, event.Deleted)
	case Client:
		set(r.clients, record.Name, record, event.Deleted)
		t.clients = true
	case NodeInfo:
		set(r.nodes, record.Name, record, event.Deleted)
	case AppliedFile:
		set(r.files, record.File, record, event.Deleted)
	case Bar:
		set(r.bars, barID{record.App, record.Egress}, record, event.Deleted)
		t.apps[record.App] = struct{}{}
	case Elected:
		r.elected = record
	case Heartbeat:
		r.heartbeat = record
		t.heartbeat = !t.snapshot && !event.Deleted
	case Paused:
		r.paused = &record
		if event.Deleted {
			r.paused = nil
		}
		t.all = true
	case FingerprintKey:
		r.fingerprint = record
		t.all = true
	}
}

func (c *cache) takeIntent(intent Intent, deleted bool, t *touched) {
	id := groupID{intent.App, intent.Group}
	if deleted {
		delete(c.records.intents, id)
		return
	}
	known, ok := t.intents[id]
	if !ok || known.Revision != intent.Revision {
		known = seenIntent{Intent: intent, seen: t.now.at}
	}
	c.records.intents[id] = known
}

func set[K comparable, V any](m map[K]V, key K, value V, deleted bool) {
	if deleted {
		delete(m, key)
		return
	}
	m[key] = value
}

// indexClients makes the table by which client keys are found.
func (c *cache) indexClients() {
	index := map[Digest]Client{}
	c.reading(func(r *records) {
		for _, client := range r.clients {
			index[client.Digest] = client
		}
	})
	c.clients.Store(&index)
}

// views yields the names whose views must be made anew.
func (t *touched) views(c *cache) map[Name]struct{} {
	names := map[Name]struct{}{}
	for name := range t.tokens {
		names[name] = struct{}{}
	}
	for _, name := range t.states {
		names[name] = struct{}{}
	}
	if t.all {
		for name := range c.cells.all() {
			names[name] = struct{}{}
		}
		return names
	}
	c.reading(func(r *records) {
		for _, app := range t.settings {
			for _, name := range r.apps[app].TokenNames() {
				names[name] = struct{}{}
			}
		}
	})
	return names
}

// show makes the view of a token anew and wakes those who wait for it.
func (n *Node) show(ctx context.Context, name Name, t *touched) {
	cell := n.cache.cell(name)
	old := cell.view.Load()
	next := n.viewOf(ctx, name, old, cell, t)
	n.cache.values.follow(name, cell, old, next, t)
	if next == nil {
		if old != nil {
			cell.view.Store(nil)
			cell.changed.fire()
			n.note(cell, name, old, nil, t)
		}
		return
	}
	if next.Token != nil && (old == nil || old.Token != next.Token) {
		n.noteValue(ctx, cell, next, t.old)
	}
	if n.render != nil {
		next.Rendered = n.render(next)
	}
	cell.view.Store(next)
	cell.changed.fire()
	n.note(cell, name, old, next, t)
}

// viewOf puts a view together; nil means that the token does not exist.
func (n *Node) viewOf(ctx context.Context, name Name, old *View, cell *cell, t *touched) *View {
	next := &View{Name: name}
	var exists bool
	var key FingerprintKey
	n.cache.reading(func(r *records) {
		next.State, exists = r.states[name]
		next.Paused = r.paused != nil || r.apps[name.App].Paused
		next.pushed = n.isPushed(r, name.App)
		key = r.fingerprint
	})
	if !exists || next.State.Deleted {
		return nil
	}
	if next.State.Version < cell.highest {
		n.recalls.floor(name, cell.highest) // a restored store has forgotten it
	}
	if n.Room().Full() {
		next.State.Reason = ReasonStoreFull
	}
	next.Token = n.valueOf(ctx, name, old, cell, t)
	next.seen = t.now.of(next.State.Issued)
	if old != nil && old.Version() == next.Version() {
		next.seen = old.seen
	}
	if next.Token != nil {
		next.Fingerprint = key.Of(next.Token.Value)
	}
	return next
}

// valueOf returns the value to show: the new one, unless it is older than what
// this node has shown already, else the one held.
func (n *Node) valueOf(ctx context.Context, name Name, old *View, cell *cell, t *touched) *Token {
	var held *Token
	if old != nil {
		held = old.Token
	}
	token, changed := t.tokens[name]
	switch {
	case !changed && t.snapshot && !t.restored && !t.leftOut:
		return nil
	case !changed:
		return held
	case token != nil && token.Version < cell.highest:
		n.log.ErrorContext(ctx, "an older version was refused", "token", name.String(), "version", token.Version, "shown", cell.highest)
		return held
	}
	return token
}

// noteValue remembers a value that is shown for the first time, and joins its
// refresh's trace, unless a former process has done so.
func (n *Node) noteValue(ctx context.Context, cell *cell, v *View, old bool) {
	if v.Token.Version <= cell.highest && cell.highest > 0 {
		return
	}
	cell.highest = v.Token.Version
	former := []formerValue{{v.Fingerprint, v.Token.Version}}
	if known := cell.former.Load(); known != nil {
		former = append(former, *known...)
	}
	former = former[:min(len(former), formerValues)]
	cell.former.Store(&former)
	if old {
		return
	}
	_, span := n.tracer.Start(tracing.Join(ctx, v.Token.Traceparent), "applied",
		slog.Group("freshet", slog.String("node", n.name), slog.String("token", v.Name.String()), slog.Int64("version", v.Token.Version)))
	span.End(nil)
	n.log.DebugContext(ctx, "applied", "token", v.Name.String(), "version", v.Token.Version, "expires", v.Token.Expires)
}
