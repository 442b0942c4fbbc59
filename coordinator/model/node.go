package model

// stepNode is what a process does apart from its attempts, and what becomes of
// its election key.
func (w *walk) stepNode(s *state, n uint8) {
	if s.nodes[n].alive == 0 {
		w.restart(s, n)
	} else {
		w.campaign(s, n)
		w.notice(s, n)
		w.crash(s, n)
		if s.nodes[n].leads == 1 && (s.nodes[n].overdue == 0 || w.without(LocalLease)) {
			w.plan(s, n)
		}
	}
	w.loseKey(s, n)
}

// campaign puts an election key, and learns that it is the oldest.
func (w *walk) campaign(s *state, n uint8) {
	node := s.nodes[n]
	if node.epoch == 0 && s.key[n] == 0 && s.nextEpoch < 9 && !w.busy(s, n) {
		t := *s
		t.key[n], t.nodes[n].epoch = t.nextEpoch, t.nextEpoch
		t.nextEpoch++
		w.emit(&t, step{text: "{n} campaigns", node: n})
	}
	if node.epoch == 0 || node.leads == 1 {
		return
	}
	gone := s.key[n] != node.epoch
	elected := !gone && s.first(n)
	if gone && w.without(Verified) {
		elected = true
		for _, epoch := range s.key {
			elected = elected && (epoch == 0 || epoch > node.epoch)
		}
	}
	switch {
	case elected:
		t := *s
		t.nodes[n].leads = 1
		w.emit(&t, step{text: "{n} leads", node: n})
	case gone:
		t := *s
		w.stepDown(&t, n)
		w.emit(&t, step{text: "{n} sees that its candidacy is gone", node: n})
	}
}

// busy reports whether a worker of the node is still under way.
func (w *walk) busy(s *state, n uint8) bool {
	if w.without(Joined) {
		return false
	}
	for i := range s.attempts {
		if a := &s.attempts[i]; a.node == n && a.works() {
			return true
		}
	}
	return false
}

// notice is how a leader learns that it leads no more, or stands still until it cannot assume to.
func (w *walk) notice(s *state, n uint8) {
	node := s.nodes[n]
	if node.leads == 0 {
		return
	}
	if s.key[n] != node.epoch || node.overdue == 1 {
		t := *s
		if t.key[n] == node.epoch {
			t.key[n] = 0 // it resigns
		}
		w.stepDown(&t, n)
		w.emit(&t, step{text: "{n} notices that it leads no more", node: n})
	}
	if node.overdue == 0 && s.faults > 0 {
		t := *s
		t.nodes[n].overdue = 1
		w.emit(&t, step{text: "{n} is paused or cut off until its session is over by its own clock", node: n, fault: true})
	}
}

// stepDown ends a leadership in its process: what was only sent is given up, and
// goes on its way; what was written is read on.
func (w *walk) stepDown(s *state, n uint8) {
	s.nodes[n] = node{alive: 1}
	for i := range s.attempts {
		a := &s.attempts[i]
		if a.node != n {
			continue
		}
		switch {
		case a.stage == opening:
			a.stage = done
			s.leave(a)
		case a.stage == calling && w.without(ReadOn):
			a.stage = done
			if a.net == replied && a.yielded != 0 {
				w.violate(ReadCancelled)
			}
		}
	}
}

// leave lets what an attempt has sent go on its way without its sender.
func (s *state) leave(a *attempt) {
	if a.sent.op != none && a.answer == waiting {
		s.stray = a.sent
	}
	a.sent, a.answer = message{}, waiting
}

// crash ends a process. Its disk keeps what was spooled.
func (w *walk) crash(s *state, n uint8) {
	if s.faults == 0 {
		return
	}
	t := *s
	t.nodes[n] = node{}
	for i := range t.attempts {
		a := &t.attempts[i]
		if a.node != n || !a.works() {
			continue
		}
		w.losses(&t, uint8(i))
		a.stage = done
		if a.has(spooled) {
			a.stage = dead
		}
		t.leave(a)
	}
	w.emit(&t, step{text: "{n} crashes", node: n, fault: true})
}

// losses looks for a result that ends with its process.
func (w *walk) losses(s *state, i uint8) {
	a := &s.attempts[i]
	safe := a.has(spooled) || a.has(published) || a.has(dropped) || s.salvage&bit(i) != 0
	if !a.has(received) || safe || a.has(closing) || !w.Kind.rotates() {
		return
	}
	a.flags |= lost
	if a.stage == answered {
		w.violate(WindowBeforeDisk)
		return
	}
	w.violate(ResultLost)
}

// restart begins a process anew; what is on its disk is replayed.
func (w *walk) restart(s *state, n uint8) {
	t := *s
	t.nodes[n] = node{alive: 1}
	for i := range t.attempts {
		if a := &t.attempts[i]; a.node == n && a.stage == dead {
			a.stage, a.epoch = rereading, 0
		}
	}
	w.emit(&t, step{text: "{n} starts again and replays its spool", node: n})
	if s.disks == 0 {
		return
	}
	t = *s
	found := false
	for i := range t.attempts {
		a := &t.attempts[i]
		if a.node != n || a.stage != dead {
			continue
		}
		a.stage, found = done, true
		a.flags &^= spooled
		if !a.has(published) && t.salvage&bit(uint8(i)) == 0 {
			a.flags |= lostDisk
		}
	}
	if found {
		t.disks--
		w.violate(WindowDiskLost)
		w.emit(&t, step{text: "{n} loses its disk", node: n, costs: true})
	}
}

// loseKey takes an election key away: because its session is over, or by somebody's hand.
func (w *walk) loseKey(s *state, n uint8) {
	node := s.nodes[n]
	if s.key[n] == 0 {
		return
	}
	t := *s
	t.key[n] = 0
	if a := &t.attempts[t.intent]; t.intent != 0 && a.node == n && w.without(IntentWithoutLease) {
		t.intent = 0
	}
	switch {
	case node.alive == 0 || node.overdue == 1 || node.epoch != s.key[n]:
		w.emit(&t, step{text: "the session of {n} expires", node: n})
	case s.faults > 0:
		w.emit(&t, step{text: "the election key of {n} is deleted by hand", node: n, fault: true})
	}
}

// plan is what a leader does next: open an intent, wait for a foreign one and
// take it over, look whether the value lives.
func (w *walk) plan(s *state, n uint8) {
	if s.intent == 0 {
		w.planOpen(s, n)
	} else {
		w.planTakeOver(s, n)
	}
	if s.status == fresh && s.version >= s.wanted && s.version < 9 && !w.lives(s) {
		t := *s
		t.wanted = s.version + 1
		w.emit(&t, step{text: "{n} probes: the published value is dead", node: n})
	}
	if s.status == uncertain && s.unresolved != resolved && s.nodes[n].seen == 0 && s.key[n] == s.nodes[n].epoch && w.Note {
		t := *s
		t.status = reauthorize
		t.revision++
		w.emit(&t, step{text: "{n} has waited for salvage long enough: Note(reauthorize)", node: n})
	}
}

func (w *walk) planOpen(s *state, n uint8) {
	last := w.chanceDue(s)
	due := s.version < s.wanted && w.callable(s) || last
	if !due && (s.salvage == 0 || w.without(Sweep)) || s.nextAttempt > maxAttempts || w.owns(s, n) || w.waits(s) {
		return
	}
	t := *s
	a := t.begin(n, 0)
	text := "{n} sends Open({a})"
	if last {
		a.flags |= chance
		text = "{n} sends Open({a}), reason last_chance"
	}
	w.emit(&t, step{text: text, node: n, attempt: s.nextAttempt})
}

// callable reports whether the status allows a call that follows no open intent.
func (w *walk) callable(s *state) bool {
	switch {
	case s.status == reauthorize:
		return false
	case !w.Kind.rotates() || s.unresolved == resolved || w.without(NeverTwice):
		return true
	}
	return w.Kind.forgives() && s.graceOver == 0 && (s.unresolved == unresolved || w.without(RefusalKept))
}

// chanceDue reports whether the last chance may be taken.
func (w *walk) chanceDue(s *state) bool {
	return w.LastChance && s.valueOver == 1 && s.status == uncertain && s.unresolved == unresolved
}

// waits reports whether the deadline of a call that ended without an answer is still ahead.
func (w *walk) waits(s *state) bool {
	if w.without(UnknownWaits) {
		return false
	}
	for i := range s.attempts {
		a := &s.attempts[i]
		if a.has(written) && !a.has(expired) && a.net == requested && w.sameLife(s, a) && s.ended&bit(uint8(i)) != 0 {
			return true
		}
	}
	return false
}

// owns reports whether a worker of this leadership is at work.
func (w *walk) owns(s *state, n uint8) bool {
	for i := range s.attempts {
		if a := &s.attempts[i]; a.node == n && a.epoch == s.nodes[n].epoch && a.works() {
			return true
		}
	}
	return false
}

func (w *walk) planTakeOver(s *state, n uint8) {
	foreign := &s.attempts[s.intent]
	own := foreign.node == n && foreign.epoch == s.nodes[n].epoch
	live := foreign.node == n && foreign.works() && (own || !w.without(Joined))
	if live || own && w.without(Sweep) {
		return
	}
	t := *s
	switch node := s.nodes[n]; {
	case node.seen != s.intent:
		t.nodes[n].seen, t.nodes[n].waited = s.intent, 0
		w.emit(&t, step{text: "{n} sees the foreign intent {a}", node: n, attempt: s.intent})
	case node.waited == 0:
		if !foreign.has(expired) && !w.without(TakeoverWaits) {
			return
		}
		t.nodes[n].waited = 1
		w.emit(&t, step{text: "{n} has waited for {a} to end", node: n, attempt: s.intent})
	case s.nextAttempt <= maxAttempts && !w.owns(s, n):
		a := t.begin(n, s.intent)
		if foreign.has(chance) && !w.without(ChanceInherited) {
			a.flags |= chance // whoever takes this one over must know
		}
		t.nodes[n].seen, t.nodes[n].waited = 0, 0
		w.emit(&t, step{text: "{n} sends TakeOver({a} in place of {b})", node: n, attempt: s.nextAttempt, other: s.intent})
	}
}

// begin sends the intent of a new attempt.
func (s *state) begin(n, previous uint8) *attempt {
	i := s.nextAttempt
	s.nextAttempt++
	epoch := s.nodes[n].epoch
	s.attempts[i] = attempt{
		stage: opening, node: n, epoch: epoch, previous: previous, incarnation: s.incarnation,
		life: s.life, version: s.version, generation: s.generation, refresh: s.refresh, read: s.now(),
		sent: message{op: opOpen, attempt: i, epoch: epoch, read: s.now()},
	}
	return &s.attempts[i]
}

// now is what a read of the group returns.
func (s *state) now() read {
	return read{revision: s.revision, grant: s.grant, lineage: s.incarnation, version: s.version, salvage: s.salvage}
}

// lives reports whether the published value is accepted by the platform.
func (w *walk) lives(s *state) bool {
	switch {
	case s.value == pushed:
		return true
	case w.Kind == Plain:
		return s.value == s.minted || s.value == s.overlap
	case w.Kind.rotates():
		return s.revoked == 0
	}
	return true
}
