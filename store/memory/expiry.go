package memory

import (
	"container/heap"
	"time"

	"freshet/coordinator"
)

// grace is how long a value is kept after it expired: expiry inside the value
// is the truth, its removal only cleans up.
const grace = 15 * time.Minute

// budgetGrace is how long a budget is kept after its window.
const budgetGrace = 24 * time.Hour

// expiryOf returns when a record that is written now is removed by itself, zero for never.
func (c *Cluster) expiryOf(record coordinator.Record) time.Time {
	switch r := record.(type) {
	case coordinator.Token:
		return c.after(r.Expires, grace)
	case coordinator.Input:
		return c.after(r.Expires, grace)
	case coordinator.Budget:
		return c.after(r.Ends, budgetGrace)
	case coordinator.Audit:
		return c.after(r.At, coordinator.AuditLife)
	}
	return time.Time{}
}

func (c *Cluster) after(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Now().Add(t.Sub(c.config.Now()) + d)
}

// expiry removes a key that has not been written since revision mod.
type expiry struct {
	at  time.Time
	key key
	mod int64
}

// expiries is a heap, soonest first.
type expiries []expiry

// Len, Less, Swap, Push and Pop make expiries a heap.Interface.
func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e expiries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push is part of heap.Interface.
func (e *expiries) Push(x any) { *e = append(*e, x.(expiry)) }

// Pop is part of heap.Interface.
func (e *expiries) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (e *expiries) add(x expiry) { heap.Push(e, x) }

// expireLocked does what the clock has made due. Everybody who takes the mutex
// to look at keys calls it first.
func (c *Cluster) expireLocked() {
	now := time.Now()
	for i := 0; i < len(c.sessions); {
		if s := c.sessions[i]; !now.Before(s.ends) {
			c.endLocked(s)
			continue
		}
		i++
	}
	if len(c.expiries) == 0 || now.Before(c.expiries[0].at) {
		return
	}
	c.updateLocked(func(t *tx) {
		for len(c.expiries) > 0 && !now.Before(c.expiries[0].at) {
			if x := heap.Pop(&c.expiries).(expiry); c.modLocked(x.key) == x.mod {
				t.delete(x.key)
			}
		}
	})
}

// dueLocked returns when expireLocked has something to do next, zero for never.
func (c *Cluster) dueLocked() time.Time {
	var due time.Time
	if len(c.expiries) > 0 {
		due = c.expiries[0].at
	}
	return earliest(due, c.endingLocked())
}

// endingLocked returns when the next session ends unless it is renewed, zero for never.
func (c *Cluster) endingLocked() time.Time {
	var ending time.Time
	for _, s := range c.sessions {
		ending = earliest(ending, s.ends)
	}
	return ending
}

// earliest returns the earlier of two instants, where zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// sleep returns when woken or done is closed, or at the instant at; zero means never.
func sleep(done, woken <-chan struct{}, at time.Time) {
	var alarm <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-done:
	case <-woken:
	case <-alarm:
	}
}
