package model

// look is the last read before the call: of salvage, and of what the attempt stands on.
func (w *walk) look(from *state, i uint8) {
	again := *from
	s := &again
	a := &s.attempts[i]
	a.read = s.now()
	if !w.sameLife(s, a) && !w.without(LifeLookedAt) {
		w.void(s, i, "a new life has begun")
		return
	}
	seen := s.salvage
	if w.without(LookAtAll) {
		seen = 0
		if a.previous != 0 {
			seen = s.salvage & bit(a.previous)
		}
	}
	if k := w.fitting(s); k != 0 && seen&bit(k) != 0 {
		t := *s
		t.attempts[i].source = k
		w.sendOn(&t, i, message{op: opPublish})
		w.emit(&t, step{text: "{n} finds the salvage of {b} and sends Publish({a})", node: a.node, attempt: i, other: k})
		return
	}
	if a.previous != 0 && w.Kind.rotates() {
		w.lookAfter(s, i)
		return
	}
	due := (s.version < s.wanted && w.callable(s) || a.has(chance)) && s.status != reauthorize
	if a.previous == 0 && !due {
		w.sweep(s, i)
		return
	}
	w.goOn(s, i, a.has(chance) || w.Kind.rotates() && s.unresolved != resolved)
}

// sweep drops salvage that fits no more, and ends an attempt that was opened for it.
func (w *walk) sweep(s *state, i uint8) {
	t := *s
	if a := &s.attempts[i]; w.leads(s, a) {
		w.dropSalvage(&t, w.outlived(&t, &t.attempts[i], true))
	}
	w.void(&t, i, "there is nothing to fetch")
}

// lookAfter is the look of an attempt that took over another under rotation: the
// refresh token may be spent.
func (w *walk) lookAfter(s *state, i uint8) {
	a := &s.attempts[i]
	earlier := &s.attempts[a.previous]
	again := w.without(NeverTwice)
	if w.Kind.forgives() && s.unresolved != refused {
		chained := earlier.previous != 0 && w.without(GraceFromFirst)
		again = again || s.graceOver == 0 || chained
	}
	repeated := earlier.has(chance)
	if again && !repeated || repeated && w.without(ChanceOnce) {
		w.goOn(s, i, true)
		return
	}
	t := *s
	m := message{op: opFail, status: uncertain, unresolved: unresolved}
	if repeated || s.status == reauthorize {
		m.status = reauthorize
	}
	if w.without(TakeoverNoted) {
		m.unresolved = resolved
	}
	w.sendOn(&t, i, m)
	w.emit(&t, step{text: "{n} sends Publish({a}): the outcome of {b} is not known", node: a.node, attempt: i, other: a.previous})
}

// goOn lets an attempt that has looked make its call.
func (w *walk) goOn(s *state, i uint8, gambles bool) {
	t := *s
	a := &t.attempts[i]
	a.stage = ready
	a.generation, a.refresh = s.generation, s.refresh
	if gambles {
		a.flags |= gamble
	}
	if s.salvage != 0 && w.fitting(s) != 0 {
		a.flags |= overlooked
	}
	w.emit(&t, step{text: "{n} has read: {a} may call", node: a.node, attempt: i})
}

// write begins the call, unless leadership or time is up.
func (w *walk) write(s *state, i uint8) {
	a := &s.attempts[i]
	node := s.nodes[a.node]
	held := node.leads == 1 && node.epoch == a.epoch && node.overdue == 0 || w.without(LocalLease)
	late := a.has(expired) && !w.without(DeadlineFromOpening)
	outside := w.outside(s, a)
	if held && !outside && (!late || s.lateWrites > 0) {
		t := *s
		b := &t.attempts[i]
		text := "{n} writes the request of {a}"
		if late {
			t.lateWrites--
			b.flags |= lateWrite
			text = "{n} writes the request of {a} late (W1)"
		}
		b.stage, b.net = calling, requested
		b.flags |= written
		if b.has(gamble) && s.unresolved == refused && b.life == s.life {
			w.violate(RefusedPresented)
		}
		w.checkCall(s, b, i)
		w.emit(&t, step{text: text, node: a.node, attempt: i, costs: late})
	}
	if late || !held {
		w.void(s, i, "it is too late to call")
	} else if outside {
		t := *s
		w.sendOn(&t, i, message{op: opFail, status: uncertain, unresolved: unresolved})
		w.emit(&t, step{text: "{n} sends Publish({a}): the grace is over", node: a.node, attempt: i})
	}
}

// outside reports whether an attempt may not present a refresh token again because
// the platform's grace could end before the call.
func (w *walk) outside(s *state, a *attempt) bool {
	if !a.has(gamble) || a.has(chance) || !w.Kind.forgives() || s.graceOver == 0 || w.without(NeverTwice) {
		return false
	}
	chained := a.previous != 0 && s.attempts[a.previous].previous != 0
	return !chained || !w.without(GraceFromFirst)
}

// checkCall looks for a call that should not begin.
func (w *walk) checkCall(s *state, a *attempt, i uint8) {
	for k := range s.attempts {
		b := &s.attempts[k]
		if uint8(k) == i || !b.has(written) || b.incarnation != a.incarnation {
			continue
		}
		open := b.net == requested || b.net == replied && b.stage == calling && !b.has(expired)
		switch {
		case !open:
		case a.has(lateWrite) || b.has(lateWrite):
			w.violate(WindowLateWrite)
		case b.net == requested && b.has(lateArrival):
			w.violate(WindowLateArrival)
		default:
			w.violate(TwoCalls)
		}
		if s.faulted == 0 && b.version == a.version {
			w.violate(CalledTwiceForOne)
		}
	}
	switch {
	case a.version >= s.version || a.incarnation != s.incarnation || s.value == pushed:
	case a.has(lateWrite):
		w.violate(WindowLateWrite)
	default:
		w.violate(CalledForReplaced)
	}
}

// timeOut ends a call at its deadline, or when its connection broke.
func (w *walk) timeOut(s *state, i uint8) {
	a := &s.attempts[i]
	if !a.has(expired) && a.net != over {
		return
	}
	t := *s
	t.attempts[i].stage = unanswered
	w.emit(&t, step{text: "{n} has no answer to the call of {a}", node: a.node, attempt: i})
}

// settleUnanswered publishes that nobody knows what the call did.
func (w *walk) settleUnanswered(s *state, i uint8) {
	t := *s
	a := &t.attempts[i]
	m := message{op: opFail, status: failing}
	if w.Kind.rotates() {
		m.status, m.unresolved = uncertain, unresolved
		if a.has(chance) {
			m.status = reauthorize
		}
		if w.without(UnknownNoted) {
			m.status, m.unresolved = failing, resolved
		}
	}
	w.sendOn(&t, i, m)
	w.emit(&t, step{text: "{n} sends Publish({a}): no answer came", node: a.node, attempt: i})
}

// settleDenied reads again after an invalid_grant, and publishes what it means.
func (w *walk) settleDenied(from *state, i uint8) {
	again := *from
	s := &again
	a := &s.attempts[i]
	a.read = s.now()
	if !w.sameLife(s, a) && s.intent == i {
		w.void(s, i, "a new life has begun")
		return
	}
	t := *s
	m := message{op: opFail, status: reauthorize, unresolved: s.unresolved}
	if a.has(gamble) && !a.has(chance) {
		m.status, m.unresolved = uncertain, refused
	}
	if w.without(TakeoverNoted) {
		m.status, m.unresolved = reauthorize, resolved
	}
	w.sendOn(&t, i, m)
	w.emit(&t, step{text: "{n} sends Publish({a}): invalid_grant", node: a.node, attempt: i})
}

// fail sends a failure again that was refused.
func (w *walk) fail(s *state, i uint8) {
	a := &s.attempts[i]
	switch {
	case a.net == unsent:
		t := *s
		t.attempts[i].flags &^= closing
		t.attempts[i].stage = looking
		w.emit(&t, step{text: "{n} looks again for {a}", node: a.node, attempt: i})
	case a.yielded == 0 && a.value == 0 && a.net == over && a.has(rejected):
		w.settleDenied(s, i)
	default:
		w.settleUnanswered(s, i)
	}
}
