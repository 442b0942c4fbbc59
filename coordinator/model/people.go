package model

// stepPeople is what clients and people do.
func (w *walk) stepPeople(s *state) {
	if s.reports > 0 && s.asked == 0 {
		t := *s
		t.reports--
		t.asked = s.version
		w.emit(&t, step{text: "a client reports the value: Ask is sent"})
	}
	if s.asked != 0 {
		t := *s
		if s.version == s.asked {
			t.wanted = max(s.wanted, s.asked+1)
		}
		t.asked = 0
		w.emit(&t, step{text: "the store takes Ask"})
	}
	if s.changes == 0 {
		return
	}
	for _, change := range w.Changes {
		t := *s
		t.changes--
		if w.change(&t, change) {
			w.emit(&t, step{text: "somebody changes the app: {change}", change: change, costs: true})
		}
	}
}

// change applies what somebody did, and reports whether it was accepted.
func (w *walk) change(s *state, change Change) bool {
	switch change {
	case Push:
		s.version++
		s.value = pushed
		s.status = fresh
		w.writeState(s)
	case Touch:
		w.writeState(s)
	case Reseal:
		s.grant++
	case Reconnect:
		s.generation++
		w.reconnect(s)
	case Recreate:
		s.generation = 1
		w.reconnect(s)
	case NewSecret:
		return w.newSecret(s)
	case NewParent:
		s.incarnation++
		s.wanted = s.version + 1
	case Revoke:
		s.revoked = 1
	}
	return true
}

// writeState is a write of the state outside of any attempt.
func (w *walk) writeState(s *state) {
	s.revision++
	if w.without(UnresolvedKept) {
		s.unresolved = resolved
	}
}

// newSecret changes the credentials. Where a grant stays it may have been spent
// by whatever is open: then the change is refused, and tried again later. What is
// unresolved stays so.
func (w *walk) newSecret(s *state) bool {
	calm := s.intent == 0 && s.salvage == 0
	if w.Kind.rotates() && !calm && !w.without(CalmChange) {
		return false
	}
	s.incarnation++
	s.intent = 0
	w.dropSalvage(s, s.salvage)
	if s.unresolved == resolved {
		s.status = fresh
	}
	s.revision++
	s.wanted = s.version + 1
	return true
}

// reconnect begins a new life with a new refresh token.
func (w *walk) reconnect(s *state) {
	s.incarnation++
	s.life, s.family = s.incarnation, s.incarnation
	s.refreshes++
	s.refresh, s.current = s.refreshes, s.refreshes
	s.spent, s.revoked, s.base, s.producer = 0, 0, 0, 0
	s.grant++
	s.graceOver, s.valueOver = 0, 0
	s.intent = 0
	w.dropSalvage(s, s.salvage)
	s.status = fresh
	if !w.without(ReconnectClears) {
		s.unresolved = resolved
	}
	s.revision++
	s.wanted = s.version + 1
}
