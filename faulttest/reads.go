package faulttest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"freshet/coordinator"
)

const (
	// serveMargin is how long before its expiry a node may stop serving a value,
	// and rounded how much the API rounds expiries off.
	serveMargin = 2 * time.Second
	rounded     = time.Second

	// lagLimit is how long a node that hears etcd may take to serve a new version.
	lagLimit = 5 * time.Second
)

// Read is one read that was answered with a value.
type Read struct {
	Sent     time.Time
	Answered time.Time
	Version  int64
	Expires  time.Time
	Alive    bool // the platform accepted the value when it was answered
}

// Run is a reader's longest sequence of reads that saw one version. Between its
// ends nothing else can have been seen, so that the reads between are not kept.
type Run struct {
	Version     int64
	First, Last Read
	reads       int
}

func (r Run) ends() []Read {
	if r.reads == 1 {
		return []Read{r.First}
	}
	return []Read{r.First, r.Last}
}

// Reads judges what readers are answered, and keeps what is judged later. It is
// safe for concurrent use.
type Reads struct {
	windows *Windows
	ledger  *Ledger

	mu     sync.Mutex
	lives  map[life]map[int][]Run // :: process and token → reader → what it saw
	made   int
	failed map[string]int // :: why → reads
	wide   int            // reads by clients that know all nodes
	dead   map[string]int // :: why → answers with a value that the platform refused
	wrong  []string
}

// life is one token in one process.
type life struct {
	process string
	name    coordinator.Name
}

// NewReads returns a judge that forgives what windows explain.
func NewReads(w *Windows, l *Ledger) *Reads {
	return &Reads{windows: w, ledger: l, lives: map[life]map[int][]Run{}, failed: map[string]int{}, dead: map[string]int{}}
}

// Reader reads one token from one node, one read after the other.
type Reader struct {
	reads *Reads
	id    int
	node  string
	app   string
	name  coordinator.Name
	last  Run // of the process that is being read from
	from  string
}

// Reader returns a new one; id is unique among those of a token.
func (r *Reads) Reader(id int, node string, name coordinator.Name) *Reader {
	return &Reader{reads: r, id: id, node: node, app: name.App, name: name}
}

// Saw judges a value that was served by a process of the node.
func (r *Reader) Saw(process string, read Read) {
	before := r.last
	if r.from != process {
		before, r.from = Run{}, process
	}
	r.reads.mu.Lock()
	defer r.reads.mu.Unlock()
	r.reads.made++
	if read.Version < before.Version {
		r.reads.complain("%s served version %d of %s after version %d", process, read.Version, r.name, before.Version)
	}
	if !read.Expires.After(read.Sent) {
		r.reads.complain("%s served version %d of %s %s after its expiry", process, read.Version, r.name, read.Sent.Sub(read.Expires))
	}
	if !read.Alive {
		r.dead(process, read)
	}
	r.last = r.reads.keep(life{process, r.name}, r.id, read)
}

// keep adds a read to the runs of its reader.
func (r *Reads) keep(l life, reader int, read Read) Run {
	if r.lives[l] == nil {
		r.lives[l] = map[int][]Run{}
	}
	runs := r.lives[l][reader]
	if len(runs) == 0 || runs[len(runs)-1].Version != read.Version {
		runs = append(runs, Run{Version: read.Version, First: read})
	}
	newest := &runs[len(runs)-1]
	newest.Last = read
	newest.reads++
	r.lives[l][reader] = runs
	return *newest
}

// dead judges an answer whose value the platform refuses. It is forgiven where the
// cluster could not know: the platform ended the value unseen, or the node cannot
// hear of the newer one.
func (r *Reader) dead(process string, read Read) {
	next, replaced := r.reads.ledger.Following(r.name, read.Version)
	issued := r.reads.ledger.issued(r.name, read.Version)
	switch {
	case !replaced && r.reads.windows.Covers(Dying, r.app, issued, read.Answered):
		r.reads.dead[string(Dying)]++
	case r.reads.windows.Covers(Apart, r.node, read.Sent.Add(-lagLimit), read.Answered):
		r.reads.dead[string(Apart)]++
	case r.reads.windows.Covers(Down, r.node, read.Sent.Add(-lagLimit), read.Answered):
		r.reads.dead[string(Down)]++
	case replaced && read.Sent.Sub(next.Heard) < lagLimit:
		r.reads.dead["replaced a moment ago"]++
	default:
		r.reads.complain("%s served version %d of %s, which the platform refuses, and nothing explains it (replaced: %t)",
			process, read.Version, r.name, replaced)
	}
}

// Failed judges a read that was not answered with a value. why is a short class of
// the failure, and refused whether the node itself said that it has no valid value.
func (r *Reader) Failed(process string, sent time.Time, why string, refused bool) {
	now := time.Now()
	lives := time.Duration(0)
	if r.from == process {
		lives = r.last.Last.Expires.Sub(now) // at least so long when the node looked
	}
	down := r.reads.windows.Covers(Down, r.node, sent, now)
	r.reads.mu.Lock()
	defer r.reads.mu.Unlock()
	r.reads.made++
	switch {
	case down:
		r.reads.failed[string(Down)]++
	case refused && lives <= serveMargin+rounded:
		r.reads.failed["no value that has not expired"]++
	default:
		r.reads.failed["UNEXPLAINED: "+why]++
		r.reads.complain("%s failed a read of %s whose value lives for %s: %s", process, r.name, lives, why)
	}
}

// Wide judges a read by a client that knows all nodes, of which never more than one
// is down. It may fail where the node that was asked said that its value has expired
// and could not know a newer one; never otherwise. why is empty where it did not fail;
// refused as for Reader.Failed.
func (r *Reads) Wide(name coordinator.Name, answered time.Time, why string, refused bool) {
	lives := r.ledger.lives(name, answered)
	apart := r.windows.Any(Apart, answered.Add(-lagLimit), answered)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wide++
	switch {
	case why == "":
	case refused && lives <= serveMargin+rounded:
		r.failed["no value that has not expired, on any node"]++
	case refused && apart:
		r.failed["no value that has not expired, on a node that cannot hear etcd"]++
	default:
		r.failed["UNEXPLAINED, on any node: "+why]++
		r.complain("a client that knows all nodes failed to read %s, whose value lives for %s: %s", name, lives, why)
	}
}

func (r *Reads) complain(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

// Ended judges all reads of a process that will answer no more, and forgets them.
func (r *Reads) Ended(process string) {
	r.mu.Lock()
	ended := map[life]map[int][]Run{}
	for l, runs := range r.lives {
		if l.process == process {
			ended[l] = runs
			delete(r.lives, l)
		}
	}
	r.mu.Unlock()
	for l, readers := range ended {
		var all []Run
		for _, runs := range readers {
			all = append(all, runs...)
		}
		if why := Linear(r.ledger.Values(l.name), all); why != "" {
			r.mu.Lock()
			r.complain("%s, %s: %s", l.process, l.name, why)
			r.mu.Unlock()
		}
	}
}

// Wrong lists what must never have been answered.
func (r *Reads) Wrong() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.wrong)
}
