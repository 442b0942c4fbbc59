package coordinator

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// cache is what a node knows of the cluster. Who holds Node.following writes
// it; everybody reads. Reads of tokens and clients take no lock that the writer
// holds while it works.
type cache struct {
	cells   cells
	clients atomic.Pointer[map[Digest]Client]
	applied atomic.Int64 // revision reached
	synced  atomic.Bool  // the first snapshot is complete
	listed  atomic.Bool  // and it came from the store
	moved   signal       // fires after each batch
	values  values
	named   identities

	mu      sync.RWMutex // guards records
	records records
}

// records are all records but the published values of tokens.
type records struct {
	apps        map[string]App
	families    map[string]map[string]struct{} // :: parent → its children
	lives       map[string]int64               // :: app → the highest incarnation its states tell of
	credentials map[string]Credentials
	grants      map[string]Grant
	states      map[Name]State
	seen        map[Name]seenState
	intents     map[groupID]seenIntent
	salvage     map[groupID][]Salvage
	requests    map[Name]Request
	inputs      map[Name]Input
	budgets     map[budgetID]Budget
	clients     map[string]Client
	nodes       map[string]NodeInfo
	files       map[string]AppliedFile
	elected     Elected
	heartbeat   Heartbeat
	paused      *Paused
	bars        map[barID]Bar
	fingerprint FingerprintKey
}

type groupID struct{ app, group string }

type budgetID struct{ app, window string }

// seenIntent is an intent and when this node first saw it at its revision, on
// its own monotonic clock: the start of the wait before a takeover.
type seenIntent struct {
	Intent
	seen time.Time
}

// cell holds the newest view of one token and wakes those who wait for the next.
type cell struct {
	view    atomic.Pointer[View]
	changed signal
	highest int64                         // version ever shown; guarded by Node.following
	former  atomic.Pointer[[]formerValue] // newest first
	known   []valueSum                    // in cache.values, newest first; guarded by Node.following

	changedAt atomic.Int64 // number of the last change of the view, see Point
	valueAt   atomic.Int64 // number of the last change of the value
	lacks     bool         // the newest value is not known here; guarded by changes.mu
	sight     sight        // what the view showed last; guarded by changes.mu
}

// formerValue recognises a value that was replaced not long ago.
type formerValue struct {
	fingerprint string
	version     int64
}

const formerValues = 4

// signal wakes everybody who waits, each time it fires.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that is closed when the signal fires next.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

func newRecords() records {
	return records{
		apps:        map[string]App{},
		families:    map[string]map[string]struct{}{},
		lives:       map[string]int64{},
		credentials: map[string]Credentials{},
		grants:      map[string]Grant{},
		states:      map[Name]State{},
		seen:        map[Name]seenState{},
		intents:     map[groupID]seenIntent{},
		salvage:     map[groupID][]Salvage{},
		requests:    map[Name]Request{},
		inputs:      map[Name]Input{},
		budgets:     map[budgetID]Budget{},
		clients:     map[string]Client{},
		nodes:       map[string]NodeInfo{},
		files:       map[string]AppliedFile{},
		bars:        map[barID]Bar{},
	}
}

func newCache() *cache {
	c := &cache{records: newRecords()}
	c.clients.Store(&map[Digest]Client{})
	return c
}

// cell returns the cell of a token, made if need be.
func (c *cache) cell(name Name) *cell { return c.cells.get(name) }

// view returns the newest view of a token that exists.
func (c *cache) view(name Name) (*View, bool) {
	found := c.cells.find(name)
	if found == nil {
		return nil, false
	}
	v := found.view.Load()
	return v, v != nil
}

// views returns all views, sorted by name.
func (c *cache) views() []*View {
	var views []*View
	for _, cell := range c.cells.all() {
		if v := cell.view.Load(); v != nil {
			views = append(views, v)
		}
	}
	slices.SortFunc(views, func(a, b *View) int { return strings.Compare(a.Name.String(), b.Name.String()) })
	return views
}

// reading calls f with the records, which it must not change or keep.
func (c *cache) reading(f func(r *records)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f(&c.records)
}

// reached waits until the cache has applied a revision, or ctx ends.
func (c *cache) reached(done <-chan struct{}, revision int64) bool {
	for {
		moved := c.moved.wait()
		if c.applied.Load() >= revision {
			return true
		}
		select {
		case <-moved:
		case <-done:
			return false
		}
	}
}

// app returns an app as applied, with its own credentials.
func (r *records) app(name string) (App, bool) {
	app, ok := r.apps[name]
	if !ok {
		return App{}, false
	}
	credentials := r.credentials[name]
	app.Credentials = credentials.Fields // never changed once it is known
	app.CredentialsRevision = credentials.Revision
	if grant, ok := r.grants[name]; ok {
		app.Credentials = overlay(app.Credentials, map[string]Secret{CredentialRefresh: grant.Current})
	}
	return app, true
}

// maxLineage bounds how deep parents may be nested.
const maxLineage = 8

// resolve returns an app with all it inherits and the defaults, and its lineage.
func (r *records) resolve(name string) (App, []Ancestor, error) {
	app, ok := r.app(name)
	if !ok {
		return App{}, nil, ErrUnknownApp
	}
	return r.inherit(app)
}

// inherit is resolve for an app that need not have been applied yet.
func (r *records) inherit(app App) (App, []Ancestor, error) {
	name := app.Name
	lineage := []Ancestor{{App: app.Name, Incarnation: app.Incarnation, Revision: app.CredentialsRevision}}
	for parent := app.Parent; parent != ""; {
		above, ok := r.app(parent)
		if parent == name {
			return App{}, nil, Invalidf("app %q is its own ancestor: give it another parent", name)
		}
		if !ok {
			return App{}, nil, Invalidf("app %q has the parent %q, which does not exist: apply the parent first", name, parent)
		}
		if len(lineage) == maxLineage {
			return App{}, nil, Invalidf("app %q has parents nested more than %d deep, or in a circle: shorten the chain", name, maxLineage)
		}
		lineage = append(lineage, Ancestor{App: above.Name, Incarnation: above.Incarnation, Revision: above.CredentialsRevision})
		app = app.Inherit(above)
		parent = above.Parent
	}
	return app.WithDefaults(), lineage, nil
}

// setApp takes an app in, and where it stands in its family.
func (r *records) setApp(app App, deleted bool) {
	if former, ok := r.apps[app.Name]; ok {
		delete(r.families[former.Parent], app.Name)
		if len(r.families[former.Parent]) == 0 {
			delete(r.families, former.Parent)
		}
	}
	set(r.apps, app.Name, app, deleted)
	if deleted || app.Parent == "" {
		return
	}
	if r.families[app.Parent] == nil {
		r.families[app.Parent] = map[string]struct{}{}
	}
	r.families[app.Parent][app.Name] = struct{}{}
}
