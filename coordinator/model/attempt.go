package model

// stepAttempt is one step of a worker, of the network around it, or of its clock.
func (w *walk) stepAttempt(s *state, i uint8) {
	a := &s.attempts[i]
	w.expire(s, i)
	w.stepNet(s, i)
	if a.sent.op != none {
		w.stepSent(s, i)
		return
	}
	if s.nodes[a.node].alive == 0 {
		return
	}
	switch a.stage {
	case looking:
		w.look(s, i)
	case ready:
		w.write(s, i)
	case calling:
		w.timeOut(s, i)
	case answered:
		w.send(s, i, opPublish, "{n} has the result of {a} on its disk and sends Publish")
	case denied:
		w.settleDenied(s, i)
	case unanswered:
		w.settleUnanswered(s, i)
	case rereading:
		w.reread(s, i)
	case unused, opening, publishing, done, dead:
	}
}

// expire lets the deadline of an attempt pass. That is nothing special where
// nobody works on it any more, and a fault where somebody does.
func (w *walk) expire(s *state, i uint8) {
	a := &s.attempts[i]
	relevant := a.works() || s.intent == i || a.net == requested || s.stray.op == opOpen && s.stray.attempt == i
	if a.stage == unused || a.has(expired) || !relevant {
		return
	}
	node := s.nodes[a.node]
	idle := !a.works() || node.alive == 0 || s.key[a.node] != a.epoch || node.overdue == 1 || node.epoch != a.epoch
	idle = idle || a.stage == calling && a.net == over
	if !idle && s.faults == 0 {
		return
	}
	t := *s
	t.attempts[i].flags |= expired
	if a.net == requested && !a.has(lateWrite) && !w.without(DeadlineFromOpening) {
		if s.lateArrivals > 0 {
			late := t
			late.lateArrivals--
			late.attempts[i].flags |= lateArrival
			w.emit(&late, step{text: "the deadline of {a} passes while its request is on its way (W2)", attempt: i, costs: true})
		}
		t.attempts[i].net = over
	}
	w.emit(&t, step{text: "the deadline of {a} passes", attempt: i, fault: !idle})
}

// stepSent delivers a transaction, brings its answer, or loses it.
func (w *walk) stepSent(s *state, i uint8) {
	a := &s.attempts[i]
	if a.answer != waiting {
		if s.nodes[a.node].alive == 1 {
			w.answer(s, i)
		}
		return
	}
	t := *s
	t.attempts[i].answer = conflict
	if w.commit(&t, a.sent) {
		t.attempts[i].answer = committed
	}
	w.emit(&t, step{text: "the store takes {op} of {a}: {ok}", attempt: i, op: a.sent.op, answer: t.attempts[i].answer})
	if s.faults == 0 {
		return
	}
	if a.sent.op == opSalvage {
		t.stray = a.sent
		w.emit(&t, step{text: "the store takes {op} of {a}; a copy stays behind", attempt: i, op: a.sent.op, fault: true})
	}
	if w.without(ResendOnly) {
		w.guess(s, i)
	}
}

// guess is what R2 forbids: to read, and to believe what is not there.
func (w *walk) guess(s *state, i uint8) {
	t := *s
	a := &t.attempts[i]
	sent := a.sent.op
	t.leave(a)
	switch sent {
	case opOpen:
		a.stage = done
		if t.intent == i {
			a.stage = looking
		}
	case opPublish, opFail, opVoid, opSalvage:
		a.stage = rereading
		if a.source != 0 && t.intent == i {
			a.stage, a.source, a.refresh = ready, 0, t.refresh
			a.flags |= gamble | overlooked
		}
	case none:
	}
	w.emit(&t, step{text: "{n} gets no answer to {op} of {a} and reads", node: a.node, attempt: i, op: sent, fault: true})
}

// answer lets a worker learn what became of what it sent.
func (w *walk) answer(s *state, i uint8) {
	t := *s
	a := &t.attempts[i]
	sent, ok := a.sent.op, a.answer == committed
	a.sent, a.answer = message{}, waiting
	a.stage = done
	switch {
	case sent == opOpen && ok:
		a.stage = looking
	case sent == opOpen:
		if n := a.node; t.key[n] != a.epoch && t.nodes[n].epoch == a.epoch {
			w.stepDown(&t, n)
		}
	case ok, sent == opVoid:
		t.safe(a)
	default:
		a.stage = rereading
	}
	w.emit(&t, step{text: "{n} learns what became of {op} of {a}", node: a.node, attempt: i, op: sent})
}

// safe ends an attempt whose result needs its disk no more.
func (s *state) safe(a *attempt) {
	a.stage = done
	a.flags &^= spooled
}

// send sends the end of an attempt, put together from what is read now.
func (w *walk) send(s *state, i uint8, o op, text string) {
	t := *s
	w.sendOn(&t, i, message{op: o})
	w.emit(&t, step{text: text, node: s.attempts[i].node, attempt: i, other: t.attempts[i].source})
}

// sendOn fills a message in from what is read now.
func (w *walk) sendOn(t *state, i uint8, m message) {
	a := &t.attempts[i]
	m.attempt, m.source, m.read = i, a.source, a.read
	switch {
	case m.op == opVoid || m.op == opFail:
		a.flags |= closing
	case w.Kind.rotates() && a.source == 0 && !w.without(SpoolFirst):
		a.flags |= spooled
	}
	if w.leads(t, a) {
		m.epoch = a.epoch
	}
	if m.op == opFail {
		m.epoch = a.epoch
	}
	m.read.salvage = w.outlived(t, a, m.op == opFail)
	a.sent, a.answer, a.stage = m, waiting, publishing
}

// outlived returns the salvage an attempt has seen that nobody can use once it has ended.
func (w *walk) outlived(s *state, a *attempt, failed bool) (set uint8) {
	if w.without(FittingKept) {
		return a.read.salvage
	}
	from := a
	if a.source != 0 {
		from = &s.attempts[a.source]
	}
	for k := uint8(1); k <= maxAttempts; k++ {
		b := &s.attempts[k]
		stays := w.fits(s, k) && (failed || w.Kind.rotates() && after(b, from))
		if a.read.salvage&bit(k) != 0 && !stays {
			set |= bit(k)
		}
	}
	return set
}

// after reports whether a result is newer than another.
func after(b, a *attempt) bool {
	return b.generation > a.generation || b.generation == a.generation && b.order > a.order
}

// leads reports whether the store knows the epoch of an attempt.
func (w *walk) leads(s *state, a *attempt) bool {
	return a.epoch != 0 && s.key[a.node] == a.epoch || w.without(EpochCompared) && a.epoch != 0
}

// void ends an attempt that made no call. What has taken over another stays.
func (w *walk) void(s *state, i uint8, why string) {
	t := *s
	a := &t.attempts[i]
	if a.previous != 0 && !w.without(VoidFirstOnly) && w.sameLife(s, a) {
		a.stage = done
		w.emit(&t, step{text: "{n} leaves the intent {a}: " + why, node: a.node, attempt: i})
		return
	}
	w.sendOn(&t, i, message{op: opVoid})
	w.emit(&t, step{text: "{n} sends Void({a}): " + why, node: a.node, attempt: i})
}

// reread is what follows a refused publication (settleRefused).
func (w *walk) reread(from *state, i uint8) {
	again := *from
	s := &again
	a := &s.attempts[i]
	a.read = s.now()
	ours := s.intent == i
	result := !a.has(closing)
	switch {
	case s.ended&bit(i) != 0:
		w.end(s, i, "{n} finds {a} among the outcomes")
	case !w.sameLife(s, a) && !w.without(LivesCompared):
		t := *s
		if result && w.Kind.rotates() && a.life == s.life && newer(s, a) {
			w.violate(ResultLost)
		}
		t.attempts[i].flags |= dropped
		t.attempts[i].flags &^= spooled
		if ours {
			w.sendOn(&t, i, message{op: opVoid})
		} else {
			t.safe(&t.attempts[i])
		}
		w.emit(&t, step{text: "{n} drops the result of {a}: a new life has begun", node: a.node, attempt: i})
	case ours && w.without(ReadAgain):
		// The same transaction again: it is refused for ever.
	case ours && !result && !w.leads(s, a):
		w.end(s, i, "{n} leaves the failure of {a} to its successor")
	case ours && !result:
		w.fail(s, i)
	case ours || w.without(SavingComparesIntent) && !w.leads(s, a):
		w.send(s, i, opPublish, "{n} reads again and sends Publish({a})")
	case !result || a.source != 0:
		w.end(s, i, "{n} ends {a}: the intent is somebody else's")
	default:
		w.save(s, i)
	}
}

// save stores a result whose intent is somebody else's (T3b(b)).
func (w *walk) save(s *state, i uint8) {
	if !w.without(SalvageStored) {
		w.send(s, i, opSalvage, "{n} sends Salvage({a})")
		return
	}
	a := &s.attempts[i]
	if w.Kind.rotates() && newer(s, a) {
		w.violate(ResultLost)
	}
	w.end(s, i, "{n} drops the result of {a}")
}

func (w *walk) end(s *state, i uint8, text string) {
	t := *s
	t.safe(&t.attempts[i])
	w.emit(&t, step{text: text, node: s.attempts[i].node, attempt: i})
}
