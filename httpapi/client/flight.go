package client

import (
	"context"
	"sync"
	"time"
)

// foundOut is how long what one caller found out holds for others.
const foundOut = 2 * time.Second

// flight lets one caller do what many want at once. What was found out, also
// that there is nothing, is kept for a moment for those who come a little later.
type flight struct {
	mu      sync.Mutex
	current *attempt
}

// attempt is one caller's try to find the version after another one.
type attempt struct {
	after int64
	done  chan struct{}

	// Set before done is closed.
	found *Token
	err   error
	ended time.Time
	left  bool // the one who made it went away
}

// join returns what do finds for a version; another caller may be doing it
// already. A caller who gave up leaves it to the next one.
func (f *flight) join(ctx context.Context, after int64, do func() (*Token, error)) (*Token, error) {
	for {
		a, ours := f.enter(after)
		if ours {
			return a.make(ctx, do)
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !a.left {
			return a.found, a.err
		}
		f.forget(a)
	}
}

// enter returns the attempt for a version, and whether the caller is to make it.
func (f *flight) enter(after int64) (_ *attempt, ours bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.current; a != nil && a.after == after && !a.old() {
		return a, false
	}
	f.current = &attempt{after: after, done: make(chan struct{})}
	return f.current, true
}

func (f *flight) forget(a *attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current == a {
		f.current = nil
	}
}

// make does what many wait for.
func (a *attempt) make(ctx context.Context, do func() (*Token, error)) (*Token, error) {
	defer func() {
		a.ended, a.left = time.Now(), ctx.Err() != nil
		close(a.done)
	}()
	a.err = errNoOther // unless do returns
	a.found, a.err = do()
	return a.found, a.err
}

// old reports that it ended some time ago.
func (a *attempt) old() bool {
	select {
	case <-a.done:
		return time.Since(a.ended) > foundOut
	default:
		return false
	}
}
