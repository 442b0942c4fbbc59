package coordinator

import (
	"context"
	"errors"
	"time"

	"freshet/coordinator/schedule"
)

// A credential that cannot work is tried again slowly, since somebody may have
// mended it at the platform without telling us.
const (
	probeMin = time.Minute
	probeMax = time.Hour
)

// failed is the state after a definite failure.
func (a *attempt) failed(state State, failure error) State {
	upstream, ok := errors.AsType[*UpstreamError](failure)
	if !ok {
		upstream = &UpstreamError{Class: ClassRetry, Code: "internal", Reason: "internal_error", Message: "the provider failed in a way it does not name"}
	}
	now := a.node.now()
	next := state
	next.Incarnation, next.Epoch = a.task.app.Incarnation, a.held.Epoch
	next.Failures++
	next.Reason = upstream.Reason
	if upstream.Class == ClassDeadToken && upstream.Token != "" {
		next.Reason = deadParent(upstream.Token)
	}
	next.Unresolved = a.unresolvedAfter(upstream)
	next.Status, next.Due = a.afterFailure(next, upstream, now)
	if status, reason, due, ok := a.afterUnresolved(next, upstream, now); ok {
		next.Status, next.Reason, next.Due = status, reason, due
	}
	next.Hold = holdOf(upstream, now)
	if a.deaths > 0 {
		next.Deaths = a.deaths
	}
	if a.forced {
		next.Forced = a.asked
	}
	if upstream.Ambiguous {
		// What was asked may still happen until nobody can count on it any more.
		next.Due = later(next.Due, now.Add(a.left()))
	}
	return next.WithOutcome(a.outcome(ResultFailed, next.Version, upstream.Error()))
}

// afterFailure returns the status that a class of failure leads to, and when to try again.
func (a *attempt) afterFailure(state State, upstream *UpstreamError, now time.Time) (Status, time.Time) {
	switch upstream.Class {
	case ClassQuota:
		wait := firstOf(upstream.RetryAfter, schedule.Backoff(state.Failures, probeMin, probeMax, chance()))
		return StatusThrottled, now.Add(wait)
	case ClassConfig, ClassCaller:
		wait := max(upstream.RetryAfter, schedule.Backoff(state.Failures, probeMin, probeMax, chance()))
		return StatusBlocked, now.Add(wait)
	case ClassReauthorize:
		return StatusReauthorize, now.Add(probeMax)
	case ClassRetry, ClassDeadToken, ClassUncertain:
	}
	return a.passing(state, upstream, now)
}

// passing is afterFailure for a failure that may be over at the next try.
func (a *attempt) passing(state State, upstream *UpstreamError, now time.Time) (Status, time.Time) {
	settings := a.task.app.Refresh
	wait := schedule.Backoff(state.Failures, settings.RetryMin, settings.RetryMax, chance())
	wait = max(schedule.Within(wait, state.Expires.Sub(now), settings.RetryMin), upstream.RetryAfter)
	if state.Version == 0 {
		return StatusPending, now.Add(wait)
	}
	return StatusFailing, now.Add(wait)
}

// complain tells what a call has shown besides its result: that our address is
// refused, or no more; or that a token it was made with is dead, which is reported,
// so that it is replaced before this group is tried again.
func (a *attempt) complain(ctx context.Context, failure error) error {
	upstream, ok := errors.AsType[*UpstreamError](failure)
	switch {
	case failure == nil && a.fetched > 0: // not salvage
		return a.unbar(ctx)
	case ok && upstream.Egress:
		return a.bar(ctx, upstream)
	}
	if !ok || upstream.Class != ClassDeadToken || upstream.Token == "" {
		return nil
	}
	name := Name{App: a.task.app.Name, Token: upstream.Token}
	v, ok := a.node.cache.view(name)
	if !ok {
		return nil
	}
	_, err := a.node.ask(ctx, Request{Name: name, Above: v.Version(), Reason: ReasonReport, Code: upstream.Code})
	return err
}

// ReasonBudget marks a token whose app has no calls left in this window.
const ReasonBudget = "budget_spent"

// budgetSpent is the failure of a call that the budget does not allow.
func budgetSpent(b Budget, now time.Time) error {
	return &UpstreamError{
		Class: ClassQuota, Code: "budget", Reason: ReasonBudget, RetryAfter: b.Ends.Sub(now) + time.Duration(chance()*float64(probeMin)),
		Message: "the calls of this window are spent; it ends at " + b.Ends.UTC().Format(time.RFC3339),
	}
}

// throttle ends a first attempt that the budget does not allow, before its
// intent. A forced refresh is only answered: the schedule goes on.
func (a *attempt) throttle(ctx context.Context, budget Budget) error {
	state := a.task.states[0]
	if a.task.request != nil {
		state = a.stateOf(a.task.request.Name)
		state.Verdict = Verdict{Version: a.task.request.Above, Answer: AnswerThrottled, At: a.node.now()}
	}
	if !a.forced {
		state.Status, state.Reason = StatusThrottled, ReasonBudget
		state.Due = budget.Ends.Add(time.Duration(chance() * float64(probeMin)))
	}
	state.Epoch = a.held.Epoch
	return errors.Join(errThrottled, a.note(ctx, state))
}

// errThrottled ends an attempt that the budget does not allow.
var errThrottled = errors.New("the budget is spent")

// note writes a state outside of an attempt, lets the request go, and waits
// until the cache shows it.
func (a *attempt) note(ctx context.Context, state State) error {
	return a.noteAnd(ctx, state, a.task.request)
}

// noteAnd is note for another request, or none.
func (a *attempt) noteAnd(ctx context.Context, state State, answered *Request) error {
	err := a.node.store.Note(ctx, Note{Epoch: a.held.Epoch, State: state, Request: answered})
	if err != nil {
		return a.catchUp(ctx, err)
	}
	return a.node.knows(ctx, func(r *records) bool { return r.states[state.Name].Revision > state.Revision })
}

// holdOf is until when the platform wants no call; zero where it has not said.
func holdOf(failure *UpstreamError, now time.Time) time.Time {
	if failure.RetryAfter <= 0 || failure.Reason == ReasonBudget {
		return time.Time{}
	}
	return now.Add(failure.RetryAfter)
}
