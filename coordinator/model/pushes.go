package model

import "slices"

// Pushes is a model of its own, of a token whose values are pushed: nobody is
// called for it, so nothing of the attempts is in it. Three clients push a value
// each, the third one that of the first again; two refreshers publish. Answers
// are lost and transactions commit later, refreshers are deposed, the app is
// deleted and made again. As in the code every publication compares the state.
type Pushes struct {
	Faults  uint8 // of any kind, in one run
	Without PushRules
	Stop    PushViolations // the walk ends when one of these is found

	seen  map[pushes]struct{}
	todo  []pushes
	found PushViolations
}

// PushRule is one guard of pushes.
type PushRule uint8

// The rules.
const (
	PushComparesState PushRule = iota // a push stands on the state that its node saw
	PushComparesInput                 // and takes the place of nothing else than it saw waiting
	TakeFenced                        // only who leads publishes
	TakeComparesInput                 // and only what it has read
	InputGoes                         // which goes in the same transaction
	InputOfOneLife                    // and only in the life of the app in which it was pushed
	PromiseKept                       // a version that was promised comes, although the value is held already
)

// PushRules is a set of rules.
type PushRules uint8

func (s PushRules) has(r PushRule) bool { return s>>r&1 == 1 }

// PushViolation is what must not happen to a push.
type PushViolation uint8

// The violations.
const (
	PushedTwice      PushViolation = iota // one push was published twice
	PushedOverNewer                       // a push replaced one that began when it was over
	PushLost                              // a push that was accepted is neither published nor replaced
	PushByDeposed                         // a refresher published that leads no more
	PushOfFormerLife                      // a push reached an app that was made after it
	PromiseBroken                         // a version that was promised did not come
)

// PushViolations is a set of violations.
type PushViolations uint8

// Has reports whether a violation is in the set.
func (s PushViolations) Has(v PushViolation) bool { return s>>v&1 == 1 }

const pushers = 3

// pushes is one state of the walk. A zero revision or id means that there is none.
type pushes struct {
	revision, state, version, held, life uint8
	input                                heldInput
	epoch                                uint8
	clients                              [pushers]pusher
	takes                                [2]take // of the refresher that leads, and of the one before it
	published                            [6]uint8
	count, faults, recreated             uint8
}

type heldInput struct{ id, revision, wanted, life uint8 }

type pusher struct {
	phase                      pushPhase
	copies                     uint8 // of its transaction, under way
	resent                     bool
	state, input, wanted, life uint8 // seen, and what follows from it
	before                     uint8 // pushes that were over when this one began
}

type pushPhase uint8

const (
	pushIdle    pushPhase = iota
	pushSent              // its answer is waited for
	pushTaken             // accepted
	pushUnknown           // given up: nobody can tell
)

type take struct {
	epoch, state uint8 // epoch 0: none is under way
	input        heldInput
}

// sameValues reports whether two pushes are of one value.
func sameValues(a, b uint8) bool { return a == b || a != 2 && b != 2 && a != 0 && b != 0 }

// Walk goes through every interleaving and returns what was violated, and how
// many states there are.
func (p *Pushes) Walk() (PushViolations, int) {
	p.seen, p.todo, p.found = map[pushes]struct{}{}, nil, 0
	p.reach(pushes{revision: 1, state: 1, life: 1, epoch: 1, faults: p.Faults, recreated: 1})
	for len(p.todo) > 0 && p.found&p.Stop == 0 {
		s := p.todo[len(p.todo)-1]
		p.todo = p.todo[:len(p.todo)-1]
		if !p.step(s) {
			p.judgeEnd(s)
		}
		p.spoil(s)
	}
	return p.found, len(p.seen)
}

func (p *Pushes) reach(s pushes) {
	if _, ok := p.seen[s]; !ok {
		p.seen[s] = struct{}{}
		p.todo = append(p.todo, s)
	}
}

// step takes every step that is no fault, and reports whether there is one.
func (p *Pushes) step(s pushes) (moved bool) {
	for i := range s.clients {
		if s.clients[i].phase == pushIdle {
			t := s
			t.begin(i)
			p.reach(t)
			moved = true
		}
		if s.clients[i].copies > 0 {
			t := s
			p.arrive(&t, i)
			p.reach(t)
			moved = true
		}
	}
	leads := &s.takes[s.epoch%2]
	if s.input.id != 0 && leads.epoch == 0 {
		t := s
		t.takes[s.epoch%2] = take{epoch: s.epoch, state: s.state, input: s.input}
		p.reach(t)
		moved = true
	}
	for i := range s.takes {
		if s.takes[i].epoch != 0 {
			t := s
			p.publish(&t, i)
			p.reach(t)
			moved = true
		}
	}
	return moved
}

// spoil takes every step that is a fault, and what people do.
func (p *Pushes) spoil(s pushes) {
	if s.recreated > 0 {
		for _, behind := range []bool{false, true} { // a node of an older build leaves the input behind
			t := s
			t.recreated--
			t.recreate(behind)
			p.reach(t)
		}
	}
	if s.faults == 0 {
		return
	}
	s.faults--
	deposed := s
	deposed.epoch++
	deposed.takes[deposed.epoch%2] = take{} // its former workers have ended
	p.reach(deposed)
	for i, c := range s.clients {
		if c.phase != pushSent {
			continue
		}
		again, lost, over := s, s, s
		again.clients[i].copies, again.clients[i].resent = c.copies+1, true
		p.reach(again)
		p.store(&lost, i) // and the answer does not come
		lost.clients[i].copies, lost.clients[i].resent = c.copies, true
		p.reach(lost)
		over.clients[i].phase = pushUnknown
		p.reach(over)
	}
}

func (s *pushes) begin(i int) {
	id, c := uint8(i+1), &s.clients[i] //nolint:gosec // one of three
	*c = pusher{phase: pushSent, copies: 1, state: s.state, input: s.input.revision, life: s.life, wanted: s.version + 1}
	if sameValues(s.held, id) {
		c.wanted = s.version
	}
	c.wanted = max(c.wanted, s.input.wanted)
	for j, other := range s.clients {
		if other.phase == pushTaken || other.phase == pushUnknown {
			c.before |= 1 << j
		}
	}
}

// store lets the store decide on a push.
func (p *Pushes) store(s *pushes, i int) (committed bool) {
	c := s.clients[i]
	if c.state != s.state && !p.Without.has(PushComparesState) || c.input != s.input.revision && !p.Without.has(PushComparesInput) {
		return false
	}
	s.revision++
	s.input = heldInput{id: uint8(i + 1), revision: s.revision, wanted: c.wanted, life: c.life} //nolint:gosec // one of three
	return true
}

// arrive lets one copy reach the store, and its answer come back.
func (p *Pushes) arrive(s *pushes, i int) {
	committed := p.store(s, i)
	c := &s.clients[i]
	c.copies--
	switch {
	case c.phase != pushSent:
	case committed, s.input.id == uint8(i+1), s.has(uint8(i + 1)): //nolint:gosec // one of three
		c.phase = pushTaken
	case c.resent:
		c.phase = pushUnknown // another push may have come in its place
	default:
		c.phase = pushIdle // it looks again
	}
}

func (s *pushes) has(id uint8) bool {
	return slices.Contains(s.published[:s.count], id)
}

// publish lets the store decide on a publication.
func (p *Pushes) publish(s *pushes, i int) {
	t := s.takes[i]
	s.takes[i] = take{}
	switch {
	case t.epoch != s.epoch && !p.Without.has(TakeFenced), t.state != s.state:
		return
	case t.input.revision != s.input.revision && !p.Without.has(TakeComparesInput):
		return
	}
	s.revision++
	s.state = s.revision
	if !p.Without.has(InputGoes) {
		s.input = heldInput{}
	}
	if t.epoch != s.epoch {
		p.found |= 1 << PushByDeposed
	}
	if t.input.life != s.life && !p.Without.has(InputOfOneLife) {
		return // dropped
	}
	p.judge(*s, t.input)
	if !sameValues(s.held, t.input.id) || t.input.wanted > s.version && !p.Without.has(PromiseKept) {
		s.version++
	}
	s.held = t.input.id
	if int(s.count) < len(s.published) {
		s.published[s.count] = t.input.id
		s.count++
	}
}

// judge looks at a publication that is about to be made.
func (p *Pushes) judge(s pushes, input heldInput) {
	if s.has(input.id) {
		p.found |= 1 << PushedTwice
	}
	if input.life != s.life {
		p.found |= 1 << PushOfFormerLife
	}
	for _, earlier := range s.published[:s.count] {
		if s.clients[earlier-1].before>>(input.id-1)&1 == 1 {
			p.found |= 1 << PushedOverNewer
		}
	}
}

// judgeEnd looks at a state in which nothing more happens by itself.
func (p *Pushes) judgeEnd(s pushes) {
	for i, c := range s.clients {
		id := uint8(i + 1)
		if c.phase != pushTaken || c.life != s.life {
			continue
		}
		if s.version < c.wanted {
			p.found |= 1 << PromiseBroken
		}
		replaced := s.has(id)
		for _, other := range s.published[:s.count] {
			replaced = replaced || c.before>>(other-1)&1 == 0
		}
		if !replaced {
			p.found |= 1 << PushLost
		}
	}
}

// recreate deletes the app and makes it again.
func (s *pushes) recreate(behind bool) {
	s.revision++
	s.state, s.held = s.revision, 0
	s.life++
	if !behind {
		s.input = heldInput{}
	}
}
