// Package memory keeps the contracts of package coordinator without etcd: the
// same transactions, elections, sessions and watches on a map in this process.
//
// A Cluster stands for etcd, and each Store for the connection one node has to
// it. Stores fail on demand (see FailNext, LoseAnswer, HoldNext, Partition and
// LoseSession), so that tests can have every bad day they need; within a
// testing/synctest bubble all of it runs on virtual time. It is also enough for
// a single process that keeps nothing.
//
// Nothing runs by itself: what is due by the clock (sessions and values that
// expire) is done by whoever looks next, and everybody who waits looks in time.
package memory

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"freshet/coordinator"
)

// Defaults of Config.
const (
	DefaultSessionTTL = 15 * time.Second
	DefaultHistory    = 4096
)

// Config says how a Cluster behaves. Its zero value is good.
type Config struct {
	SessionTTL time.Duration // how long a silent node keeps its name and its leadership; default 15 s
	History    int           // revisions kept for watches that are behind; default 4096
	Logger     *slog.Logger  // default: nothing is logged

	// Now is the wall clock of the nodes, by which records say when they end;
	// default time.Now. The cluster itself counts from when they are written.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.SessionTTL <= 0 {
		c.SessionTTL = DefaultSessionTTL
	}
	if c.History <= 0 {
		c.History = DefaultHistory
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Cluster is what nodes share: keys with their revisions, their history, and sessions.
type Cluster struct {
	config Config

	mu        sync.Mutex
	revision  int64
	keys      map[kind]map[string]*entry // :: kind → id → entry
	history   []change                   // one for each revision that changed a record
	compacted int64                      // changes up to this revision are gone from history
	restores  int                        // from backups
	apps      int64                      // revision that last changed or deleted any app
	sessions  []*session                 // alive, by age
	expiries  expiries
	room      coordinator.Room
	format    int           // of records, as Finalize raised it
	changed   chan struct{} // closed and replaced with every revision, and with moved
	moved     chan struct{} // closed and replaced when sessions or who can reach the cluster have changed
}

// New returns an empty cluster.
func New(config Config) *Cluster {
	return &Cluster{
		config:  config.withDefaults(),
		keys:    map[kind]map[string]*entry{},
		changed: make(chan struct{}),
		moved:   make(chan struct{}),
	}
}

// Store is one node's connection to a Cluster. It implements coordinator.Store
// and is safe for concurrent use, with one Lead and one Join at a time.
type Store struct {
	cluster *Cluster

	// guarded by cluster.mu
	cut     bool           // partitioned
	faults  map[Op][]fault // :: operation → what happens to its next calls
	leading *session       // under which Lead leads at the moment
}

var _ coordinator.Store = (*Store)(nil)

// Store returns a connection of its own for one more node.
func (c *Cluster) Store() *Store {
	return &Store{cluster: c, faults: map[Op][]fault{}}
}

// SetRoom sets what Room tells from now on.
func (c *Cluster) SetRoom(r coordinator.Room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room = r
}

// Room returns what SetRoom set; before, there is no quota.
func (s *Store) Room(context.Context) (coordinator.Room, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	return s.cluster.room, nil
}

// Finalize raises the format of records to the newest that every node reads.
func (s *Store) Finalize(_ context.Context, a *coordinator.Audit) (int, error) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	common := 0
	for _, e := range c.keys[kindNode] {
		if n, ok := e.record.(coordinator.NodeInfo); ok && (common == 0 || n.SchemaMax < common) {
			common = n.SchemaMax
		}
	}
	if common > c.format {
		c.format = common
		c.updateLocked(func(t *tx) { t.putAudit(a.Raising(common)) })
	}
	return c.format, nil
}

// SessionTTL returns how long a silent node keeps its name and its leadership.
func (c *Cluster) SessionTTL() time.Duration { return c.config.SessionTTL }

// Revision returns the revision of the newest change.
func (c *Cluster) Revision() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	return c.revision
}

// Records returns every record there is, as a watch would begin with them.
func (c *Cluster) Records() []coordinator.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	var records []coordinator.Record
	for _, e := range c.snapshotLocked().Events {
		records = append(records, e.Record)
	}
	return records
}

// Compact forgets the history of all changes: a watch that is behind starts
// again with a snapshot.
func (c *Cluster) Compact() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	c.history, c.compacted = nil, c.revision
}
