package coordinator

import (
	"context"
	"time"
)

// ReasonUnresolved marks a token whose refresh token may have been used by an
// attempt whose answer is missing. The platform may honour only what that
// answer held, and may take everything back if the old one is presented again.
const ReasonUnresolved = "unresolved_refresh"

// ReasonRefused marks a token whose refresh token was refused while the answer
// to an earlier use of it was missing: what was missing may still arrive.
const ReasonRefused = "refused_while_unresolved"

// winnerWait is how long, after a refusal, the result of an earlier attempt is
// still waited for: the process that has it may be paused.
const winnerWait = time.Minute

// unresolved returns when the first attempt began that may have spent the
// refresh token of this task, with an unknown outcome; zero: there is none.
func (t task) unresolved() (first time.Time) {
	if !t.group.Rotation.Consumes() {
		return time.Time{}
	}
	for _, state := range t.states {
		first = earlier(first, state.Unresolved)
	}
	if t.foreign != nil {
		first = earlier(earlier(first, t.foreign.Unresolved), t.foreign.Began)
	}
	return first
}

// earlier returns the earlier of two instants; a zero one counts for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// mayPresent returns why the refresh token must not be presented by this
// attempt; nil: it may be.
func (a *attempt) mayPresent(ctx context.Context) error {
	first, whose := a.intent.Unresolved, "a former refresher"
	switch {
	case first.IsZero():
		return nil
	case a.withinGrace(first, a.node.now()), a.intent.Reason == ReasonLastChance && a.task.foreign == nil:
		a.met(ctx, HazardReplay, "presenting a refresh token that may have been used")
		return nil
	case a.task.foreign != nil:
		a.met(ctx, HazardLostResult, "the result of an earlier attempt is missing")
		whose = "node " + a.task.foreign.Node
	}
	return &UpstreamError{
		Class: ClassUncertain, Code: "unresolved", Reason: ReasonUnresolved,
		Message: whose + " did not say how the refresh ended that it began",
	}
}

// withinGrace reports whether the platform still takes, for as long as a call
// lasts, a refresh token that was first presented at an instant or later.
func (a *attempt) withinGrace(first, now time.Time) bool {
	rotation := a.task.group.Rotation
	slack := a.task.app.Refresh.Timeout + a.node.Margin()
	return rotation.Class == RotationGrace && now.Add(slack).Before(first.Add(rotation.Grace))
}

// unresolvedAfter returns State.Unresolved after a failure of this attempt.
func (a *attempt) unresolvedAfter(upstream *UpstreamError) time.Time {
	if !a.task.group.Rotation.Consumes() || a.rotated {
		return time.Time{}
	}
	if upstream.Ambiguous && !a.asked.IsZero() {
		return earlier(a.intent.Unresolved, a.began)
	}
	return a.intent.Unresolved
}

// afterUnresolved returns the status of a state with an unresolved attempt after
// a failure, and when to look at it again; not ok: the ordinary rules hold.
func (a *attempt) afterUnresolved(state State, upstream *UpstreamError, now time.Time) (status Status, reason string, due time.Time, ok bool) {
	refused := upstream.Class == ClassReauthorize
	switch wait := state.Unresolved.Add(a.task.app.Refresh.Timeout + a.node.margin + winnerWait); {
	case state.Unresolved.IsZero():
		return "", "", time.Time{}, false
	case a.chanceSpent(upstream):
		return StatusReauthorize, upstream.Reason, now.Add(probeMax), true
	case refused && now.Before(wait):
		return StatusUncertain, ReasonRefused, wait, true
	case refused:
		return StatusReauthorize, upstream.Reason, now.Add(probeMax), true
	case a.withinGrace(state.Unresolved, now):
		return "", "", time.Time{}, false
	}
	due = later(state.Expires, now)
	if a.intent.Reason == ReasonLastChance {
		_, due = a.passing(state, upstream, now)
	}
	return StatusUncertain, ReasonUnresolved, due, true
}

// chanceSpent reports whether the one last chance was used, by this attempt or
// by the one it took over, without a definite answer that lets it be used again.
func (a *attempt) chanceSpent(upstream *UpstreamError) bool {
	if a.task.foreign != nil && a.task.foreign.Reason == ReasonLastChance {
		return true
	}
	return a.intent.Reason == ReasonLastChance && (upstream.Ambiguous || upstream.Class == ClassReauthorize)
}

// planUncertain plans for a group whose refresh token must not be presented; ok
// is false where only a result that arrives or somebody who acts can help.
func planUncertain(t task) (_ task, ok bool) {
	state := t.states[0]
	switch {
	case state.Reason == ReasonRefused:
		t.kind, t.at = taskGiveUp, state.Due
		return t, true
	case !t.group.Rotation.LastChance:
		return t, false
	}
	t.kind, t.reason = taskFetch, ReasonLastChance
	for _, state := range t.states {
		t.at = later(t.at, later(state.Expires, state.Due))
	}
	return t, true
}

// giveUp says that nobody brought the missing answer: somebody must authorise again.
func (a *attempt) giveUp(ctx context.Context) error {
	for _, state := range a.task.states {
		state.Status, state.Epoch = StatusReauthorize, a.held.Epoch
		if err := a.noteAnd(ctx, state, nil); err != nil {
			return err
		}
	}
	a.log.ErrorContext(ctx, "the refresh token was refused and no answer to an earlier use came: authorise the app again")
	return nil
}

// refused looks again before it believes that the grant is gone: another
// attempt may have replaced it, or have left its result.
func (a *attempt) refused(ctx context.Context, failure *UpstreamError) error {
	now, err := a.node.store.Read(ctx, a.query())
	if err != nil {
		a.log.WarnContext(ctx, "reading again after a refusal", "err", err)
		return failure
	}
	ours := now.Intent != nil && now.Intent.Attempt == a.intent.Attempt
	if !ours || now.Grant == nil || a.now.Grant == nil {
		return failure
	}
	moved := now.Grant.Revision != a.now.Grant.Revision
	a.now = now
	applicable := false
	for _, s := range now.Salvage {
		applicable = applicable || a.fits(s)
	}
	if !moved && !applicable {
		return failure
	}
	return &UpstreamError{
		Class: ClassRetry, Code: failure.Code, Reason: "grant_replaced",
		Message: "the refresh token was refused because another attempt had replaced it: the newer one is tried next",
	}
}
