package coordinator

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"freshet/coordinator/schedule"
)

// Readers that follow a node are told of changes by level, not by queue: each
// change of a view has a number, a reader keeps the number it has reached, and
// asks for what has changed since. However slow it is, it costs the node nothing
// but that number, and finds each token once, as it is now.

// Changed is a token that has changed after a Point.
type Changed struct {
	Name  Name
	View  *View // as it is now; nil: the token exists no more
	Value bool  // the value is another one; otherwise only what is known of it has changed
}

// Point is a place in the order of what one node has shown. The zero Point
// stands before all of it.
type Point struct {
	Number   int64    // of the last change before it; means nothing to another process
	Position Position // that the reader may be told; zero: it cannot go on elsewhere from here
}

const (
	// loggedChanges is how many changes are found without a look at every token.
	loggedChanges = 4096

	// mostBeats is how many positions a node remembers: a day's worth, 32 bytes each.
	mostBeats = 1 << 15

	// rewoundBeats is from how long before its position a reader goes on. Clocks
	// and margins of nodes differ, so what the clock changed just before its
	// position may have been told by neither. A node that has not followed for
	// so long lets nobody go on.
	rewoundBeats = 4

	// behindLimit is how long a reader is held whose position this node has not reached.
	behindLimit = 2 * time.Second
)

// changes numbers what a node shows.
type changes struct {
	moved  signal        // fires when something was numbered, and when clients have changed
	turned chan struct{} // wakes watchClock; holds one

	mu      sync.RWMutex
	last    int64
	dirty   bool                 // numbered since moved fired last
	log     [loggedChanges]Name  // :: number modulo its length → name
	beats   []witness            // by revision
	lacking int                  // cells whose newest value is not known here
	clock   schedule.Queue[Name] // :: when the clock changes what a view shows
}

// witness is a heartbeat that this node has followed, and the last change before it.
type witness struct {
	Position

	number int64
}

// Moved returns a channel that is closed when a reader who follows should look
// again: at changes, at who the clients are, and whether the node drains.
func (n *Node) Moved() <-chan struct{} { return n.changes.moved.wait() }

// Changes yields what has changed after a point within a reach, each token once,
// and returns the point that a reader has reached who has taken all of it. After the
// zero Point it yields every token that exists, in no order. It may yield tokens
// beyond the reach; what it costs is bounded by the apps of the reach.
func (n *Node) Changes(after Point, reach Reach) (iter.Seq[Changed], Point) {
	names, look, reached := n.changes.since(after, reach)
	return func(yield func(Changed) bool) {
		if !look {
			for _, name := range names {
				if !yield(n.cache.cell(name).change(name, after)) {
					return
				}
			}
			return
		}
		for name, cell := range n.cache.cells.within(reach) {
			c := cell.change(name, after)
			if c.View == nil && after == (Point{}) || cell.changedAt.Load() <= after.Number {
				continue
			}
			if !yield(c) {
				return
			}
		}
	}, reached
}

// change is how a cell looks to a reader who is at a point.
func (c *cell) change(name Name, after Point) Changed {
	value := c.valueAt.Load() > after.Number
	return Changed{Name: name, View: c.view.Load(), Value: value}
}

// since returns the names that have changed after a point, or that the cells within
// the reach must be looked at, because that is shorter or the only way.
func (c *changes) since(after Point, reach Reach) (names []Name, look bool, reached Point) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	reached = Point{Number: c.last, Position: c.positionLocked()}
	behind := c.last - after.Number
	if after == (Point{}) || behind > loggedChanges || reach.bounded && int64(len(reach.apps)) < behind {
		return nil, true, reached
	}
	seen := map[Name]struct{}{}
	for i := after.Number + 1; i <= c.last; i++ {
		name := c.log[i%loggedChanges]
		if _, again := seen[name]; !again {
			seen[name] = struct{}{}
			names = append(names, name)
		}
	}
	return names, false, reached
}

// positionLocked is the newest position. There is none while a value is not
// known here that is known elsewhere: another node could not tell it.
func (c *changes) positionLocked() Position {
	if len(c.beats) == 0 || c.lacking > 0 {
		return Position{}
	}
	return c.beats[len(c.beats)-1].Position
}

// Resume finds the point from which a reader goes on that was told a position,
// by this node or by another. It waits a moment for one that is ahead of this
// node. Not ok: what the reader has missed cannot be told, so it must be told
// everything.
func (n *Node) Resume(ctx context.Context, p Position) (_ Point, ok bool) {
	if p == (Position{}) {
		return Point{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, behindLimit)
	defer cancel()
	if !n.cache.reached(ctx.Done(), p.Revision) {
		return Point{}, false
	}
	return n.changes.find(p)
}

// find looks a position up among the heartbeats that this node has followed.
func (c *changes) find(p Position) (_ Point, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	i, found := slices.BinarySearchFunc(c.beats, p.Revision, func(w witness, revision int64) int {
		return int(w.Revision - revision)
	})
	if !found || c.beats[i].Position != p || i < rewoundBeats {
		return Point{}, false
	}
	return Point{Number: c.beats[i-rewoundBeats].number, Position: p}, true
}

// lose numbers that a token is gone.
func (c *changes) lose(name Name, cell *cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missLocked(cell, nil, time.Time{})
	c.putLocked(name, cell, true)
}

// putLocked numbers a change.
func (c *changes) putLocked(name Name, cell *cell, value bool) {
	c.last++
	c.log[c.last%loggedChanges] = name
	c.dirty = true
	cell.changedAt.Store(c.last)
	if value {
		cell.valueAt.Store(c.last)
	}
}

// tell wakes those who follow if something was numbered.
func (c *changes) tell(anyway bool) {
	c.mu.Lock()
	told := c.dirty || anyway
	c.dirty = false
	c.mu.Unlock()
	if told {
		c.moved.fire()
	}
}

// witness remembers a heartbeat. The one of a first list proves nothing about
// what came before, but nobody goes on from the first ones.
func (c *changes) witness(h Heartbeat, restored bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if restored {
		c.beats = nil // of a history that never happened
		return
	}
	known := len(c.beats) > 0 && c.beats[len(c.beats)-1].Revision >= h.Revision
	if known || h.Revision == 0 {
		return
	}
	if len(c.beats) == mostBeats {
		c.beats = slices.Delete(c.beats, 0, mostBeats/2)
	}
	c.beats = append(c.beats, witness{positionOf(h), c.last})
}
