package model

// commit applies a transaction if its compares hold, and reports whether they did.
func (w *walk) commit(s *state, m message) bool {
	switch m.op {
	case opOpen:
		return w.commitOpen(s, m)
	case opPublish:
		return w.commitPublish(s, m)
	case opFail:
		return w.commitFail(s, m)
	case opVoid:
		if s.intent != m.attempt {
			return false
		}
		s.intent = 0
	case opSalvage:
		s.salvage |= bit(m.attempt) // written once; a copy that comes late brings it back
	case none:
	}
	return true
}

// commitOpen is T1, or T6 where the attempt takes over another.
func (w *walk) commitOpen(s *state, m message) bool {
	a := &s.attempts[m.attempt]
	absent := s.intent == a.previous || a.previous == 0 && w.without(OneIntent)
	if !w.fenced(s, m) || !absent || !w.unchanged(s, m) {
		return false
	}
	s.opened++
	a.order = s.opened
	s.intent = m.attempt
	return true
}

// fenced compares the epoch.
func (w *walk) fenced(s *state, m message) bool {
	if s.holds(m) && s.first(s.attempts[m.attempt].node) {
		return true
	}
	if !s.holds(m) && !w.without(EpochCompared) {
		return false
	}
	w.violate(DeposedCommitted)
	return true
}

// unchanged compares the state, the grant and the lineage.
func (w *walk) unchanged(s *state, m message) bool {
	same := s.revision == m.read.revision || w.without(StateCompared)
	if m.op == opPublish && m.epoch == 0 {
		same = s.revision == m.read.revision || w.without(SavingComparesState)
	}
	if w.Kind.rotates() {
		same = same && (s.grant == m.read.grant || w.without(GrantCompared))
	}
	return same && (s.incarnation == m.read.lineage || w.without(LivesCompared))
}

// commitPublish is T2 and T3, or T3b(a) without an epoch.
func (w *walk) commitPublish(s *state, m message) bool {
	compared := !w.without(IntentCompared)
	if m.epoch == 0 {
		compared = !w.without(SavingComparesIntent)
	}
	if compared && s.intent != m.attempt || !w.unchanged(s, m) {
		return false
	}
	if m.epoch != 0 && !w.fenced(s, m) {
		return false
	}
	from := m.attempt
	if m.source != 0 {
		from = m.source
	}
	w.checkPublication(s, m, &s.attempts[from])
	w.publish(s, m, &s.attempts[from])
	s.ended |= bit(m.attempt)
	s.attempts[from].flags |= published
	w.dropSalvage(s, m.read.salvage|bit(from))
	return true
}

// checkPublication looks for what must not be published.
func (w *walk) checkPublication(s *state, m message, from *attempt) {
	if m.read.version+1 <= s.version {
		w.violate(VersionWentBack)
	}
	if !w.sameLife(s, from) {
		w.violate(FormerLifePublished)
		return
	}
	switch {
	case w.Kind.rotates() && !newer(s, from):
		w.violate(OlderOverNewer)
	case !w.Kind.rotates() && s.value != pushed && from.value < s.value:
		w.violate(OlderOverNewer)
	}
}

// publish writes the result.
func (w *walk) publish(s *state, m message, from *attempt) {
	s.version, s.value = m.read.version+1, from.value
	s.status, s.unresolved = fresh, resolved
	s.valueOver, s.doubted = 0, 0
	s.revision++
	if s.intent == m.attempt {
		s.intent = 0
	}
	if w.Kind.rotates() {
		s.generation++
		s.refresh = from.yielded
		s.grant++
		s.base, s.producer = from.generation, from.order
		s.graceOver = 0
	}
}

// commitFail is T2 or T3 with a failure.
func (w *walk) commitFail(s *state, m message) bool {
	if s.intent != m.attempt || !w.unchanged(s, m) || !w.fenced(s, m) {
		return false
	}
	if m.status == reauthorize && s.attempts[m.attempt].life != s.life {
		w.violate(FormerLifeFailed)
	}
	s.intent = 0
	s.revision++
	s.status = m.status
	s.unresolved = max(s.unresolved, m.unresolved)
	s.doubted = s.life
	s.ended |= bit(m.attempt)
	w.dropSalvage(s, m.read.salvage)
	return true
}

// dropSalvage deletes salvage, and looks whether it was the last of something.
func (w *walk) dropSalvage(s *state, salvage uint8) {
	for k := uint8(1); k <= maxAttempts; k++ {
		if salvage&bit(k) == 0 {
			continue
		}
		a := &s.attempts[k]
		if s.salvage&bit(k) != 0 && w.Kind.rotates() && a.life == s.life && !a.has(published) {
			if newer(s, a) {
				w.violate(ResultLost)
			}
			if a.yielded == s.current && s.refresh != s.current && s.revoked == 0 {
				w.violate(w.discarded(s))
			}
		}
		s.salvage &^= bit(k)
		a.flags |= dropped
	}
}

// discarded says why the newest refresh token was discarded: a request that was
// late makes the order of intents differ from that of the platform.
func (w *walk) discarded(s *state) Violation {
	for i := range s.attempts {
		switch a := &s.attempts[i]; {
		case a.has(lateWrite):
			return WindowLateWrite
		case a.has(lateArrival):
			return WindowLateArrival
		}
	}
	return NewestDiscarded
}

// sameLife reports whether a result belongs to the life that is current.
func (w *walk) sameLife(s *state, from *attempt) bool {
	if w.Kind.rotates() && !w.without(LifeOfGrant) {
		return from.life == s.life
	}
	return from.incarnation == s.incarnation
}

// newer reports whether a result is newer than the grant there is.
func newer(s *state, from *attempt) bool {
	return from.generation > s.base || from.generation == s.base && from.order > s.producer
}

// fits reports whether salvage may be published.
func (w *walk) fits(s *state, k uint8) bool {
	a := &s.attempts[k]
	switch {
	case !w.Kind.rotates():
		return w.sameLife(s, a) && a.version == s.version || w.without(SalvageByLife)
	case w.without(SalvageByLife):
		return a.generation >= s.generation // by generation alone
	}
	return w.sameLife(s, a) && newer(s, a)
}

// fitting returns the salvage that would be published first; 0: none fits.
func (w *walk) fitting(s *state) (chosen uint8) {
	for k := uint8(1); k <= maxAttempts; k++ {
		if s.salvage&bit(k) == 0 || !w.fits(s, k) {
			continue
		}
		newest := chosen == 0 || s.attempts[k].order > s.attempts[chosen].order
		if w.without(NewestFirst) {
			newest = chosen == 0
		}
		if newest {
			chosen = k
		}
	}
	return chosen
}
