package coordinator

import (
	"context"
	"errors"
	"fmt"

	"freshet/coordinator/failpoint"
)

// salvage saves a result that another leadership's takeover keeps us from
// publishing. Whoever leads finds it before the next call.
func (a *attempt) salvage(ctx context.Context, yield Yield) error {
	failpoint.Hit(failpoint.BeforeSalvage)
	if err := a.node.store.Salvage(ctx, a.result(yield)); err != nil {
		return fmt.Errorf("salvaging a result: %w", err)
	}
	failpoint.Hit(failpoint.AfterSalvage)
	a.log.WarnContext(ctx, "result salvaged: another leadership took over", "attempt", a.intent.Attempt)
	return nil
}

// result is what the attempt yielded, in the form in which it outlives the attempt.
func (a *attempt) result(yield Yield) Salvage {
	s := Salvage{
		App: a.task.app.Name, Group: a.task.group.Name, Attempt: a.intent.Attempt, Incarnation: a.intent.Incarnation,
		IntentRevision: a.made.intent, Generation: a.made.generation, Refresh: yield.Refresh, Bases: a.intent.Bases, Began: a.began,
	}
	for _, token := range a.task.group.Tokens {
		value := yield.Values[token]
		s.Tokens = append(s.Tokens, Token{
			Name: Name{App: a.task.app.Name, Token: token}, Value: value.Value, Type: value.Type, Scope: value.Scope, Extra: value.Extra,
			Issued: a.asked, Expires: a.asked.Add(value.Lifetime), Epoch: a.intent.Epoch, Traceparent: a.intent.Traceparent,
		})
	}
	return s
}

// yield is what the salvaged attempt's call yielded.
func (s Salvage) yield() Yield {
	yield := Yield{Values: map[string]Value{}, Refresh: s.Refresh}
	for _, token := range s.Tokens {
		yield.Values[token.Name.Token] = Value{
			Value: token.Value, Lifetime: token.Expires.Sub(token.Issued), Type: token.Type, Scope: token.Scope, Extra: token.Extra,
		}
	}
	return yield
}

// useSalvage ends the attempt with the newest salvaged result that still fits,
// without a call. done is false where none fits: those are deleted with the
// outcome of the call that follows.
func (a *attempt) useSalvage(ctx context.Context) (done bool, err error) {
	for _, s := range a.now.Salvage {
		if !a.fits(s) {
			continue
		}
		a.asked, a.made = s.Tokens[0].Issued, origin{s.Generation, s.IntentRevision}
		a.forced = false
		return true, a.settle(ctx, s.yield(), nil)
	}
	if a.due() {
		return false, nil
	}
	var errs []error
	for _, s := range a.now.Salvage {
		errs = append(errs, a.node.store.DropSalvage(ctx, a.held.Epoch, s))
	}
	return true, errors.Join(append(errs, a.void(ctx))...)
}

// fits reports whether a salvaged result may be published: it holds the newest
// refresh token of the grant, or is of this life of the app, follows the versions
// that are current and lives.
func (a *attempt) fits(s Salvage) bool {
	switch {
	case len(s.Tokens) == 0:
		return false
	case !s.Refresh.IsZero():
		// A refresh token counts even where the values it came with have expired.
		by := origin{s.Generation, s.IntentRevision}
		return a.now.Grant != nil && a.task.group.Rotation.Spends() && a.now.Grant.follows(s.Incarnation, by)
	case s.Incarnation != a.task.app.Incarnation:
		return false
	}
	for _, state := range a.now.States {
		if s.Bases[state.Name.Token] != state.Version {
			return false
		}
	}
	for _, token := range s.Tokens {
		if token.Expires.Sub(a.node.now()) <= leastMargin {
			return false
		}
	}
	return true
}

// outlived returns the salvaged results that nobody can use once this attempt is
// published, with its grant if it has a new one.
func (a *attempt) outlived(next *Grant, failure error) []Salvage {
	var outlived []Salvage
	for _, s := range a.now.Salvage {
		newer := a.fits(s) && (failure != nil || !s.Refresh.IsZero())
		if newer && next != nil {
			newer = origin{s.Generation, s.IntentRevision}.produces(next)
		}
		if !newer {
			outlived = append(outlived, s)
		}
	}
	return outlived
}

// due reports whether the group is to be fetched now, salvage or not.
func (a *attempt) due() bool {
	if a.task.request != nil || a.task.foreign != nil {
		return true
	}
	for _, state := range a.now.States {
		if !a.node.now().Before(state.Due) {
			return true
		}
	}
	return false
}
