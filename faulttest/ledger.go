package faulttest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"freshet/coordinator"
)

// Ledger is what was written to a cluster's etcd, in order: which leaderships
// there were, which attempts, which values, and what of it must never be. It is
// safe for concurrent use.
type Ledger struct {
	mu        sync.Mutex
	revision  int64
	began     bool
	holes     int
	elections []Election
	attempts  []*Attempt
	open      map[string]*Attempt                      // :: app/group → the one whose intent is there
	values    map[coordinator.Name][]Value             // in order of publication
	budgets   map[string]map[string]coordinator.Budget // :: app → window → as last written
	grants    map[string]coordinator.Grant             // :: app → as last written
	salvage   map[string]coordinator.Salvage           // :: attempt → its result, while it is there
	salvaged  int
	wrong     []string
}

// Election is the beginning of a leadership.
type Election struct {
	Epoch coordinator.Epoch
	Node  string
	At    time.Time // when we heard of it
}

// Attempt is one intent.
type Attempt struct {
	App, Group string
	ID         string
	Node       string
	Began      time.Time
	Timeout    time.Duration
	Heard      time.Time // when we heard of it
	Ended      time.Time // when we heard that it was gone or taken over; zero: it is open
}

// Deadline is when nobody counts on the attempt's call any more.
func (a Attempt) Deadline() time.Time { return a.Began.Add(a.Timeout) }

// Value is one version that was published.
type Value struct {
	Version int64
	Issued  time.Time
	Expires time.Time
	Epoch   coordinator.Epoch
	Heard   time.Time
	secret  coordinator.Secret
}

// NewLedger returns an empty one.
func NewLedger() *Ledger {
	return &Ledger{
		open: map[string]*Attempt{}, values: map[coordinator.Name][]Value{},
		budgets: map[string]map[string]coordinator.Budget{},
		grants:  map[string]coordinator.Grant{}, salvage: map[string]coordinator.Salvage{},
	}
}

// Source is one of several watches of the same etcd.
type Source struct {
	ledger  *Ledger
	pending *coordinator.Batch // a snapshot that leaves a hole unless another source fills it
}

// Source returns a new one. With several of them no member of etcd that is stopped
// or slow holds the ledger up.
func (l *Ledger) Source() *Source { return &Source{ledger: l} }

// Keep writes down a batch of a coordinator.Store's Watch, unless another source
// was quicker.
func (s *Source) Keep(b coordinator.Batch) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if s.pending != nil && s.pending.Revision > s.ledger.revision {
		s.ledger.keepLocked(*s.pending)
	}
	s.pending = nil
	switch {
	case b.Revision <= s.ledger.revision:
	case b.Snapshot && s.ledger.began:
		s.pending = &b
	default:
		s.ledger.keepLocked(b)
	}
}

func (l *Ledger) keepLocked(b coordinator.Batch) {
	if b.Snapshot && l.began {
		l.holes++ // what was written between is not known
	}
	l.began = l.began || b.Snapshot
	l.revision = b.Revision
	if b.Snapshot {
		l.closeMissing(b)
	}
	saved := !b.Snapshot && isSalvaged(b)
	if saved {
		l.salvaged++
	}
	saved = saved || applies(b) || endsByIntent(b)
	for _, event := range b.Events {
		l.fenced(b, event, saved)
		l.event(b, event)
	}
	if !b.Snapshot {
		l.charged(b)
	}
}

// closeMissing ends the attempts whose intents a new snapshot does not hold.
func (l *Ledger) closeMissing(b coordinator.Batch) {
	there := map[string]bool{}
	for _, event := range b.Events {
		if intent, ok := event.Record.(coordinator.Intent); ok {
			there[intent.Attempt] = true
		}
	}
	for id, attempt := range l.open {
		if !there[attempt.ID] {
			attempt.Ended = time.Now()
			delete(l.open, id)
		}
	}
}

// fenced complains of a write that carries an epoch although a later leadership
// had begun. A result that its owner saved by the intent alone, after it was
// deposed, is none of them; it says that it was salvaged, or see endsByIntent.
func (l *Ledger) fenced(b coordinator.Batch, e coordinator.Event, saved bool) {
	epoch, newest := epochOf(e), l.newestLocked().Epoch
	_, elected := e.Record.(coordinator.Elected)
	if elected || epoch == 0 || epoch >= newest || b.Snapshot || saved {
		return
	}
	l.complain("revision %d: a %T of epoch %d, after epoch %d had begun", b.Revision, e.Record, epoch, newest)
}

func (l *Ledger) complain(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

func (l *Ledger) event(b coordinator.Batch, e coordinator.Event) {
	switch record := e.Record.(type) {
	case coordinator.Elected:
		if record.Epoch > l.newestLocked().Epoch {
			l.elections = append(l.elections, Election{Epoch: record.Epoch, Node: record.Node, At: time.Now()})
		}
	case coordinator.Intent:
		l.intent(record, e.Deleted)
	case coordinator.Token:
		if !e.Deleted {
			l.value(b.Revision, record)
		}
	case coordinator.Grant:
		if !e.Deleted {
			l.grant(b.Revision, record)
		}
	case coordinator.Salvage:
		if l.salvage[record.Attempt] = record; e.Deleted {
			delete(l.salvage, record.Attempt)
		}
	case coordinator.Budget:
		if !e.Deleted && b.Snapshot {
			l.budgetsOf(record.App)[record.Window] = record
		}
	}
}

func (l *Ledger) intent(i coordinator.Intent, deleted bool) {
	id := i.App + "/" + i.Group
	former := l.open[id]
	if former != nil && (deleted || former.ID != i.Attempt) {
		former.Ended = time.Now()
		delete(l.open, id)
	}
	if deleted || former != nil && former.ID == i.Attempt {
		return
	}
	attempt := &Attempt{
		App: i.App, Group: i.Group, ID: i.Attempt, Node: i.Node, Began: i.Began, Timeout: i.Timeout, Heard: time.Now(),
	}
	l.open[id] = attempt
	l.attempts = append(l.attempts, attempt)
}

// value writes a version down. There is one value of each, and they follow one
// another; the same one may be written again with another expiry.
func (l *Ledger) value(revision int64, t coordinator.Token) {
	known := l.values[t.Name]
	v := Value{Version: t.Version, Issued: t.Issued, Expires: t.Expires, Epoch: t.Epoch, Heard: time.Now(), secret: t.Value}
	if len(known) == 0 || t.Version == known[len(known)-1].Version+1 {
		l.values[t.Name] = append(known, v)
		return
	}
	last := &known[len(known)-1]
	switch {
	case t.Version > last.Version && l.holes > 0:
		l.values[t.Name] = append(known, v)
	case t.Version != last.Version:
		l.complain("revision %d: version %d of %s follows version %d", revision, t.Version, t.Name, last.Version)
	case !t.Value.Equal(last.secret):
		l.complain("revision %d: version %d of %s has a second value", revision, t.Version, t.Name)
	default:
		last.Expires = t.Expires
	}
}

// grant writes a refresh token down. Its generations follow one another, one value each.
func (l *Ledger) grant(revision int64, g coordinator.Grant) {
	before, known := l.grants[g.App]
	l.grants[g.App] = g
	switch {
	case !known || l.holes > 0 || g.Incarnation != before.Incarnation || g.Generation == before.Generation+1:
	case g.Generation != before.Generation:
		l.complain("revision %d: generation %d of the grant of %s follows generation %d", revision, g.Generation, g.App, before.Generation)
	case !g.Current.Equal(before.Current):
		l.complain("revision %d: generation %d of the grant of %s has a second value", revision, g.Generation, g.App)
	}
}

// charged checks that the budget of an app grows by one with each intent, in the
// same revision, and never otherwise.
func (l *Ledger) charged(b coordinator.Batch) {
	for _, event := range b.Events {
		budget, ok := event.Record.(coordinator.Budget)
		if !ok || event.Deleted {
			continue
		}
		known := l.budgetsOf(budget.App)
		if before := known[budget.Window].Calls; budget.Calls != before+1 && l.holes == 0 {
			l.complain("revision %d: the budget of %s goes from %d calls to %d", b.Revision, budget.App, before, budget.Calls)
		}
		if !opens(b, budget.App) {
			l.complain("revision %d: the budget of %s is charged without an intent", b.Revision, budget.App)
		}
		known[budget.Window] = budget
	}
}

func opens(b coordinator.Batch, app string) bool {
	return slices.ContainsFunc(b.Events, func(e coordinator.Event) bool {
		intent, ok := e.Record.(coordinator.Intent)
		return ok && !e.Deleted && intent.App == app
	})
}

func (l *Ledger) budgetsOf(app string) map[string]coordinator.Budget {
	if l.budgets[app] == nil {
		l.budgets[app] = map[string]coordinator.Budget{}
	}
	return l.budgets[app]
}

func (l *Ledger) newestLocked() Election {
	if len(l.elections) == 0 {
		return Election{}
	}
	return l.elections[len(l.elections)-1]
}

// Charged is how many calls of an app were counted before they were made, in all
// of its windows.
func (l *Ledger) Charged(app string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := 0
	for budget := range maps.Values(l.budgets[app]) {
		sum += budget.Calls
	}
	return sum
}

// Wrong lists what must never have been written.
func (l *Ledger) Wrong() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.wrong)
}

// Revision is the newest one that was heard of; 0 before the first snapshot.
func (l *Ledger) Revision() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision
}

// Holes counts how often history was lost; what was written in one was not checked.
func (l *Ledger) Holes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holes
}

// Salvaged counts the results that were saved after their owner had lost its leadership.
func (l *Ledger) Salvaged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.salvaged
}

// isSalvaged reports whether a batch ends an attempt that had lost its leadership.
func isSalvaged(b coordinator.Batch) bool {
	for _, event := range b.Events {
		if state, ok := event.Record.(coordinator.State); ok && state.NewestOutcome().Result == coordinator.ResultSalvaged {
			return true
		}
	}
	return false
}

// endsByIntent reports whether a batch ends an attempt in a way that does not say
// whether its owner still led, and that it may save by its intent alone: the platform
// repeated the value that is held, or a new refresh token came beside a failure.
func endsByIntent(b coordinator.Batch) bool {
	ended, same, rotated := false, false, false
	for _, event := range b.Events {
		switch record := event.Record.(type) {
		case coordinator.Intent:
			ended = ended || event.Deleted
		case coordinator.State:
			same = same || record.NewestOutcome().Result == coordinator.ResultSame
		case coordinator.Grant:
			rotated = rotated || !event.Deleted
		}
	}
	return ended && (same || rotated)
}

// applies reports whether a batch is a change of an app, which any node may write
// and which leaves the epoch in a state as it was.
func applies(b coordinator.Batch) bool {
	return slices.ContainsFunc(b.Events, func(e coordinator.Event) bool {
		_, app := e.Record.(coordinator.App)
		return app
	})
}

// epochOf is the leadership that wrote a record; 0 where none must have.
func epochOf(e coordinator.Event) coordinator.Epoch {
	if e.Deleted {
		return 0
	}
	switch record := e.Record.(type) {
	case coordinator.State:
		return record.Epoch
	case coordinator.Token:
		return record.Epoch
	case coordinator.Intent:
		return record.Epoch
	case coordinator.Heartbeat:
		return record.Epoch
	case coordinator.Elected:
		return record.Epoch
	}
	return 0
}
