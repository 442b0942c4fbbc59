package model

// tidy forgets what makes no difference any more, so that fewer states differ.
func (s *state) tidy() {
	for i := range s.attempts {
		a := &s.attempts[i]
		if a.stage != done || s.intent == uint8(i) || s.stray.op != none && s.stray.attempt == uint8(i) {
			continue
		}
		a.source, a.read = 0, read{}
		if !s.followed(uint8(i)) {
			a.previous = 0
		}
		stored := s.salvage&bit(uint8(i)) != 0
		if a.net == requested || a.net == replied || stored {
			continue
		}
		a.flags = a.flags&^(closing|gamble) | expired
		if !a.has(written) && !s.followed(uint8(i)) {
			*a = attempt{stage: done}
		}
	}
}

// followed reports whether an attempt at work took this one over.
func (s *state) followed(i uint8) bool {
	for k := range s.attempts {
		b := &s.attempts[k]
		if b.previous == i && i != 0 && (b.works() || s.intent == uint8(k) || s.stray.op == opOpen && s.stray.attempt == uint8(k)) {
			return true
		}
	}
	return false
}

// forgotten reports whether the refresh token in the store may be spent, and
// nothing says so.
func (w *walk) forgotten(s *state) bool {
	if !w.Kind.rotates() || s.intent != 0 || s.unresolved != resolved || s.status == reauthorize || s.revoked != 0 {
		return false
	}
	for i := range s.attempts {
		a := &s.attempts[i]
		if a.has(written) && a.life == s.life && a.refresh == s.refresh && (a.yielded != 0 || a.net == requested) {
			return true
		}
	}
	return false
}

// endsWell reports whether nothing is left to do here, or all attempts were used.
func (w *walk) endsWell(s *state) bool {
	if s.nextAttempt > maxAttempts {
		return true
	}
	if s.intent != 0 || s.asked != 0 || s.salvage != 0 {
		return false
	}
	for i := range s.attempts {
		if s.attempts[i].has(spooled) {
			return false
		}
	}
	if w.Kind.rotates() && s.unresolved != resolved {
		return s.doubted == s.life // a human is asked, and nobody else can help
	}
	if s.status == reauthorize {
		return w.Kind.rotates() && s.refresh != s.current || s.revoked != 0
	}
	return s.version >= s.wanted && w.lives(s) && (w.Kind != Plain || s.value == s.minted || s.value == pushed)
}

// findStuck goes back from where it ends well along the steps without a fault.
func (w *walk) findStuck() {
	froms := append(w.froms, uint32(len(w.edges))) //nolint:gosec // bounded by memory
	well := make([]bool, len(w.states))
	for i := range w.states {
		well[i] = w.endsWell(&w.states[i])
	}
	for changed := true; changed; {
		changed = false
		for i := len(well) - 1; i >= 0; i-- {
			for _, next := range w.edges[froms[i]:froms[i+1]] {
				if !well[i] && well[next] {
					well[i], changed = true, true
				}
			}
		}
	}
	for i := range well {
		if well[i] {
			continue
		}
		if !w.result.Found.Has(Stuck) {
			w.result.Found |= 1 << Stuck
			w.result.Traces[Stuck] = w.trace(i, nil)
		}
		w.result.Counts[Stuck]++
	}
}
