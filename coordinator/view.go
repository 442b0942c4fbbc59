package coordinator

import "time"

// View is what a node knows of one token at one moment. It is immutable: reads
// share it without a lock.
type View struct {
	Name        Name
	Token       *Token // nil: no value is held
	State       State
	Paused      bool   // refreshing of this app or of the cluster is paused
	Fingerprint string // of the value; empty without one
	Rendered    []byte // what Config.Render made of this view when it was applied

	seen   mark // when this node first knew the value
	pushed bool // nobody can be asked for its values
}

// Status is the token's state at an instant.
func (v *View) Status(now time.Time) Status {
	if wall, ok := v.seen.reads(now); ok && !wall.Before(v.State.Expires) {
		now = later(now, v.State.Expires) // by the monotonic clock
	}
	return v.State.StatusAt(now, v.Paused)
}

// Lives returns how long the value may still be served at an instant, where
// margin is kept for clocks that differ; not positive: it may not. The instant
// should have a reading of the monotonic clock: a value that has ended by either
// clock has ended.
func (v *View) Lives(now time.Time, margin time.Duration) time.Duration {
	if v.Token == nil {
		return 0
	}
	lives := v.Token.Expires.Sub(now) - margin
	if wall, ok := v.seen.reads(now); ok {
		lives = min(lives, v.Token.Expires.Sub(wall)-min(margin, v.seen.margin))
	}
	return lives
}

// Version of the value held, or of the last one known.
func (v *View) Version() int64 {
	if v.Token == nil {
		return v.State.Version
	}
	return v.Token.Version
}

// Want is what a reader asks of a value.
type Want struct {
	Above  int64         // only a version above this
	MinTTL time.Duration // only a value that lives so long
	Wait   time.Duration // how long to wait for it; zero: not at all
}

// NoValueError says why there is no value a reader could be given. It wraps one
// of ErrTokenPending, ErrNoValidToken, ErrNoNewerToken, ErrReauthorize, ErrBudgetExhausted.
type NoValueError struct {
	Err        error
	View       *View
	RetryAfter time.Duration // when to ask again
	Todo       string        // what somebody must do, where time alone will not help; else empty
}

// Error names the token, what is missing, and why.
func (e *NoValueError) Error() string {
	text := e.View.Name.String() + ": " + e.Err.Error()
	switch reason := e.View.State.Reason; {
	case e.Todo != "":
		text += ": " + e.Todo
	case reason != "":
		text += ": " + reason
	}
	return text
}

// Unwrap returns the sentinel.
func (e *NoValueError) Unwrap() error { return e.Err }
