package model

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// Result is what a walk has found.
type Result struct {
	States int // different situations that were reached
	Steps  int
	Capped bool // there was no end within Config.States
	Cut    int  // situations in which all attempts were used
	Found  Violations
	Counts [violations]int
	Traces map[Violation][]string // the shortest way to each
}

// Broken returns the violations found, without the named windows.
func (r Result) Broken() []Violation {
	return slices.DeleteFunc(r.Found.All(), Violation.Window)
}

// Walk goes through every interleaving within the bounds, breadth first.
func Walk(c Config) Result {
	w := &walk{Config: c, seed: maphash.MakeSeed(), result: Result{Traces: map[Violation][]string{}}}
	w.table = make([]uint32, 1<<12)
	first := c.initial()
	for _, text := range c.After {
		first = w.follow(first, text)
	}
	w.add(&first, 0)
	for w.at = 0; w.at < len(w.states) && !w.ended(); w.at++ {
		s := w.states[w.at]
		w.froms = append(w.froms, uint32(len(w.edges))) //nolint:gosec // bounded by memory
		w.expand(&s)
		if s.nextAttempt > maxAttempts {
			w.result.Cut++
		}
	}
	w.result.Capped = w.at < len(w.states)
	w.result.States = len(w.states)
	if !w.result.Capped {
		w.findStuck()
	}
	return w.result
}

// walk is a walk under way.
type walk struct {
	Config
	seed    maphash.Seed
	states  []state
	parents []uint32 // :: state → the one it was first reached from
	table   []uint32 // open addressing: index of a state + 1
	edges   []uint32 // steps without a fault
	froms   []uint32 // :: state → its first edge
	at      int
	pending Violations // of the step that is being made
	taken   []taken    // while a trace is put together
	record  bool
	result  Result
}

// step describes a step for people.
type step struct {
	text                 string
	node, attempt, other uint8
	op                   op
	answer               answer
	change               Change
	fault                bool // it spends one of the faults
	costs                bool // it spends something else that is bounded
}

type taken struct {
	state state
	step  step
}

func (w *walk) without(r Rule) bool { return w.Without.Has(r) }

// violate notes a violation of the step that is being made.
func (w *walk) violate(v Violation) { w.pending |= 1 << v }

func (w *walk) ended() bool {
	return w.States > 0 && len(w.states) > w.States || w.Stop && len(w.result.Broken()) > 0
}

// expand makes every step that can follow.
func (w *walk) expand(s *state) {
	for n := range w.Nodes {
		w.stepNode(s, uint8(n))
	}
	for i := uint8(1); i < s.nextAttempt; i++ {
		w.stepAttempt(s, i)
	}
	if s.stray.op != none {
		w.deliver(s)
	}
	w.stepPlatform(s)
	w.stepPeople(s)
}

// deliver takes a transaction whose sender has gone.
func (w *walk) deliver(s *state) {
	t := *s
	t.stray = message{}
	ok := conflict
	if w.commit(&t, s.stray) {
		ok = committed
	}
	w.emit(&t, step{text: "the store takes {op} of {a} late: {ok}", attempt: s.stray.attempt, op: s.stray.op, answer: ok})
}

// emit records a step.
func (w *walk) emit(t *state, st step) {
	if st.fault {
		t.faults--
	}
	if st.fault || st.costs {
		t.faulted = 1
	}
	t.tidy()
	if w.forgotten(t) {
		w.violate(OutcomeForgotten)
	}
	found := w.pending
	w.pending = 0
	if w.record {
		w.taken = append(w.taken, taken{*t, st})
		return
	}
	w.result.Steps++
	id := w.add(t, uint32(w.at)) //nolint:gosec // bounded by memory
	if !st.fault && !st.costs {
		w.edges = append(w.edges, id)
	}
	for _, v := range found.All() {
		w.result.Counts[v]++
		if !w.result.Found.Has(v) {
			w.result.Found |= 1 << v
			w.result.Traces[v] = w.trace(w.at, t)
		}
	}
}

// add returns the number of a state, which is new or known.
func (w *walk) add(s *state, from uint32) uint32 {
	if 2*len(w.states) > len(w.table) {
		w.grow()
	}
	mask := uint64(len(w.table) - 1) //nolint:gosec // bounded by memory
	at := maphash.Comparable(w.seed, *s) & mask
	for ; w.table[at] != 0; at = (at + 1) & mask {
		if w.states[w.table[at]-1] == *s {
			return w.table[at] - 1
		}
	}
	w.states = append(w.states, *s)
	w.parents = append(w.parents, from)
	w.table[at] = uint32(len(w.states)) //nolint:gosec // bounded by memory
	return w.table[at] - 1
}

func (w *walk) grow() {
	w.table = make([]uint32, 2*len(w.table))
	mask := uint64(len(w.table) - 1) //nolint:gosec // bounded by memory
	for i := range w.states {
		at := maphash.Comparable(w.seed, w.states[i]) & mask
		for w.table[at] != 0 {
			at = (at + 1) & mask
		}
		w.table[at] = uint32(i + 1)
	}
}

// trace is the way to a state, and one step beyond it to last, if there is one.
func (w *walk) trace(to int, last *state) []string {
	var path []int
	for i := to; i != 0; i = int(w.parents[i]) {
		path = append(path, i)
	}
	path = append(path, 0)
	slices.Reverse(path)
	pending := w.pending
	w.record = true
	var steps []string
	for i, from := range path {
		next := last
		if i+1 < len(path) {
			next = &w.states[path[i+1]]
		}
		if next != nil {
			steps = append(steps, w.stepTo(w.states[from], next))
		}
	}
	w.record, w.pending = false, pending
	return steps
}

// follow takes the step that a trace names so; a walk cannot begin after one that is not possible.
func (w *walk) follow(from state, text string) state {
	w.record, w.taken = true, w.taken[:0]
	w.expand(&from)
	w.record = false
	for i := range w.taken {
		if w.taken[i].step.String() == text {
			return w.taken[i].state
		}
	}
	panic("model: no such step: " + text)
}

// stepTo finds the step between two states.
func (w *walk) stepTo(from state, to *state) string {
	w.taken = w.taken[:0]
	w.expand(&from)
	for i := range w.taken {
		if w.taken[i].state == *to {
			return w.taken[i].step.String()
		}
	}
	return "?"
}

func (st step) String() string {
	name := func(a uint8) string { return fmt.Sprintf("a%d", a) }
	ok := "refused"
	if st.answer == committed {
		ok = "committed"
	}
	return strings.NewReplacer("{n}", string(rune('A'+st.node)), "{a}", name(st.attempt), "{b}", name(st.other),
		"{op}", st.op.String(), "{ok}", ok, "{change}", st.change.String()).Replace(st.text)
}
