package faulttest

import (
	"slices"
	"time"

	"freshet/coordinator"
)

// Newest is the newest leadership; the zero Election before the first.
func (l *Ledger) Newest() Election {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newestLocked()
}

// After is the first leadership that followed an epoch, and false if there is none yet.
func (l *Ledger) After(epoch coordinator.Epoch) (Election, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.elections, func(e Election) bool { return e.Epoch > epoch })
	if i < 0 {
		return Election{}, false
	}
	return l.elections[i], true
}

// Elections counts the leaderships so far.
func (l *Ledger) Elections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.elections)
}

// Open returns the attempts whose intents are there now.
func (l *Ledger) Open() []Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var open []Attempt
	for _, attempt := range l.open {
		open = append(open, *attempt)
	}
	return open
}

// Attempt returns an attempt as it is known now.
func (l *Ledger) Attempt(id string) (Attempt, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, attempt := range slices.Backward(l.attempts) {
		if attempt.ID == id {
			return *attempt, true
		}
	}
	return Attempt{}, false
}

// under returns the newest attempt of an app that had begun at an instant.
func (l *Ledger) under(app string, at time.Time) (Attempt, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, attempt := range slices.Backward(l.attempts) {
		if attempt.App == app && !attempt.Began.After(at) {
			return *attempt, true
		}
	}
	return Attempt{}, false
}

// Attempts counts the intents so far.
func (l *Ledger) Attempts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.attempts)
}

// Last is the newest value of a token, and false if there is none.
func (l *Ledger) Last(name coordinator.Name) (Value, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := l.values[name]
	if len(values) == 0 {
		return Value{}, false
	}
	return values[len(values)-1], true
}

// Values lists what was published of a token, oldest first.
func (l *Ledger) Values(name coordinator.Name) []Value {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.values[name])
}

// Following is the value that replaced a version, and false while none has.
func (l *Ledger) Following(name coordinator.Name, version int64) (Value, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := l.values[name]
	i, _ := slices.BinarySearchFunc(values, version+1, func(v Value, want int64) int { return int(v.Version - want) })
	if i >= len(values) {
		return Value{}, false
	}
	return values[i], true
}

// issued is when the fetch of a version began; the zero time for one that is not known.
func (l *Ledger) issued(name coordinator.Name, version int64) time.Time {
	value, ok := l.Following(name, version-1)
	if !ok || value.Version != version {
		return time.Time{}
	}
	return value.Issued
}

// lives is how long, at an instant, the value still lives that every node that hears
// etcd must know of by then.
func (l *Ledger) lives(name coordinator.Name, at time.Time) time.Duration {
	for _, v := range slices.Backward(l.Values(name)) {
		if at.Sub(v.Heard) > lagLimit {
			return v.Expires.Sub(at)
		}
	}
	return 0
}

// Holds reports whether etcd holds a refresh token of an app: as its grant, or in a
// result that was saved.
func (l *Ledger) Holds(app, refresh string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grants[app].Current.Reveal() == refresh {
		return true
	}
	for _, s := range l.salvage {
		if s.App == app && s.Refresh.Reveal() == refresh {
			return true
		}
	}
	return false
}

// BusySince reports whether an attempt of a node was open at an instant or was
// opened after it.
func (l *Ledger) BusySince(node string, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.attempts, func(a *Attempt) bool {
		return a.Node == node && (a.Ended.IsZero() || a.Ended.After(at))
	})
}
