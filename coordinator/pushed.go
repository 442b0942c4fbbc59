package coordinator

import (
	"context"
	"log/slog"
	"time"

	"freshet/coordinator/schedule"
	"freshet/tracing"
)

// ReasonReportedDead marks a token whose pushed value was reported dead: nobody
// can be asked whether it is, or for another one.
const ReasonReportedDead = "reported_dead"

// ReasonAwaitsPush is the reason of a token that has no value, or not for long,
// until somebody pushes one.
const ReasonAwaitsPush = "awaits_push"

// fetcher returns the provider that asks for an app's values; nil: they are pushed.
func (n *Node) fetcher(app App) Fetcher {
	f, _ := n.providers[app.Provider].(Fetcher)
	return f
}

// isPushed reports whether an app's values are pushed. Views remember it, so that
// reads need not look.
func (n *Node) isPushed(r *records, name string) bool {
	for range maxLineage {
		app := r.apps[name]
		if app.Provider != "" {
			_, known := n.providers[app.Provider]
			return known && n.fetcher(app) == nil
		}
		name = app.Parent
	}
	return false
}

// planPushed plans for a group whose values are pushed: nobody is called for it,
// ever. What is pushed is published at once, unless that is paused, and requests
// are answered at once.
func (n *Node) planPushed(r *records, t task, now time.Time, paused bool) (_ task, ok bool) {
	t.at = now
	// An intent of a provider that the app had before. One that took over another
	// cannot be voided, and hinders nobody here.
	if intent, open := r.intents[t.id]; open && intent.Previous == "" {
		t.kind, t.foreign = taskVoid, &intent.Intent
		return t, true
	}
	for _, state := range t.states {
		if input, ok := r.inputs[state.Name]; ok && !paused {
			t.kind, t.input = taskInput, &input
			return t, true
		}
	}
	for _, state := range t.states {
		if request, ok := r.requests[state.Name]; ok {
			t.kind, t.request, t.reason = taskAnswer, &request, request.Reason
			return t, true
		}
	}
	return t, false
}

// takeInput publishes what was pushed. Whoever leads does so: where the outcome
// of this transaction stays unknown, its compares let the next one's succeed only
// if it was not committed.
func (a *attempt) takeInput(ctx context.Context) (err error) {
	input := *a.task.input
	ctx, span := a.node.tracer.Start(tracing.Join(ctx, input.Traceparent), "publish pushed value", slog.Group("freshet",
		slog.String("app", input.Name.App), slog.Int64("epoch", int64(a.held.Epoch)), slog.String("node", a.node.name)))
	defer func() { span.End(err) }()
	a.now, err = a.node.store.Read(ctx, a.query())
	if err != nil {
		return err
	}
	intake := a.intake(input, tracing.Traceparent(ctx))
	a.committed, err = a.node.store.TakeInput(ctx, intake)
	if err != nil {
		return a.catchUp(ctx, err)
	}
	newest := intake.State.NewestOutcome()
	a.log.InfoContext(ctx, "pushed value taken", "token", input.Name.String(), "by", input.By, "result", string(newest.Result),
		"version", newest.Version, "expires", intake.State.Expires)
	return nil
}

// intake puts the end of an input together from what was last read.
func (a *attempt) intake(input Input, traceparent string) Intake {
	now := a.node.now()
	state, held := a.situated(input.Name)
	state.Epoch = a.held.Epoch
	outcome := Outcome{Attempt: input.ID, Epoch: a.held.Epoch, Version: state.Version, Began: input.Pushed, Message: "pushed by " + input.By, Before: input.Before}
	intake := Intake{Epoch: a.held.Epoch, Input: input}
	if why := a.useless(input, now); why != "" {
		outcome.Result, outcome.Message = ResultFailed, "a value pushed by "+input.By+" was dropped: "+why
		intake.State = state.WithOutcome(outcome)
		return intake
	}
	token := Token{
		Name: input.Name, Value: input.Value, Type: input.Type, Scope: input.Scope, Extra: input.Extra, Version: state.Version + 1,
		Issued: earlier(input.Pushed, now), Expires: input.ends(now), Epoch: a.held.Epoch, Traceparent: traceparent,
	}
	outcome.Result = ResultPublished
	same := held.Revision != 0 && held.Version == state.Version && input.repeats(held)
	if same && input.Wanted <= state.Version { // else somebody waits for a newer version
		outcome.Result = ResultSame
		token.Version, token.Issued, token.Traceparent = held.Version, held.Issued, held.Traceparent
		token.Moved = held.Moved || !token.Expires.Equal(held.Expires)
	}
	outcome.Version = token.Version
	intake.State, intake.Token = a.tookIn(state, token).WithOutcome(outcome), &token
	return intake
}

// situated returns the state and the value of a token as they were read last.
func (a *attempt) situated(name Name) (State, Token) {
	for i, state := range a.now.States {
		if state.Name == name {
			return state, a.now.Tokens[i]
		}
	}
	return a.now.States[0], a.now.Tokens[0]
}

// useless says why an input cannot be published any more.
func (a *attempt) useless(input Input, now time.Time) string {
	switch {
	case input.Incarnation != a.task.app.Incarnation:
		return "the app was changed since"
	case input.ends(now).Sub(now) <= leastMargin:
		return "it ended before it could be published"
	}
	return ""
}

// tookIn is the state of a token with a value that was pushed. It is due when its
// window opens: from then on people are told that the next one is wanted.
func (a *attempt) tookIn(state State, token Token) State {
	state.Deleted, state.Status, state.Reason, state.Failures, state.Deaths = false, StatusFresh, "", 0, 0
	state.Unresolved, state.Hold, state.Incarnation = time.Time{}, time.Time{}, a.task.app.Incarnation
	state.Version, state.Issued, state.Expires = token.Version, token.Issued, token.Expires
	state.Due = schedule.Due(token.Issued, token.Expires, policy(a.task.app, a.task.group, token.Name.Token), evenly)
	return state
}

// evenly in the place of chance leaves a window as it is.
const evenly = 0.5

// deadVerdict answers a report of a pushed value: nobody can be asked whether it
// lives, so it is believed, and shown until another value is pushed. That may come
// at any time, so that waiting for it is never in vain.
func deadVerdict(state State, request Request, now time.Time) State {
	state.Verdict = Verdict{Version: request.Above, Answer: AnswerFailed, At: now}
	if request.Reason == ReasonReport {
		state.Status, state.Reason, state.Due = StatusBlocked, ReasonReportedDead, time.Time{}
	}
	return state
}

// knownDead reports whether a version of a pushed value was reported dead before.
func knownDead(state State, version int64) bool {
	return state.Status == StatusBlocked && state.Reason == ReasonReportedDead && state.Verdict.Version == version
}

// refreshPushed answers who asks for a newer value of a token whose values are
// pushed: nobody can be asked for one, so what is on its way is waited for, and
// nothing else.
func (n *Node) refreshPushed(ctx context.Context, v *View, above int64, wait time.Duration) (*View, error) {
	waits := n.inputWaits(v.Name)
	if waits && wait <= 0 {
		return v, nil
	}
	if !waits {
		wait = 0
	}
	return n.Read(ctx, v.Name, Want{Above: above, Wait: wait})
}

// inputWaits reports whether a pushed value is not published yet.
func (n *Node) inputWaits(name Name) (waits bool) {
	n.cache.reading(func(r *records) { _, waits = r.inputs[name] })
	return waits
}

// explainPushed is about a token whose values are pushed.
func (n *Node) explainPushed(v *View, now time.Time, e Explanation) Explanation {
	push := "freshet push " + v.Name.String() + " --expires-in LIFETIME"
	switch v.Status(now) {
	case StatusPending:
		e.Todo = "its values are pushed: push the first one with: " + push
	case StatusDue:
		e.Todo = "its values are pushed, and the last one ends at " + clock(v.State.Expires) + ": push a new one before with: " + push
	case StatusExpired:
		e.Todo = "its values are pushed, and the last one ended at " + clock(v.State.Expires) + ": push a new one with: " + push
	case StatusBlocked:
		e.Todo = "the pushed value was reported dead" + reportedAt(v.State) + ", and nobody can be asked for another one: push one that lives with: " + push
	case StatusPaused:
		e.Todo = n.whyPaused(v.Name.App)
		if n.inputWaits(v.Name) {
			e.Todo += "; a pushed value waits for that"
		}
		return e
	case StatusFailing, StatusThrottled, StatusUncertain, StatusReauthorize: // of a provider that the app had before
		e.Todo = "its values are pushed: push one with: " + push
	case StatusFresh:
		return e
	}
	e.Reason = firstOf(e.Reason, ReasonAwaitsPush)
	return e
}

// reportedAt says when a value was reported, which a state of a snapshot does not know.
func reportedAt(s State) string {
	if s.Verdict.At.IsZero() {
		return ""
	}
	return " at " + clock(s.Verdict.At)
}
