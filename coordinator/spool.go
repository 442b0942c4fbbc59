package coordinator

import (
	"context"
	"errors"
	"sync"
	"time"

	"freshet/coordinator/failpoint"
)

// ReasonNoSpool marks a token whose refresher has nowhere to keep a rotated
// refresh token before it is published.
const ReasonNoSpool = "no_spool"

// reserve makes sure, before an attempt is opened to spend a refresh token, that
// the one it may be exchanged for will survive a crash. A reservation without a
// note of a call shows the next process that there was none.
func (a *attempt) reserve(attempt string) error {
	if !a.task.group.Rotation.Rotates() {
		return nil
	}
	if a.node.spool == nil {
		return &UpstreamError{
			Class: ClassConfig, Code: "spool", Reason: ReasonNoSpool,
			Message: "node " + a.node.name + " has no spool, so a rotated refresh token would not survive a crash: give every node that may refresh a spool directory and a seal key",
		}
	}
	if err := a.node.spool.Reserve(attempt); err != nil {
		return a.unwritable(err)
	}
	return nil
}

// calling notes on the disk that the refresh token is presented next.
func (a *attempt) calling() error {
	if !a.task.group.Rotation.Rotates() {
		return nil
	}
	if err := a.node.spool.Calling(a.intent.Attempt); err != nil {
		return a.unwritable(err)
	}
	return nil
}

func (a *attempt) unwritable(err error) error {
	return &UpstreamError{Class: ClassRetry, Code: "spool", Reason: "spool_unwritable", Message: "node " + a.node.name + ": " + err.Error()}
}

// keep saves a rotated refresh token on the local disk before anything else is
// done with it. Where that fails the store is the only place left for it.
func (a *attempt) keep(ctx context.Context, yield Yield) {
	if yield.Refresh.IsZero() || a.node.spool == nil {
		return
	}
	if err := a.node.spool.Keep(a.result(yield)); err != nil {
		a.log.ErrorContext(ctx, "a rotated refresh token is not on disk yet", "attempt", a.intent.Attempt, "err", err)
	}
}

// unspool forgets what was kept or reserved for this attempt, once the store has
// answered definitely.
func (a *attempt) unspool(ctx context.Context) {
	if !a.task.group.Rotation.Rotates() || a.node.spool == nil {
		return
	}
	if err := a.node.spool.Drop(a.intent.Attempt); err != nil {
		a.log.WarnContext(ctx, "a result that was saved stays on disk", "attempt", a.intent.Attempt, "err", err)
	}
}

// replayPause is the wait before a replay that failed is tried again.
const replayPause = 5 * time.Second

// unsettled are results of this process that the store would not take, as when
// etcd denies a write: they are on the disk, and are replayed without a restart.
type unsettled struct {
	wake chan struct{} // holds one

	mu      sync.Mutex
	results []Salvage
}

func (u *unsettled) put(s Salvage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.results = append(u.results, s)
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *unsettled) take() []Salvage {
	u.mu.Lock()
	defer u.mu.Unlock()
	results := u.results
	u.results = nil
	return results
}

// replay brings the results that former processes of this node, or this one, could
// not save to the store: published, if nobody took their refresh over, else salvaged.
func (n *Node) replay(ctx context.Context) error {
	if n.spool == nil {
		return nil
	}
	kept, err := n.leftBehind(ctx)
	for err == nil {
		var again <-chan time.Time
		if kept = n.replayEach(ctx, append(kept, n.unsettled.take()...)); len(kept) > 0 {
			again = time.After(replayPause)
		}
		select {
		case <-again:
		case <-n.unsettled.wake:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return err
}

// leftBehind voids what former processes of this node never called, and returns
// the results they left. Everything was read from the store once by then.
func (n *Node) leftBehind(ctx context.Context) ([]Salvage, error) {
	uncalled, err := n.spool.Uncalled()
	if err != nil {
		n.log.ErrorContext(ctx, "reading the spool", "err", err)
	}
	for _, attempt := range uncalled {
		n.uncalled.Store(attempt, struct{}{})
	}
	kept, err := n.spool.Kept()
	if err != nil {
		n.log.ErrorContext(ctx, "reading the spool", "err", err)
	}
	if len(kept)+len(uncalled) == 0 {
		return nil, nil
	}
	if !n.listed(ctx) {
		return nil, ctx.Err()
	}
	for _, attempt := range uncalled {
		n.voidUncalled(ctx, attempt)
	}
	if len(kept) > 0 {
		n.log.WarnContext(ctx, "results of a former process are replayed", "results", len(kept))
	}
	return kept, nil
}

// replayEach replays results, and returns those that must be tried again: one
// that has to wait holds up no other.
func (n *Node) replayEach(ctx context.Context, kept []Salvage) (failed []Salvage) {
	for _, s := range kept {
		if err := n.replayOne(ctx, s); err != nil {
			n.log.WarnContext(ctx, "replaying a result", "app", s.App, "group", s.Group, "attempt", s.Attempt, "err", err)
			failed = append(failed, s)
		}
	}
	return failed
}

// voidUncalled deletes the intent under which a former process of this node made
// no call, before somebody takes it over and has to fear that there was one.
// Where it fails, whoever takes over is as careful as if nothing were known.
func (n *Node) voidUncalled(ctx context.Context, attempt string) {
	var open *Intent
	n.cache.reading(func(r *records) {
		for _, intent := range r.intents {
			if intent.Attempt == attempt && intent.Previous == "" {
				open = &intent.Intent
			}
		}
	})
	if open != nil {
		n.log.InfoContext(ctx, "a former process ended before its call", "app", open.App, "group", open.Group, "attempt", attempt)
		if err := n.store.Void(ctx, *open); err != nil {
			n.log.WarnContext(ctx, "voiding the intent of a former process", "attempt", attempt, "err", err)
		}
	}
	if err := n.spool.Drop(attempt); err != nil {
		n.log.WarnContext(ctx, "a reservation that is not needed stays on disk", "attempt", attempt, "err", err)
	}
}

// listed waits until everything was read from the store once; what was loaded
// from disk cannot tell that an app is gone.
func (n *Node) listed(ctx context.Context) bool {
	for {
		moved := n.cache.moved.wait()
		if n.cache.listed.Load() {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// replayOne settles one result as its attempt would have settled it; nil: there
// is a definite answer, and the spool has forgotten it.
func (n *Node) replayOne(ctx context.Context, s Salvage) error {
	a, ok, err := n.revive(s)
	if err != nil {
		return err
	}
	if !ok {
		n.log.WarnContext(ctx, "a result was dropped: its app is gone or another one now", "app", s.App, "group", s.Group, "attempt", s.Attempt)
		return n.spool.Drop(s.Attempt)
	}
	failpoint.Hit(failpoint.BeforeReplay)
	yield := s.yield()
	ended, err := a.settleRefused(ctx, yield, nil)
	if !ended && err == nil {
		err = a.settle(ctx, yield, nil)
	}
	if errors.Is(err, ErrFenced) {
		return nil
	}
	return err
}

// errNotReadable means that a result cannot be judged by this node as it is.
var errNotReadable = errors.New("the app cannot be worked on here: give this node the cluster's seal keys, and a build that knows the app's provider and options")

// revive makes the attempt anew that a result comes from; not ok, where the app
// has no such group in this life. An app that is there and cannot be read is no
// such proof: its credentials may be sealed with a key that is not here yet.
func (n *Node) revive(s Salvage) (a *attempt, ok bool, err error) {
	var t task
	n.cache.reading(func(r *records) {
		tasks := n.tasks(r, s.App)
		if _, there := r.apps[s.App]; there && len(tasks) == 0 {
			err = errNotReadable
		}
		for _, candidate := range tasks {
			if candidate.id.group == s.Group && candidate.app.Incarnation >= s.Incarnation {
				t, ok = candidate, true
			}
		}
	})
	if err != nil || !ok || len(s.Tokens) == 0 {
		return nil, false, err
	}
	return &attempt{
		node: n, task: t, log: n.log.With("app", s.App, "group", s.Group),
		began: s.Began, asked: s.Tokens[0].Issued, made: origin{s.Generation, s.IntentRevision},
		intent: Intent{
			App: s.App, Group: s.Group, Attempt: s.Attempt, Incarnation: s.Incarnation,
			Bases: s.Bases, Generation: s.Generation, Revision: s.IntentRevision,
		},
	}, true, nil
}
