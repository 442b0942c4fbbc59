package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"freshet/tracing"
)

// Config says what a Node is made of.
type Config struct {
	Name      string // unique in the cluster
	Address   string // of its API, told to the cluster
	Build     string // version of the program
	Egress    string // the address platforms see this node by, one name for all nodes behind it; default: the node's name
	Follower  bool   // never campaign for leadership
	Store     Store
	Providers map[string]Provider // :: name in configurations → provider
	Logger    *slog.Logger        // nil: silent
	Tracer    *tracing.Tracer     // nil: no traces

	// BootstrapKey authenticates a client that may do everything. Zero: there is none.
	BootstrapKey Secret

	// Spool keeps rotated refresh tokens on the local disk until they are
	// published. Nil: this node spends none that may be rotated.
	Spool Spool

	// Snapshot keeps on the local disk what is served where the store cannot be
	// reached at the start. Nil: such a node serves nothing until it can.
	Snapshot Snapshot

	// Seed is applied by the refresher once for each content. Nil: nothing.
	Seed *Seed

	// Render makes the bytes that View.Rendered holds, once for each change of
	// a token and off the path of reads. Nil: none.
	Render func(*View) []byte

	Heartbeat      time.Duration // between the refresher's heartbeats; default HeartbeatEvery
	Workers        int           // upstream calls at once for each upstream; default 8
	TakeoverMargin time.Duration // added to the call timeout before an unfinished refresh is taken over; default 2 s
	DrainLimit     time.Duration // how long a result is still published after Run was told to end; default 15 s
	RoomEvery      time.Duration // between two looks at the store's space; default 30 s

	// Now tells the time, with a reading of the monotonic clock; default time.Now.
	Now func() time.Time
}

// Node is one member of the cluster: it follows, and leads while it is elected.
type Node struct {
	name     string
	egress   string
	info     NodeInfo
	follower bool
	log      *slog.Logger
	tracer   *tracing.Tracer
	render   func(*View) []byte

	store     Store
	providers map[string]Provider
	spool     Spool
	snapshot  Snapshot
	bootstrap Client
	seed      *Seed

	heartbeat time.Duration
	now       func() time.Time
	roomEvery time.Duration
	workers   int
	margin    time.Duration
	drain     time.Duration

	following sync.Mutex // held while the cache is changed by more than one record

	cache    *cache
	changes  changes
	inbox    inbox
	born     time.Time    // start of heard
	changed  atomic.Int64 // revision of the last batch about an app or a token
	heard    atomic.Int64 // last sign of life of the store, as time since born; 0: none yet, below: by a former process
	recalled atomic.Bool  // what is served came from the snapshot on disk
	unsaved  atomic.Bool  // what a snapshot holds has changed since the last one
	skew     skew
	hazards  hazardCounts
	uncalled sync.Map // :: attempt of this process that made no call → struct{}
	recalls  recalls
	audits   *auditIDs
	restored atomic.Int64 // when the store was last found restored from a backup, as time since born; 0: never
	room     atomic.Pointer[Room]
	remake   atomic.Bool // every view must be made anew with the next batch
	draining atomic.Bool
	drained  signal // fires when draining begins

	unsettled  unsettled
	handedOver atomic.Pointer[time.Time] // when this node last gave up leadership for bars; nil: never
}

// New checks the configuration and builds a node. It starts nothing.
func New(c Config) (*Node, error) {
	if c.Store == nil {
		return nil, errors.New("building a node: Store is required")
	}
	if err := CheckAppName(c.Name); err != nil {
		return nil, fmt.Errorf("building a node: its name: %w", err)
	}
	n := &Node{
		name:      c.Name,
		egress:    firstOf(c.Egress, c.Name),
		follower:  c.Follower,
		log:       c.Logger,
		tracer:    c.Tracer,
		render:    c.Render,
		store:     c.Store,
		providers: c.Providers,
		bootstrap: bootstrapClient(c.BootstrapKey),
		seed:      c.Seed,
		spool:     c.Spool,
		snapshot:  c.Snapshot,
		heartbeat: firstOf(c.Heartbeat, HeartbeatEvery),
		now:       c.Now,
		roomEvery: firstOf(c.RoomEvery, roomEvery),
		workers:   firstOf(c.Workers, 8),
		margin:    firstOf(c.TakeoverMargin, 2*time.Second),
		drain:     firstOf(c.DrainLimit, 15*time.Second),
		cache:     newCache(),
		recalls:   newRecalls(),
		audits:    newAuditIDs(),
		unsettled: unsettled{wake: make(chan struct{}, 1)},
		inbox:     inbox{wake: make(chan struct{}, 1)},
		changes:   changes{turned: make(chan struct{}, 1)},
	}
	if n.now == nil {
		n.now = time.Now
	}
	n.born = n.now()
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.info = NodeInfo{
		Name: c.Name, Instance: newID(), Address: c.Address, Build: c.Build, Egress: n.egress,
		Refresher: !c.Follower, Started: n.born, SchemaMin: 1, SchemaMax: 1,
	}
	return n, nil
}

// Run follows the store and, while elected, leads. It returns when ctx ends,
// after calls under way were answered and their results saved, or when the node
// cannot live: another one has its name.
func (n *Node) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	// Following and membership end after leading: a leader that drains is still
	// a member, and its last results reach its own memory.
	following, unfollow := context.WithCancel(context.WithoutCancel(ctx))
	defer unfollow()
	g.Go(func() error { return ignoreEnd(n.follow(following)) })
	g.Go(func() error { n.recall(following); return nil })
	g.Go(func() error { n.remember(following); return nil })
	g.Go(func() error { n.watchClock(following); return nil })
	g.Go(func() error { return ignoreEnd(n.store.Join(following, n.describe)) })
	g.Go(func() error { return ignoreEnd(n.replay(gctx)) })
	g.Go(func() error { return ignoreEnd(n.watchRoom(following)) })
	g.Go(func() error { return ignoreEnd(n.bringBack(following)) })
	g.Go(func() error {
		defer unfollow()
		if n.follower {
			<-gctx.Done()
			return nil
		}
		return ignoreEnd(n.store.Lead(gctx, n.name, func(led context.Context, l Leadership) error {
			return n.lead(gctx, led, l)
		}))
	})
	return g.Wait()
}

// ignoreEnd drops the error of a context that was ended on purpose.
func ignoreEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// describe is what the node tells the cluster of itself.
func (n *Node) describe() NodeInfo {
	info := n.info
	info.Applied = n.changed.Load()
	info.Hazards = n.Hazards()
	return info
}

// Name returns the node's name.
func (n *Node) Name() string { return n.name }

// Drain ends readiness and every wait; reads without a wait go on.
func (n *Node) Drain() {
	n.draining.Store(true)
	n.drained.fire()
	n.changes.moved.fire()
}
