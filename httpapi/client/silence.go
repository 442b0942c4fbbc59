package client

import (
	"context"
	"errors"
	"time"
)

var errSilent = errors.New("nothing was heard of it for too long")

// silence ends a connection on which nothing is heard any more.
type silence struct{ timer *time.Timer }

// withSilence returns a context that ends with errSilent. The first answer has to
// come as soon as that of any call.
func withSilence(ctx context.Context) (context.Context, *silence, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(attemptTimeout, func() { cancel(errSilent) })
	return ctx, &silence{timer}, func() {
		timer.Stop()
		cancel(nil)
	}
}

// heard says that something came, and that the next thing is waited for.
func (s *silence) heard() { s.timer.Reset(silenceLimit) }

// busy says that we listen to nothing, since we are busy with what came.
func (s *silence) busy() { s.timer.Stop() }

// lateness corrects what a stream tells where it was held up on its way: the
// life that a value has left counts from when the node wrote it.
type lateness struct {
	known bool
	least time.Duration // by which our clock was ahead of the node's, and the way of the quickest event
}

// correct takes from the life that an event tells of what it was later than the
// quickest one on this connection.
func (l *lateness) correct(event any, now time.Time) {
	switch e := event.(type) {
	case *Token:
		l.learn(e.ExpiresAt, e.ExpiresIn, now)
		e.ExpiresIn = l.left(e.ExpiresAt, e.ExpiresIn, now)
	case *State:
		e.ExpiresIn = l.left(e.ExpiresAt, e.ExpiresIn, now)
	}
}

// learn takes a value that has just come for the quickest one if it was.
func (l *lateness) learn(ends time.Time, left int64, now time.Time) {
	if ahead := aheadOf(ends, left, now); !l.known || ahead < l.least {
		l.known, l.least = true, ahead
	}
}

// left returns what is left of a life. Whole seconds are all that is known.
func (l *lateness) left(ends time.Time, left int64, now time.Time) int64 {
	late := aheadOf(ends, left, now) - l.least
	if !l.known || left <= 0 || late <= time.Second {
		return left
	}
	return max(0, left-int64((late+time.Second-1)/time.Second))
}

// aheadOf returns by how much now is after the instant at which so much was left.
func aheadOf(ends time.Time, left int64, now time.Time) time.Duration {
	return now.Sub(ends.Add(-time.Duration(left) * time.Second))
}
