package coordinator

import (
	"context"
	"errors"
	"time"
)

// Read returns a value that meets w, from memory. Without w.Wait it never
// blocks. With it, it waits for such a value until the wait is over, ctx ends,
// the node drains, or it is clear that none will come in time; then the error
// is a *NoValueError that says why. ErrUnknownToken and ErrNotSynced are the other errors.
func (n *Node) Read(ctx context.Context, name Name, w Want) (*View, error) {
	v, err := n.answer(name, w)
	if errors.Is(err, ErrUnknownToken) && w.Wait > 0 {
		n.appears(ctx, name, w.Wait)
		v, err = n.answer(name, w)
	}
	if err == nil || w.Wait <= 0 || !waitable(err) {
		return v, err
	}
	return n.await(ctx, name, w)
}

// appearLimit is how long a token that is not known here yet is waited for:
// whoever applies an app on one node may ask another one for its token.
const appearLimit = time.Second

// appears waits a moment for a token to become known.
func (n *Node) appears(ctx context.Context, name Name, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, min(wait, appearLimit))
	defer cancel()
	_ = n.knows(ctx, func(*records) bool { _, ok := n.cache.view(name); return ok })
}

// await waits for a value that meets w.
func (n *Node) await(ctx context.Context, name Name, w Want) (*View, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Wait)
	defer cancel()
	deadline := n.now().Add(w.Wait)
	cell := n.cache.cell(name)
	for {
		changed, moved, drained := cell.changed.wait(), n.cache.moved.wait(), n.drained.wait()
		if n.cache.synced.Load() {
			moved = nil // only a first snapshot is of interest
		}
		v, err := n.answer(name, w)
		if err == nil || !waitable(err) || n.draining.Load() || hopeless(err, deadline) {
			return v, err
		}
		select {
		case <-changed:
		case <-moved:
		case <-drained:
		case <-ctx.Done():
			return n.answer(name, w)
		}
	}
}

// answer returns the value held if it meets w now.
func (n *Node) answer(name Name, w Want) (*View, error) {
	v, ok := n.cache.view(name)
	if !ok {
		if !n.cache.synced.Load() {
			return nil, ErrNotSynced
		}
		return nil, ErrUnknownToken
	}
	now := n.now()
	lives := v.Lives(now, n.Margin())
	switch {
	case lives <= 0:
		return v, n.noValue(v, now)
	case v.Version() <= w.Above, lives < w.MinTTL:
		return v, &NoValueError{Err: ErrNoNewerToken, View: v, RetryAfter: retryAfter(v, now), Todo: n.hopelessTodo(v, now)}
	}
	return v, nil
}

// noValue says why a token has no value that could be served.
func (n *Node) noValue(v *View, now time.Time) error {
	err := ErrNoValidToken
	switch {
	case v.State.Status == StatusReauthorize:
		err = ErrReauthorize
	case v.State.Version == 0:
		err = ErrTokenPending
	}
	return &NoValueError{Err: err, View: v, RetryAfter: retryAfter(v, now), Todo: n.hopelessTodo(v, now)}
}

// retryAfter returns when another try may have a better answer: at the
// refresher's next attempt, within a second and a minute.
func retryAfter(v *View, now time.Time) time.Duration {
	if v.Paused || v.State.Status == StatusUncertain || v.State.Status == StatusReauthorize {
		return time.Minute // somebody must act
	}
	return min(max(v.State.Due.Sub(now), time.Second), time.Minute)
}

// waitable reports whether time alone may mend the error.
func waitable(err error) bool {
	_, ok := errors.AsType[*NoValueError](err)
	return ok || errors.Is(err, ErrNotSynced)
}

// hopeless reports that no attempt will be made before the deadline, so that
// waiting on would only hide the reason.
func hopeless(err error, deadline time.Time) bool {
	missing, ok := errors.AsType[*NoValueError](err)
	if !ok {
		return false
	}
	state := missing.View.State
	switch {
	case missing.View.Paused, state.Status == StatusReauthorize:
		return true
	case state.Status == StatusBlocked, state.Status == StatusThrottled, state.Status == StatusUncertain:
		return state.Due.After(deadline)
	}
	return state.Failures > 0 && state.Due.After(deadline)
}

// View returns what is known of a token, whether or not its value may be served.
func (n *Node) View(name Name) (*View, bool) { return n.cache.view(name) }

// Views returns what is known of every token, sorted by name.
func (n *Node) Views() []*View { return n.cache.views() }
