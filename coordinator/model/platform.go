package model

// stepNet carries a request to the platform and the answer back, or loses them.
func (w *walk) stepNet(s *state, i uint8) {
	a := &s.attempts[i]
	switch a.net {
	case requested:
		t := *s
		w.act(&t, i)
		w.emit(&t, step{text: "the platform acts on {a}", attempt: i})
		w.lose(s, i, "the request of {a} is lost")
		if a.stage == calling && s.faults > 0 {
			t := *s
			t.attempts[i].stage = unanswered
			w.emit(&t, step{text: "the connection of {a} breaks; its request goes on", attempt: i, fault: true})
		}
	case replied:
		w.receive(s, i)
	case unsent, over:
	}
}

func (w *walk) lose(s *state, i uint8, text string) {
	if s.faults == 0 {
		return
	}
	t := *s
	t.attempts[i].net = over
	w.emit(&t, step{text: text, attempt: i, fault: true})
}

// receive brings the answer to whoever still reads.
func (w *walk) receive(s *state, i uint8) {
	t := *s
	a := &t.attempts[i]
	a.net = over
	if a.stage != calling || s.nodes[a.node].alive == 0 {
		w.emit(&t, step{text: "nobody reads the answer of {a}", attempt: i})
		return
	}
	if a.has(rejected) {
		a.stage = denied
	} else {
		a.stage = answered
		a.flags |= received
	}
	w.emit(&t, step{text: "{n} receives the answer of {a}", node: a.node, attempt: i})
	w.lose(s, i, "the answer of {a} is lost")
}

// act is what the platform does with a request.
func (w *walk) act(s *state, i uint8) {
	a := &s.attempts[i]
	a.net = replied
	switch w.Kind {
	case Stable:
		s.minted = max(s.minted, s.wanted)
		a.value = s.minted
	case Plain:
		s.overlap = s.minted
		s.minted++
		a.value = s.minted
	case Strict, Grace, Sibling:
		w.spend(s, a)
	}
}

// spend takes a refresh token.
func (w *walk) spend(s *state, a *attempt) {
	forgiven := w.Kind.forgives() && a.refresh == s.spent && s.spent != 0
	switch {
	case a.life != s.family || s.revoked != 0:
		a.flags |= rejected
	case a.refresh == s.current:
		if w.Kind.forgives() {
			s.spent = s.current
		}
		s.rotate(a)
	case forgiven && w.Kind == Sibling:
		s.rotate(a)
	case forgiven:
		s.minted++
		a.value, a.yielded = s.minted, s.current
	default:
		s.revoked = 1
		a.flags |= rejected
		w.violate(w.blame(s, a))
	}
}

func (s *state) rotate(a *attempt) {
	s.refreshes++
	s.minted++
	s.current = s.refreshes
	a.value, a.yielded = s.minted, s.current
}

// blame says why a spent refresh token was presented: by a window that nobody
// can close, or against the rules.
func (w *walk) blame(s *state, a *attempt) Violation {
	if a.has(overlooked) || !a.has(chance) && !w.Kind.forgives() {
		return SpentPresented
	}
	rival := (*attempt)(nil)
	for k := range s.attempts {
		b := &s.attempts[k]
		if b != a && b.refresh == a.refresh && b.life == a.life && b.yielded != 0 && b.source == 0 {
			rival = b
		}
	}
	switch {
	case a.has(lateWrite), rival != nil && rival.has(lateWrite):
		return WindowLateWrite
	case a.has(lateArrival), rival != nil && rival.has(lateArrival):
		return WindowLateArrival
	case a.has(chance):
		return blameChance(rival)
	}
	return SpentPresented
}

// blameChance says where the result was when the last chance was taken.
func blameChance(rival *attempt) Violation {
	switch {
	case rival == nil, rival.has(chance):
		return SpentPresented
	case rival.has(lost):
		return WindowBeforeDisk
	case rival.has(lostDisk):
		return WindowDiskLost
	case !rival.has(received):
		return WindowAnswerLost
	}
	return WindowSalvageTooLate // or on its way there, or on the disk of a node that is down
}

// stepPlatform lets time pass at the platform.
func (w *walk) stepPlatform(s *state) {
	if s.overlap != 0 {
		t := *s
		t.overlap = 0
		w.emit(&t, step{text: "the overlap ends: the value before the newest dies"})
	}
	if s.spent != 0 && w.graceEnds(s) {
		t := *s
		t.spent = 0
		w.emit(&t, step{text: "the platform's grace ends"})
	}
	if w.Kind.forgives() && s.graceOver == 0 && (s.intent != 0 || s.unresolved != resolved) {
		t := *s
		t.graceOver = 1
		w.emit(&t, step{text: "a call that begins now could end outside the grace"})
	}
	if w.LastChance && s.valueOver == 0 && s.unresolved != resolved {
		t := *s
		t.valueOver = 1
		w.emit(&t, step{text: "the published value expires"})
	}
}

// graceEnds reports whether the platform's grace may be over: it began no sooner
// than the first attempt, so every call that lay within it has met its deadline.
func (w *walk) graceEnds(s *state) bool {
	if s.refresh != s.spent {
		return true
	}
	if s.graceOver == 0 {
		return false
	}
	for k := range s.attempts {
		a := &s.attempts[k]
		within := a.net == requested && !a.has(expired)
		if within && a.refresh == s.spent && !w.without(GraceWhole) {
			return false
		}
	}
	return true
}
