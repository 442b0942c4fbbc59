package coordinator

import (
	"sync/atomic"
	"time"
)

// staleAfter is how long a node may hear nothing from the store before what it
// knows counts as stale.
const staleAfter = 10 * time.Second

// Health says whether a node can serve, and how old what it knows may be.
type Health struct {
	Synced       bool // the first snapshot is complete, or one was loaded from disk
	Draining     bool
	Stale        bool          // nothing was heard from the store for ten seconds, or not by this process
	Age          time.Duration // since something was heard from the store
	FromSnapshot bool          // what is served was loaded from disk, not from the cluster
}

// Ready reports whether the node should be given requests. Staleness does not
// count: a cluster without etcd serves on from memory.
func (h Health) Ready() bool { return h.Synced && !h.Draining }

// Health returns the node's health at this instant.
func (n *Node) Health() Health {
	age := n.age() - time.Duration(n.heard.Load())
	recalled := n.recalled.Load()
	return Health{
		Synced:       recalled || n.cache.synced.Load(),
		Draining:     n.draining.Load(),
		Stale:        recalled || age > staleAfter,
		Age:          age,
		FromSnapshot: recalled,
	}
}

// hears refuses to compare with memory alone: whoever is told that nothing changes
// takes the cluster to be as he wants it, and a node that has long heard nothing
// from it cannot know.
func (n *Node) hears() error {
	if n.Health().Stale {
		return ErrStale
	}
	return nil
}

// age is for how long the node has lived, by the monotonic clock.
func (n *Node) age() time.Duration { return n.now().Sub(n.born) }

// leastMargin is kept between the end of serving and the expiry of a value,
// however well the clocks agree.
const leastMargin = 2 * time.Second

// skewSamples is how many heartbeats a clock that runs ahead is remembered.
const skewSamples = 10

// skew measures how far the refresher's clock is ahead of ours. The follower
// writes it, everybody reads.
type skew struct {
	ahead   atomic.Int64
	samples []time.Duration // guarded by Node.following
}

// assume begins with what a former process has measured.
func (s *skew) assume(ahead time.Duration) {
	s.samples = []time.Duration{ahead}
	s.ahead.Store(int64(ahead))
}

// measureSkew takes in a heartbeat. Travel time only makes the refresher look
// behind, so the largest of the last samples is the best. A node's own heartbeats
// count as well, and agree: who leads must forget the clock of who led before.
func (n *Node) measureSkew(t *touched) {
	if !t.heartbeat {
		return
	}
	var beat Heartbeat
	n.cache.reading(func(r *records) { beat = r.heartbeat })
	sample := beat.At.Sub(n.now())
	if beat.Node == n.name {
		sample = 0 // also where the clock was set since it was sent
	}
	n.skew.samples = append(n.skew.samples, sample)
	n.skew.samples = n.skew.samples[max(len(n.skew.samples)-skewSamples, 0):]
	ahead := n.skew.samples[0]
	for _, sample := range n.skew.samples {
		ahead = max(ahead, sample)
	}
	before := n.Margin()
	n.skew.ahead.Store(int64(ahead))
	if (n.Margin() - before).Abs() > leastJump {
		n.lookAtAll(t.now.at) // what is served has changed, and nothing tells but this
	}
}

// Margin returns how long before its expiry this node stops serving a value.
func (n *Node) Margin() time.Duration {
	return max(leastMargin, time.Duration(n.skew.ahead.Load()))
}
