package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
)

// backoff is the wait before the next try: doubled each time, and never the
// same for two nodes. The zero backoff is ready.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, backoffMin), backoffMax)
	return jitter(b.last)
}

// jitter returns a time between d/2 and 3d/2.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// insist calls try until it succeeds, cannot succeed, or ctx ends. It is for
// what may be repeated without harm: reads, and grants of leases.
func insist[T any](ctx context.Context, s *Store, doing string, try func(context.Context) (T, error)) (T, error) {
	var wait backoff
	for {
		v, err := try(ctx)
		if err == nil {
			s.worked()
			return v, nil
		}
		if ctx.Err() != nil {
			return v, fmt.Errorf("%s: %w", doing, endOf(ctx))
		}
		if hopeless(err) {
			return v, fmt.Errorf("%s: %w", doing, err)
		}
		s.suffered(ctx, doing, err)
		sleep(ctx, wait.next())
	}
}
