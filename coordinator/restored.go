package coordinator

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"time"
)

// A store that was restored from a backup has forgotten the newest versions and
// refresh tokens, and the nodes that live have not. Each brings back what it
// knows: versions by a request above the highest it has shown, which no state
// can answer that does not know it, and refresh tokens as salvage.

// ReasonRestored asks for a version above one that the store has forgotten, and
// marks tokens whose refresh token it may have forgotten.
const ReasonRestored Reason = "restored"

// codeGrant in a request of ReasonRestored says that it is about the grant.
const codeGrant = "grant"

// recallWait is how long no refresh token is presented after a restore: by then
// every node has noticed it and said whether it knows a newer one.
const recallWait = 30 * time.Second

const (
	recallJitter = 2 * time.Second // nodes that know the same need not all write it
	recallPause  = 2 * time.Second
)

// recalls is what this node knows and the store has forgotten; a level, not a queue.
type recalls struct {
	wake chan struct{} // holds one

	mu     sync.Mutex
	floors map[Name]int64   // :: name → highest version shown here
	grants map[string]Grant // :: app → the grant known before; zero: it is not known
}

func newRecalls() recalls {
	return recalls{wake: make(chan struct{}, 1), floors: map[Name]int64{}, grants: map[string]Grant{}}
}

func (r *recalls) change(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// floor notes that a version was shown here that a state does not know.
func (r *recalls) floor(name Name, version int64) {
	r.change(func() { r.floors[name] = max(r.floors[name], version) })
}

func (r *recalls) take() (floors map[Name]int64, grants map[string]Grant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	floors, grants = r.floors, r.grants
	r.floors, r.grants = map[Name]int64{}, map[string]Grant{}
	return floors, grants
}

// notice compares the grants of a restored store with those known before. It is
// called by the follower when the records are new and the views are old.
func (n *Node) notice(ctx context.Context, former map[string]Grant) {
	n.restored.Store(int64(n.age()))
	n.log.ErrorContext(ctx, "etcd was restored from a backup: what this node knows better is brought back, refresh tokens rest until every node has done so", "wait", recallWait)
	lost := map[string]Grant{}
	n.cache.reading(func(r *records) {
		for app, grant := range r.grants {
			before, known := former[app]
			switch {
			case !known, before.Incarnation != grant.Incarnation:
				lost[app] = Grant{}
			case origin{before.Base, before.IntentRevision}.produces(&grant):
				lost[app] = before
			}
		}
	})
	n.recalls.change(func() { maps.Copy(n.recalls.grants, lost) })
}

// bringBack writes what the store has forgotten, until ctx ends.
func (n *Node) bringBack(ctx context.Context) error {
	for pause := jittered(recallJitter); ; pause = recallPause {
		select {
		case <-n.recalls.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		floors, grants := n.recalls.take()
		n.bringFloorsBack(ctx, floors, func(app string) bool { _, spends := grants[app]; return spends })
		for app, grant := range grants { // before all that can wait: refresh tokens rest for no longer than recallWait
			if err := n.recallGrant(ctx, app, grant); err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "bringing a refresh token back", "app", app, "err", err)
				n.recalls.change(func() { n.recalls.grants[app] = grant })
			}
		}
		n.bringFloorsBack(ctx, floors, func(app string) bool { _, spends := grants[app]; return !spends })
	}
}

// bringFloorsBack writes the versions of some apps that the store has forgotten.
func (n *Node) bringFloorsBack(ctx context.Context, floors map[Name]int64, of func(app string) bool) {
	for name, version := range floors {
		if !of(name.App) {
			continue
		}
		if err := n.recallFloor(ctx, name, version); err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "bringing a version back", "token", name.String(), "version", version, "err", err)
			n.recalls.floor(name, version)
		}
	}
}

// recallFloor asks for a version above one that was shown here. Where nobody can
// be asked for its value it is pushed again, once the state knows the version.
func (n *Node) recallFloor(ctx context.Context, name Name, version int64) error {
	if err := n.overtake(ctx, name, version); err != nil {
		return err
	}
	_, err := n.ask(ctx, Request{Name: name, Above: version, Reason: ReasonRestored})
	if errors.Is(err, ErrUnknownToken) {
		return nil // its app came back deleted
	}
	if v, ok := n.cache.view(name); err == nil && ok && v.pushed {
		return n.pushBack(ctx, name, version)
	}
	return err
}

// recallGrant brings back a refresh token that the store has forgotten, as the
// result of the attempt that made it. Where it is not known whether there was a
// newer one, or its values are not known any more, the tokens become uncertain.
func (n *Node) recallGrant(ctx context.Context, app string, grant Grant) error {
	var t task
	n.cache.reading(func(r *records) {
		for _, candidate := range n.tasks(r, app) {
			if candidate.group.Rotation.Consumes() {
				t = candidate
			}
		}
	})
	if t.id.app == "" {
		return nil // what was rotated is good, or nothing was
	}
	if s, ok := n.remembered(t, grant); ok {
		n.log.WarnContext(ctx, "a refresh token that etcd has forgotten is brought back", "app", app, "generation", grant.Generation)
		return n.store.Salvage(ctx, s)
	}
	var errs []error
	for _, state := range t.states {
		_, err := n.ask(ctx, Request{Name: state.Name, Above: state.Version, Reason: ReasonRestored, Code: codeGrant})
		if !errors.Is(err, ErrUnknownToken) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// remembered is the result that made a grant, from what this node still holds.
// Every node that remembers it writes the same.
func (n *Node) remembered(t task, grant Grant) (s Salvage, ok bool) {
	if grant.Current.IsZero() {
		return s, false
	}
	s = Salvage{
		App: t.app.Name, Group: t.group.Name, Attempt: "restored-" + strconv.FormatInt(grant.Generation, 10),
		Incarnation: grant.Incarnation, IntentRevision: grant.IntentRevision, Generation: grant.Base,
		Refresh: grant.Current, Began: grant.Rotated,
	}
	for _, state := range t.states {
		v, known := n.cache.view(state.Name)
		if !known || v.Token == nil {
			return s, false
		}
		token := *v.Token
		token.Version, token.Revision = 0, 0
		s.Tokens = append(s.Tokens, token)
	}
	return s, true
}

// planNext plans what a group needs next, first of all what a restored store
// has forgotten.
func (n *Node) planNext(known *records, t task, now time.Time) (task, bool) {
	planned, ok := n.planRestored(known, t, now)
	if ok {
		return planned, true
	}
	furthest := known.furthest(t, now)
	planned, ok = n.plan(known, t, furthest)
	if planned.kind != taskTakeOver { // which waits by the monotonic clock
		planned.at = now.Add(planned.at.Sub(furthest))
	}
	planned.at = later(planned.at, n.rested(t))
	return planned, ok
}

// planRestored plans for what a restored store has forgotten: a request above a
// version that the state does not know exists only then.
func (n *Node) planRestored(known *records, t task, now time.Time) (_ task, ok bool) {
	for _, state := range t.states {
		request, found := known.requests[state.Name]
		if !found {
			continue
		}
		t.request, t.reason, t.at = &request, ReasonRestored, now
		switch {
		case request.Above > state.Version:
			t.kind = taskRaise
			return t, true
		case request.Reason == ReasonRestored && request.Code == codeGrant && state.Version == request.Above:
			t.kind = taskDoubt
			return t, true
		}
	}
	return t, false
}

// rested returns when a group may be worked on after a restore.
func (n *Node) rested(t task) time.Time {
	at := n.restored.Load()
	if at == 0 || !t.group.Rotation.Consumes() {
		return time.Time{}
	}
	return n.born.Add(time.Duration(at) + recallWait)
}

// raise makes the state know a version that some node has shown, so that the
// next one is above it. The request stays: it asks for that next one.
func (a *attempt) raise(ctx context.Context) error {
	state := a.stateOf(a.task.request.Name)
	a.log.WarnContext(ctx, "a version that etcd has forgotten is skipped",
		"token", state.Name.String(), "known", state.Version, "shown", a.task.request.Above, "by", a.task.request.Node)
	state.Version, state.Epoch = a.task.request.Above, a.held.Epoch
	return a.noteAnd(ctx, state, nil)
}

// doubt says that the refresh token that came back may not be the newest.
func (a *attempt) doubt(ctx context.Context) error {
	for _, state := range a.task.states {
		var answered *Request
		if state.Name == a.task.request.Name {
			answered = a.task.request
		}
		state.Status, state.Reason, state.Epoch = StatusUncertain, string(ReasonRestored), a.held.Epoch
		state.Unresolved = earlier(state.Unresolved, firstOf(state.Issued, a.node.now()))
		if err := a.noteAnd(ctx, state, answered); err != nil {
			return err
		}
	}
	a.log.ErrorContext(ctx, "etcd was restored from a backup and may have forgotten the newest refresh token: compare it with the platform, or authorise the app again")
	return nil
}

// jittered returns a time between zero and d.
func jittered(d time.Duration) time.Duration { return time.Duration(chance() * float64(d)) }
