package coordinator

import "time"

// Records are dated by the wall clock, which people and time servers set, and
// which goes on while a machine is suspended. The monotonic clock does neither.
// Where the two of one node disagree, whatever ends has ended by the clock that
// went further, and the schedule runs on the monotonic one.

// mark says what the wall clock showed when this node first knew a record: from
// then on the monotonic clock tells as well what has ended.
type mark struct {
	at     time.Time     // by the monotonic clock
	wall   time.Time     // by the wall clock
	margin time.Duration // Node.Margin then; it changes with the wall clock
}

// mark ties the two clocks together now.
func (n *Node) mark() mark {
	now := n.now()
	return mark{at: now, wall: now.Round(0), margin: n.Margin()}
}

// of is the mark of a value: none lives longer than was granted, even where its
// first instant is still to come.
func (m mark) of(issued time.Time) mark {
	m.wall = later(m.wall, issued)
	return m
}

// reads is what the wall clock would show at an instant had it not been set
// since; ok is false for the zero mark.
func (m mark) reads(now time.Time) (wall time.Time, ok bool) {
	return m.wall.Add(now.Sub(m.at)), !m.at.IsZero()
}

// seenState is when this node first knew what a state says of when it is due.
type seenState struct {
	mark
	due time.Time
}

// next is what is known of the state that follows.
func (s seenState) next(state State, now mark) seenState {
	switch result := state.NewestOutcome().Result; {
	case s.due.Equal(state.Due) && !s.at.IsZero():
		return s
	case result == ResultPublished, result == ResultSalvaged:
		now = now.of(state.Issued) // due counts from there
	}
	return seenState{mark: now, due: state.Due}
}

// furthest is the instant that is compared with what a group's states say: now,
// or later where the wall clock was set back since this node knew them.
func (r *records) furthest(t task, now time.Time) time.Time {
	furthest := now
	for _, state := range t.states {
		if wall, ok := r.seen[state.Name].reads(now); ok {
			furthest = later(furthest, wall)
		}
	}
	return furthest
}

// pace compares how far the two clocks went.
type pace struct{ last time.Time }

// step returns by how much the wall clock was set since the last step.
func (p *pace) step(now time.Time) time.Duration {
	last := p.last
	p.last = now
	if last.IsZero() {
		return 0
	}
	return now.Round(0).Sub(last.Round(0)) - now.Sub(last)
}

const (
	leastJump = 2 * time.Second // of the wall clock that is noticed
	easeFor   = 5 * time.Minute // over which refreshes are spread that a jump has made due
)

// heedJump notices that the wall clock was set, or that the machine was
// suspended, and plans anew. It comes before whatever plans by the clock.
func (r *refresher) heedJump() {
	now := r.node.now()
	if r.pace.last.IsZero() {
		r.easeInherited(now)
	}
	jump := r.pace.step(now)
	if jump.Abs() <= leastJump {
		return
	}
	r.log.Warn("the clock was set, or this machine was suspended", "jump", jump.Round(time.Millisecond), "planned", len(r.planned))
	if jump > 0 {
		r.ease(now)
	}
	r.replanAll()
}

// ease spreads what a jump forward makes due although the monotonic clock says
// otherwise: within half of the life left, so that what has ended comes first.
func (r *refresher) ease(now time.Time) {
	for id, t := range r.planned {
		if t.request == nil && t.at.After(now) {
			r.spread(id, t, now)
		}
	}
}

// easeInherited is ease as a leadership begins, for jumps that came before it: one
// forward ends the leadership of its node, so that the next one meets what it made
// due. The clocks tell that as they were when this node first knew each state.
func (r *refresher) easeInherited(now time.Time) {
	r.replanAll()
	r.node.cache.reading(func(known *records) {
		for id, t := range r.planned {
			due := t.states[0].Due
			wall, ok := known.seen[t.states[0].Name].reads(now)
			byWall := ok && !due.After(now) && due.Sub(wall) > leastJump
			if byWall && t.kind == taskFetch && t.request == nil && !t.at.After(now) {
				t.at = now.Add(due.Sub(wall))
				r.spread(id, t, now)
			}
		}
	})
}

// spread puts a group off that a jump has made due.
func (r *refresher) spread(id groupID, t task, now time.Time) {
	span := min(easeFor, max(t.urgency().Sub(now)/2, 0))
	until := now.Add(time.Duration(chance() * float64(span)))
	if t.at.Before(until) && t.kind == taskFetch {
		until = t.at
	}
	r.eased[id] = until
}

// eases returns not before when a group is refreshed that a jump made due.
func (r *refresher) eases(t task) time.Time {
	if t.kind != taskFetch || t.request != nil || t.salvaged {
		return time.Time{}
	}
	return r.eased[t.id]
}

// steady returns an instant as the monotonic clock has it, by the distance that
// both clocks agree on now: what is planned then stands when the wall clock is set.
func steady(at, now time.Time) time.Time { return now.Add(at.Sub(now)) }
