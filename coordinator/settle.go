package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"freshet/coordinator/failpoint"
	"freshet/coordinator/schedule"
)

// settle ends the attempt with what the upstream said, however long the store
// takes to take it. A refused transaction is never guessed about: everything is
// read again, and what is found decides.
func (a *attempt) settle(ctx context.Context, yield Yield, failure error) (err error) {
	ctx, span := a.node.tracer.Start(ctx, "publish")
	defer func() { span.End(err) }()
	if upstream, ok := errors.AsType[*UpstreamError](failure); ok && upstream.Class == ClassReauthorize && a.now.Grant != nil {
		failure = a.refused(ctx, upstream)
	}
	for {
		p := a.publication(yield, failure)
		a.committed, err = a.node.store.Publish(ctx, p)
		if err == nil || ctx.Err() != nil && a.shown(a.intent.Attempt) {
			failpoint.Hit(failpoint.AfterPublish)
			a.unspool(ctx)
			a.tell(ctx, p, failure)
			return a.complain(ctx, failure)
		}
		if !errors.Is(err, ErrFenced) && !errors.Is(err, ErrConflict) {
			a.log.ErrorContext(ctx, "a result could not be saved", "attempt", a.intent.Attempt, "err", err)
			return fmt.Errorf("publishing: %w", err)
		}
		ended, err := a.settleRefused(ctx, yield, failure)
		if ended || err != nil {
			return err
		}
	}
}

// settleRefused decides what becomes of a refused publication; ended means that
// nothing is left to do.
func (a *attempt) settleRefused(ctx context.Context, yield Yield, failure error) (ended bool, err error) {
	a.now, err = a.node.store.Read(ctx, a.query())
	if err != nil {
		return true, fmt.Errorf("reading why a publication was refused: %w", err)
	}
	ours := a.now.Intent != nil && a.now.Intent.Attempt == a.intent.Attempt
	switch {
	case a.now.ended(a.intent.Attempt):
		a.unspool(ctx)
		return true, a.deposed()
	case a.outdated(yield):
		a.log.WarnContext(ctx, "result dropped: the app was changed meanwhile", "attempt", a.intent.Attempt)
		if ours {
			a.intent = *a.now.Intent
			if err := a.node.store.Void(ctx, a.intent); err != nil {
				return true, err
			}
		}
		a.unspool(ctx)
		return true, nil
	case ours && (a.now.Leads || failure == nil || a.rotated):
		a.intent = *a.now.Intent
		return false, nil
	case failure != nil && !a.rotated:
		a.unspool(ctx)
		return true, a.deposed() // it tells nothing that the next attempt would not learn
	}
	if err := a.salvage(ctx, yield); err != nil {
		return true, err
	}
	a.unspool(ctx)
	return true, a.deposed()
}

// outdated reports whether a result belongs to a former life of the app, or to a
// grant that has been replaced by a newer one. Other credentials, of the app or
// of a parent, do not outdate a rotated refresh token: it is the only one.
func (a *attempt) outdated(yield Yield) bool {
	spends := a.task.group.Rotation.Spends()
	switch {
	case !yield.Refresh.IsZero() && spends:
		return a.now.Grant == nil || !a.now.Grant.follows(a.intent.Incarnation, a.made)
	case a.now.incarnation(a.task.lineage) != nil:
		return true
	}
	return spends && (a.now.Grant == nil || a.made.generation != a.now.Grant.Generation)
}

// deposed returns ErrFenced if leadership is gone.
func (a *attempt) deposed() error {
	if a.now.Leads {
		return nil
	}
	return ErrFenced
}

// ended reports whether an attempt has ended in one of the states.
func (s Situation) ended(attempt string) bool {
	for _, state := range s.States {
		if state.Ended(attempt) {
			return true
		}
	}
	return false
}

// errNewLife means that an app or a parent of it has begun a new incarnation.
var errNewLife = errors.New("the app has begun a new incarnation")

// incarnation returns errNewLife if the lineage is not what it was.
func (s Situation) incarnation(lineage []Ancestor) error {
	if len(s.Lineage) != len(lineage) {
		return errNewLife
	}
	for i, ancestor := range lineage {
		if s.Lineage[i].App != ancestor.App || s.Lineage[i].Incarnation != ancestor.Incarnation || s.Lineage[i].Revision == 0 {
			return errNewLife
		}
	}
	return nil
}

// publication puts the end of the attempt together from what was last read.
func (a *attempt) publication(yield Yield, failure error) Publication {
	p := Publication{Intent: a.intent, Lineage: a.now.Lineage}
	if a.task.group.Rotation.Spends() {
		p.Spent = a.now.Grant
	}
	if p.Spent != nil && !yield.Refresh.IsZero() {
		p.Grant = p.Spent.next(yield.Refresh, a.made, a.asked)
	}
	p.Salvage = a.outlived(p.Grant, failure)
	if a.now.Leads {
		p.Epoch = a.held.Epoch
	}
	for i, state := range a.now.States {
		if failure != nil {
			p.States = append(p.States, a.failed(state, failure))
			continue
		}
		next, token := a.succeeded(state, a.now.Tokens[i], yield.Values[state.Name.Token])
		p.States = append(p.States, next)
		if token != nil {
			p.Tokens = append(p.Tokens, *token)
		}
	}
	p.Answered = a.answered(failure)
	return p
}

// answered names the tokens whose requests end with this attempt: all of them,
// unless the failure is passing and the next try will answer.
func (a *attempt) answered(failure error) []Name {
	upstream, ok := errors.AsType[*UpstreamError](failure)
	if ok && (upstream.Class == ClassRetry || upstream.Class == ClassDeadToken) {
		return nil
	}
	var names []Name
	for _, token := range a.task.group.Tokens {
		names = append(names, Name{App: a.task.app.Name, Token: token})
	}
	return names
}

// succeeded is the state after a fetch, and the token to write; nil where the
// platform answered the value we hold.
func (a *attempt) succeeded(state State, held Token, value Value) (State, *Token) {
	expires := a.asked.Add(value.Lifetime)
	token := &Token{
		Name: state.Name, Value: value.Value, Type: value.Type, Scope: value.Scope, Extra: value.Extra,
		Version: state.Version + 1, Issued: a.asked, Expires: expires, Epoch: a.intent.Epoch, Traceparent: a.intent.Traceparent,
	}
	result, same := ResultPublished, held.Revision != 0 && held.Version == state.Version && held.Value.Equal(value.Value)
	if !a.now.Leads {
		result = ResultSalvaged
	}
	due := schedule.Due(a.asked, expires, policy(a.task.app, a.task.group, state.Name.Token), chance())
	switch {
	case same:
		result = ResultSame
		token, due = a.sameValue(state, held, expires)
	case value.Value.IsZero(), !a.node.now().Before(expires):
		token, due = nil, a.node.now() // saved too late to be served; its refresh token still counts
	}
	next := state
	next.Deleted, next.Status, next.Reason, next.Failures = false, StatusFresh, "", 0
	next.Unresolved = time.Time{}
	next.Incarnation = a.task.app.Incarnation
	next.Due, next.Epoch, next.Hold = due, a.intent.Epoch, time.Time{}
	if token != nil {
		next.Version, next.Issued, next.Expires = token.Version, token.Issued, token.Expires
	}
	a.noteDeaths(&next)
	if a.forced {
		next.Forced = a.asked
	}
	return next.WithOutcome(a.outcome(result, next.Version, "")), token
}

// sameValue keeps the version of a value that the platform answered again. Its
// end is what we knew or what the platform says now, whichever is sooner: some
// name the full lifetime however old the value is. It is written anew only if
// that moved by more than clocks may differ.
func (a *attempt) sameValue(state State, held Token, expires time.Time) (*Token, time.Time) {
	moved := held.Expires.Sub(expires) > leastMargin
	if moved {
		held.Expires, held.Moved, held.Epoch = expires, true, a.held.Epoch
	}
	due := schedule.Again(a.node.now(), held.Issued, held.Expires, policy(a.task.app, a.task.group, state.Name.Token), chance())
	if !moved {
		return nil, due
	}
	return &held, due
}

// foreignDeaths in a row mean that somebody else mints tokens for this app.
const foreignDeaths = 2

// ReasonForeignRefresher marks a token that keeps dying before its time although
// we did not replace it: a second system fetches tokens for the same account.
const ReasonForeignRefresher = "foreign_refresher"

// noteDeaths keeps count of early deaths: a refresh that came due in the
// ordinary way shows that the last value lived.
func (a *attempt) noteDeaths(next *State) {
	switch {
	case a.deaths > 0:
		next.Deaths = a.deaths
	case a.task.reason == ReasonDue && a.intent.Previous == "":
		next.Deaths = 0
	}
	if next.Deaths >= foreignDeaths {
		next.Reason = ReasonForeignRefresher
	}
}

// outcome describes this attempt for the states.
func (a *attempt) outcome(result Result, version int64, message string) Outcome {
	return Outcome{
		Attempt: a.intent.Attempt, Epoch: a.intent.Epoch, Result: result, Version: version,
		Began: a.began, Opened: a.opened, Fetched: a.fetched, Message: message,
	}
}

// tell logs the end of the attempt.
func (a *attempt) tell(ctx context.Context, p Publication, failure error) {
	attrs := []any{"attempt", a.intent.Attempt, "reason", string(a.task.reason), "elapsed", a.elapsed().Round(time.Millisecond)}
	if failure != nil {
		a.log.WarnContext(ctx, "refresh failed", append(attrs, "status", string(p.States[0].Status), "retry_at", p.States[0].Due, "err", failure)...)
		return
	}
	a.log.InfoContext(ctx, "refreshed", append(attrs, "result", string(p.States[0].NewestOutcome().Result),
		"version", p.States[0].Version, "expires", p.States[0].Expires, slog.Time("due", p.States[0].Due))...)
}
