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

// correct takes from the life of a token that has just come what its event was
// later than the quickest one on this connection. Whole seconds are all that is known.
func (l *lateness) correct(t *Token, now time.Time) {
	written := t.ExpiresAt.Add(-time.Duration(t.ExpiresIn) * time.Second)
	ahead := now.Sub(written)
	if !l.known || ahead < l.least {
		l.known, l.least = true, ahead
	}
	if late := ahead - l.least; late > time.Second {
		t.ExpiresIn = max(0, t.ExpiresIn-int64((late+time.Second-1)/time.Second))
	}
}
