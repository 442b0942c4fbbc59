package coordinator

import (
	"context"
	"errors"
	"time"

	"freshet/tracing"
)

// RefreshCall asks for a newer value of a token.
type RefreshCall struct {
	Above int64         // a version above this; 0: above the current one
	Force bool          // the platform shall make a new value even where it would repeat the old one
	Wait  time.Duration // how long to wait for it; zero: only ask
}

// Refresh asks the refresher for a version above c.Above, however many ask at
// once, and returns the token as it is known then. Where a version above
// c.Above exists already nothing is asked. With c.Wait it waits for the answer;
// if that is no newer value, the error is a *NoValueError.
func (n *Node) Refresh(ctx context.Context, name Name, c RefreshCall) (*View, error) {
	v, err := n.existing(name)
	if err != nil {
		return nil, err
	}
	above := min(firstOf(c.Above, v.State.Version), v.State.Version)
	reason := ReasonRefresh
	if c.Force {
		reason = ReasonForce
	}
	on := v.State
	if v.State.Version <= above && v.pushed {
		return n.refreshPushed(ctx, v, above, c.Wait)
	}
	if v.State.Version <= above {
		if on, err = n.ask(ctx, Request{Name: name, Above: above, Reason: reason}); err != nil {
			return v, err
		}
	}
	if c.Wait <= 0 {
		return n.existing(name)
	}
	return n.awaitAnswer(ctx, on, above, c.Wait)
}

func (n *Node) existing(name Name) (*View, error) {
	v, ok := n.cache.view(name)
	switch {
	case ok:
		return v, nil
	case !n.cache.synced.Load():
		return nil, ErrNotSynced
	}
	return nil, ErrUnknownToken
}

// askLimit bounds how long asking may take: one transaction, perhaps again
// after the cache has caught up.
const askLimit = 10 * time.Second

// ask writes a request, or finds that it is not needed any more. It returns the
// state on which the request was made, so that an answer can be told from one
// that was given before.
func (n *Node) ask(ctx context.Context, r Request) (on State, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	ctx, span := n.tracer.Start(ctx, "ask")
	r.Node, r.At, r.Traceparent = n.name, n.now(), tracing.Traceparent(ctx)
	on, err = n.askAgain(ctx, r)
	span.End(err)
	return on, err
}

func (n *Node) askAgain(ctx context.Context, r Request) (on State, err error) {
	for {
		moved := n.cache.moved.wait()
		v, err := n.existing(r.Name)
		if err != nil {
			return State{}, err
		}
		if v.State.Version > r.Above || n.asked(r) {
			return v.State, nil
		}
		err = n.store.Ask(ctx, r, v.State)
		if !errors.Is(err, ErrConflict) {
			return v.State, err
		}
		select {
		case <-moved: // the change that refused us arrives by the watch
		case <-ctx.Done():
			return v.State, context.Cause(ctx)
		}
	}
}

// asked reports whether a request that asks as much is known to stand. What this
// node knows may be old: the request that it saw may have been answered since,
// from a look at the platform that was taken before this report was made.
// Therefore a report always asks the store.
func (n *Node) asked(r Request) (found bool) {
	if r.Reason == ReasonReport || r.Code == codeGrant {
		return false
	}
	n.cache.reading(func(known *records) {
		standing, ok := known.requests[r.Name]
		found = ok && standing.Above >= r.Above && (forces(standing.Reason) || !forces(r.Reason))
	})
	return found
}

// standing is what is known of a token and of the request about it.
type standing struct {
	view    *View
	request Request
	stands  bool
	whole   bool // both are of one revision; false in the midst of a batch
}

// look reads a token and its request together.
func (n *Node) look(name Name) (s standing, err error) {
	var state State
	n.cache.reading(func(r *records) {
		s.request, s.stands = r.requests[name]
		state = r.states[name]
	})
	s.view, err = n.existing(name)
	s.whole = err == nil && s.view.State.Revision == state.Revision
	return s, err
}

// answered reports whether a request that was made on a state has been answered.
// It goes with a newer state, in one revision; that it stood need not have been
// seen here, since it may come and go between two looks.
func (s standing) answered(on State) bool {
	return s.whole && !s.stands && s.view.State.Revision > on.Revision
}

// awaitAnswer waits until a version above the given one is known, or the
// request that was made on a state was answered without one.
func (n *Node) awaitAnswer(ctx context.Context, on State, above int64, wait time.Duration) (*View, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	name := on.Name
	for {
		moved, drained := n.cache.moved.wait(), n.drained.wait()
		now, err := n.look(name)
		if err != nil {
			return nil, err
		}
		if now.view.Version() > above || now.answered(on) || n.draining.Load() {
			return n.answer(name, Want{Above: above})
		}
		select {
		case <-moved:
		case <-drained:
		case <-ctx.Done():
			return n.answer(name, Want{Above: above})
		}
	}
}

// ReportCall is a client's word that the platform refused a value, named by
// version or fingerprint.
type ReportCall struct {
	Version     int64
	Fingerprint string
	Code        string // what the platform answered
}

// Report is what became of a report.
type Report struct {
	Answer Answer
	After  int64 // ask any node for a version after this one
	View   *View
}

// reportWait is how long a report waits for its verdict; after it the value is
// being refreshed as far as the caller is concerned.
const reportWait = 5 * time.Second

// Report takes a client's word for examination. It does nothing for a version
// that was replaced already; otherwise the refresher examines and, unless the
// value is alive, replaces it, once for however many reports.
func (n *Node) Report(ctx context.Context, name Name, c ReportCall) (Report, error) {
	v, err := n.existing(name)
	if err != nil {
		return Report{}, err
	}
	if c.Version > v.State.Version {
		// Another node may have served a version that is still on its way to this one.
		_ = n.knows(ctx, func(r *records) bool { return r.states[name].Version >= c.Version })
		if v, err = n.existing(name); err != nil {
			return Report{}, err
		}
	}
	version, err := n.reported(name, v, c)
	if err != nil {
		return Report{}, err
	}
	if version < v.State.Version {
		return Report{Answer: AnswerReplaced, After: version, View: v}, nil
	}
	if knownDead(v.State, version) {
		return Report{Answer: AnswerFailed, After: version, View: v}, nil
	}
	on, err := n.ask(ctx, Request{Name: name, Above: version, Reason: ReasonReport, Code: c.Code})
	if err != nil {
		return Report{}, err
	}
	return n.awaitVerdict(ctx, on, version)
}

// reported finds the version that a report means.
func (n *Node) reported(name Name, v *View, c ReportCall) (int64, error) {
	if c.Fingerprint == "" {
		if c.Version < 1 {
			return 0, Invalidf("a report names the dead value by its version, 1 or more, or by its fingerprint")
		}
		if c.Version > v.State.Version {
			return 0, Invalidf("version %d of %s is not known here, the newest is %d: report the version you were given", c.Version, name, v.State.Version)
		}
		return c.Version, nil
	}
	if former := n.cache.cell(name).former.Load(); former != nil {
		for _, value := range *former {
			if value.fingerprint == c.Fingerprint {
				return value.version, nil
			}
		}
	}
	return 0, Invalidf("no current or recent value of %s has the fingerprint %.32q: report the one you were given", name, c.Fingerprint)
}

// awaitVerdict waits until it is clear what becomes of a report that was made on
// a state.
func (n *Node) awaitVerdict(ctx context.Context, on State, version int64) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, reportWait)
	defer cancel()
	name := on.Name
	for {
		moved := n.cache.moved.wait()
		now, err := n.look(name)
		if err != nil {
			return Report{}, err
		}
		if answer, ok := verdictOn(now.view.State, version, on.Verdict, now.answered(on)); ok {
			return Report{Answer: answer, After: version, View: now.view}, nil
		}
		if now.stands && n.replacing(name, now.request) {
			return Report{Answer: AnswerRefreshing, After: version, View: now.view}, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return Report{Answer: AnswerRefreshing, After: version, View: now.view}, nil
		}
	}
}

// verdictOn returns what is known of a report about a version; gone means that
// its request stood and was answered.
func verdictOn(state State, version int64, former Verdict, gone bool) (Answer, bool) {
	switch {
	case state.Version > version:
		return AnswerReplaced, true
	case state.Verdict.Version == version && (!state.Verdict.At.Equal(former.At) || state.Verdict.Answer != former.Answer):
		return state.Verdict.Answer, true
	case gone:
		return AnswerFailed, true
	}
	return "", false
}

// replacing reports whether a refresh for the request has begun.
func (n *Node) replacing(name Name, request Request) (found bool) {
	n.cache.reading(func(r *records) {
		for id, intent := range r.intents {
			_, yields := intent.Bases[name.Token]
			found = found || id.app == name.App && yields && forces(intent.Reason) && forces(request.Reason)
		}
	})
	return found
}
