package coordinator

import (
	"context"
	"time"
)

// What a view shows changes with the clock as well: a token becomes due, a value
// ends. Readers who follow are told of it as of any other change.

// clockLook is the longest pause between two looks at the clock, which may have
// been set, in heartbeats: half a minute.
const clockLook = 10

// sight is what of a view changes with the clock.
type sight struct {
	status Status
	lives  bool
}

func (n *Node) sightOf(v *View, now time.Time) sight {
	return sight{v.Status(now), v.Lives(now, n.Margin()) > 0}
}

// nextTurn returns when the clock changes next what a view shows.
func (n *Node) nextTurn(v *View, now time.Time) (at time.Time, ok bool) {
	turns := []time.Time{v.State.Due, v.State.Expires}
	if v.Token != nil {
		turns = append(turns, v.Token.Expires.Add(-n.Margin()))
	}
	for _, turn := range turns {
		if turn.After(now) && (!ok || turn.Before(at)) {
			at, ok = turn, true
		}
	}
	return steady(at, now), ok
}

// note numbers what is shown anew, if a reader could tell it from what was
// shown before. The caller holds following.
func (n *Node) note(cell *cell, name Name, old, next *View, t *touched) {
	c := &n.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missLocked(cell, next, t.now.at)
	if !t.restored && alike(old, next) {
		return
	}
	c.putLocked(name, cell, !sameValue(old, next) || n.revives(cell, next, t.now.at))
	n.watchTurnLocked(cell, name, next, t.now.at)
}

// missLocked keeps count of the values that are not known here.
func (c *changes) missLocked(cell *cell, v *View, now time.Time) {
	lacks := v != nil && v.lacks(now)
	if lacks == cell.lacks {
		return
	}
	cell.lacks = lacks
	c.lacking += map[bool]int{true: 1, false: -1}[lacks]
}

// revives reports whether a value lives that was shown as one that does not, as
// when a clock is set right: who came meanwhile was not told it.
func (n *Node) revives(cell *cell, v *View, now time.Time) bool {
	return !cell.sight.lives && n.sightOf(v, now).lives
}

// watchTurnLocked remembers what a view shows now, and when that changes by itself.
func (n *Node) watchTurnLocked(cell *cell, name Name, v *View, now time.Time) {
	c := &n.changes
	if v == nil {
		c.clock.Remove(name)
		return
	}
	cell.sight = n.sightOf(v, now)
	at, ok := n.nextTurn(v, now)
	if !ok {
		c.clock.Remove(name)
		return
	}
	before, _ := c.clock.Next()
	c.clock.Set(name, at)
	if first, _ := c.clock.Next(); first.Equal(before) {
		return
	}
	c.wakeLocked()
}

// wakeLocked lets watchClock look at once.
func (c *changes) wakeLocked() {
	select {
	case c.turned <- struct{}{}:
	default:
	}
}

// lacks reports whether the newest value lives and is not known here, for want of a seal key.
func (v *View) lacks(now time.Time) bool {
	return v.State.Expires.After(now) && (v.Token == nil || v.Token.Version < v.State.Version)
}

// alike reports whether no reader could tell two views of a token apart.
func alike(old, next *View) bool {
	if old == nil || next == nil {
		return old == next
	}
	return sameValue(old, next) && old.State.Revision == next.State.Revision && old.State.Reason == next.State.Reason &&
		old.Paused == next.Paused && old.Fingerprint == next.Fingerprint
}

func sameValue(old, next *View) bool {
	if old == nil || next == nil || old.Token == nil || next.Token == nil {
		return old != nil && next != nil && old.Token == next.Token
	}
	return old.Token == next.Token || old.Token.Version == next.Token.Version && old.Token.Value.Equal(next.Token.Value)
}

// watchClock numbers what the clock changes, until ctx ends.
func (n *Node) watchClock(ctx context.Context) {
	timer := time.NewTimer(n.heartbeat)
	defer timer.Stop()
	var pace pace
	for {
		select {
		case <-timer.C:
		case <-n.changes.turned:
		case <-ctx.Done():
			return
		}
		now := n.now()
		if pace.step(now).Abs() > leastJump {
			n.lookAtAll(now)
		}
		timer.Reset(n.turn(now))
	}
}

// lookAtAll lets every view be looked at now, since the clock was set, or found to
// differ from the refresher's by more or less than before.
func (n *Node) lookAtAll(now time.Time) {
	c := &n.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range n.cache.cells.all() {
		c.clock.Set(name, now)
	}
	c.wakeLocked()
}

// turn numbers what the clock has changed by now, and returns how long to wait
// before it is looked at next.
func (n *Node) turn(now time.Time) time.Duration {
	n.changes.mu.Lock()
	for {
		name, ok := n.changes.clock.Pop(now)
		if !ok {
			break
		}
		n.lookLocked(name, now)
	}
	wait := clockLook * n.heartbeat
	if next, ok := n.changes.clock.Next(); ok {
		wait = min(wait, next.Sub(now))
	}
	n.changes.mu.Unlock()
	n.changes.tell(false)
	return wait
}

func (n *Node) lookLocked(name Name, now time.Time) {
	cell := n.cache.cell(name)
	v := cell.view.Load()
	if v == nil {
		return
	}
	n.changes.missLocked(cell, v, now) // one that has ended is missing no longer
	if n.sightOf(v, now) != cell.sight {
		n.changes.putLocked(name, cell, n.revives(cell, v, now))
	}
	n.watchTurnLocked(cell, name, v, now)
}
