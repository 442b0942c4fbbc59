package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"freshet/coordinator/failpoint"
	"freshet/tracing"
)

// attempt is one refresh of a fetch group: an intent and at most one upstream
// call made under it. It belongs to one worker.
type attempt struct {
	node *Node
	held Leadership
	task task
	log  *slog.Logger

	began   time.Time // before the intent was sent; the deadline counts from here
	intent  Intent
	opened  time.Duration
	asked   time.Time // before the upstream call; lifetimes count from here
	fetched time.Duration
	forced  bool
	made    origin    // of the result, where it spends a grant
	rotated bool      // the call yielded a new refresh token, perhaps beside a failure
	deaths  int       // early deaths in a row, counting the one this attempt mends
	now     Situation // as last read
	spent   error     // the budget does not allow the call
	unready error     // there is no room for the refresh token that the call may yield

	committed int64 // revision of what ended it, so that the next plan is made on no less
}

// elapsed is how long the attempt has lasted, by the monotonic clock.
func (a *attempt) elapsed() time.Duration { return a.node.now().Sub(a.began) }

// left is how long it is until the attempt's deadline, the instant at which nobody
// may count on its call any more: it is counted from before the intent was sent,
// so that whoever waits for the intent to age has waited longer.
func (a *attempt) left() time.Duration { return a.task.app.Refresh.Timeout - a.elapsed() }

// late reports whether the deadline has passed, by either clock: the monotonic one
// stands still while the machine is suspended.
func (a *attempt) late() bool {
	wall := a.node.now().Round(0).Sub(a.began.Round(0))
	return min(a.left(), a.task.app.Refresh.Timeout-wall) <= 0
}

// run refreshes the group. ctx ends with leadership: it stops what has not
// begun. A call that was written is read to its deadline, and its result saved,
// whatever happens to leadership.
func (a *attempt) run(root, ctx context.Context) (err error) {
	ctx, span := a.trace(ctx)
	defer func() { span.End(err) }()
	a.forced = forces(a.task.reason)
	if a.task.reason == ReasonReport && a.task.kind == taskFetch {
		if settled, err := a.examine(ctx); settled || err != nil {
			return err
		}
	}
	if err := a.open(ctx); err != nil {
		return a.catchUp(ctx, err)
	}
	saving, cancel := a.saving(root, ctx)
	defer cancel()
	if done, err := a.look(ctx, saving); done || err != nil {
		return err
	}
	if a.spent != nil {
		return a.settle(saving, Yield{}, a.spent)
	}
	yield, err := a.fetch(ctx)
	if errors.Is(err, errNotCalled) {
		return a.void(saving)
	}
	a.keep(saving, yield)
	failpoint.Hit(failpoint.AfterSpool)
	err = a.settle(saving, yield, err)
	if err != nil && a.rotated && !errors.Is(err, ErrFenced) {
		a.node.unsettled.put(a.result(yield))
	}
	return err
}

// trace begins the one trace of this refresh, linked to the request that asked for it.
func (a *attempt) trace(ctx context.Context) (context.Context, *tracing.Span) {
	about := slog.Group("freshet",
		slog.String("app", a.task.app.Name), slog.String("group", a.task.group.Name), slog.String("reason", string(a.task.reason)),
		slog.Int64("epoch", int64(a.held.Epoch)), slog.String("node", a.node.name))
	link := ""
	if a.task.request != nil {
		link = a.task.request.Traceparent
	}
	return a.node.tracer.StartLinked(ctx, "refresh", link, about)
}

// saving returns the context under which a result is saved: it outlives
// leadership, and the node's own end by as long as a drain may take. Then it also
// ends once this node sees that the attempt has: a store that is gone since may
// have taken the result and not have said so.
func (a *attempt) saving(root, ctx context.Context) (context.Context, context.CancelFunc) {
	saving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	attempt := a.intent.Attempt
	stop := context.AfterFunc(root, func() {
		defer cancel()
		draining, end := context.WithTimeout(saving, a.node.drain)
		defer end()
		a.awaitShown(draining, attempt)
	})
	return saving, func() { stop(); cancel() }
}

// awaitShown waits until this node's memory knows the end of an attempt, or ctx ends.
func (a *attempt) awaitShown(ctx context.Context, attempt string) {
	for {
		moved := a.node.cache.moved.wait()
		if a.shown(attempt) {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// shown reports whether this node's memory knows the end of an attempt.
func (a *attempt) shown(attempt string) (ended bool) {
	a.node.cache.reading(func(r *records) {
		for _, state := range a.task.states {
			ended = ended || r.states[state.Name].Ended(attempt)
		}
	})
	return ended
}

// open writes the intent, or takes over the foreign one, and charges the call.
func (a *attempt) open(ctx context.Context) (err error) {
	ctx, span := a.node.tracer.Start(ctx, "open intent")
	defer func() { span.End(err) }()
	budgets, err := a.charge(ctx)
	if err != nil {
		return err
	}
	intent := Intent{
		App: a.task.app.Name, Group: a.task.group.Name, Attempt: newID(), Epoch: a.held.Epoch, Node: a.node.name,
		Incarnation: a.task.app.Incarnation, Bases: map[string]int64{}, Timeout: a.task.app.Refresh.Timeout,
		Reason: a.task.reason, Unresolved: a.task.unresolved(), Traceparent: tracing.Traceparent(ctx),
	}
	if a.task.grant != nil {
		intent.Generation = a.task.grant.Generation
	}
	for _, state := range a.task.states {
		intent.Bases[state.Name.Token] = state.Version
	}
	if a.task.foreign != nil {
		intent.Previous = a.task.foreign.Attempt
	}
	a.unready = a.reserve(intent.Attempt)
	a.began = a.node.now()
	intent.Began = a.began
	failpoint.Hit(openPoint(a.task, failpoint.BeforeOpen, failpoint.BeforeTakeover))
	a.intent, err = a.node.store.Open(ctx, Opening{
		Epoch: a.held.Epoch, Intent: intent, Foreign: a.task.foreign,
		States: a.task.states, Grant: a.task.grant, Lineage: a.task.lineage, Budgets: budgets,
	})
	failpoint.Hit(openPoint(a.task, failpoint.AfterOpen, failpoint.AfterTakeover))
	a.opened = a.elapsed()
	a.made = origin{a.intent.Generation, a.intent.Revision}
	switch {
	case errors.Is(err, ErrFenced), errors.Is(err, ErrConflict):
		a.intent.Attempt = intent.Attempt
		a.unspool(ctx)
	case err != nil:
		a.node.uncalled.Store(intent.Attempt, struct{}{}) // it may be there, or come yet
	}
	return err
}

// openPoint is the point for a first attempt, or for one that takes over.
func openPoint(t task, first, takeover failpoint.Point) failpoint.Point {
	if t.foreign != nil {
		return takeover
	}
	return first
}

// charge returns the budgets with this call counted. Where none is left a first
// attempt ends here; one that takes over another still closes its intent.
func (a *attempt) charge(ctx context.Context) ([]Budget, error) {
	var charged []Budget
	for _, budget := range a.task.budgets {
		next, ok := spend(budget, a.task.app, a.task.group, a.forced)
		switch {
		case ok:
			charged = append(charged, next)
		case a.task.foreign != nil:
			a.spent = budgetSpent(budget, a.node.now())
			return nil, nil
		default:
			return nil, a.throttle(ctx, budget)
		}
	}
	return charged, nil
}

// look reads, as the last thing before the call, whether somebody has salvaged a
// result for this group, and what this attempt stands on. done means that the
// attempt ended without a call.
func (a *attempt) look(ctx, saving context.Context) (done bool, err error) {
	ctx, span := a.node.tracer.Start(ctx, "look for salvage")
	defer func() { span.End(err) }()
	a.now, err = a.node.store.Read(ctx, a.query())
	if err != nil {
		return true, errors.Join(err, a.void(saving))
	}
	if a.now.incarnation(a.task.lineage) != nil || a.grantMoved() {
		// The call would be made with what is no longer kept, and published as if it were.
		return true, errors.Join(a.void(saving), a.catchUp(ctx, ErrConflict))
	}
	if len(a.now.Salvage) == 0 {
		return false, nil
	}
	return a.useSalvage(saving)
}

// grantMoved reports whether the grant is not the one the intent was opened with.
func (a *attempt) grantMoved() bool {
	return a.task.grant != nil && (a.now.Grant == nil || a.now.Grant.Revision != a.task.grant.Revision)
}

// query names what this attempt's transactions compare.
func (a *attempt) query() Query {
	q := Query{Epoch: a.held.Epoch, App: a.task.app.Name, Group: a.task.group.Name, Tokens: a.task.group.Tokens}
	for _, ancestor := range a.task.lineage {
		q.Lineage = append(q.Lineage, ancestor.App)
	}
	return q
}

// errNotCalled means that the upstream was not called, for certain.
var errNotCalled = errors.New("the upstream was not called")

// fetch makes the one call of this attempt, unless leadership or time is up.
func (a *attempt) fetch(ctx context.Context) (yield Yield, err error) {
	ctx, span := a.node.tracer.Start(ctx, "fetch", slog.Group("freshet", slog.Bool("forced", a.forced)))
	defer func() { span.End(err) }()
	call := Call{App: a.task.app, Group: a.task.group, Tokens: a.needs(), Force: a.forced}
	call.App.Credentials = withoutRefresh(call.App.Credentials)
	if a.task.grant != nil {
		call.Refresh = a.task.grant.Current
		if err := a.mayPresent(ctx); err != nil {
			return Yield{}, err
		}
		if a.unready != nil {
			return Yield{}, a.unready
		}
		failpoint.Hit(failpoint.BeforeMark)
		if err := a.calling(); err != nil {
			return Yield{}, err
		}
	}
	var wrote atomic.Int64 // as time since the attempt began
	reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.left())
	defer cancel()
	reading = httptrace.WithClientTrace(reading, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
		wrote.Store(int64(a.elapsed()))
		failpoint.Hit(failpoint.AfterWrite)
	}})
	failpoint.Hit(failpoint.BeforeCall)
	if ctx.Err() != nil || !a.held.Held() || a.late() || !a.task.pass.admit() {
		return Yield{}, errNotCalled
	}
	a.asked = a.node.now()
	yield, err = a.node.fetcher(a.task.app).Fetch(reading, call)
	a.task.pass.answered(err)
	a.fetched = a.elapsed()
	failpoint.Hit(failpoint.AfterAnswer)
	a.rotated = !yield.Refresh.IsZero()
	a.meetHazards(ctx, time.Duration(wrote.Load()), err)
	if err == nil {
		err = complete(yield, a.task.group)
	}
	return yield, err
}

// meetHazards counts what the call shows of the hazards that nobody can rule out.
func (a *attempt) meetHazards(ctx context.Context, wrote time.Duration, failure error) {
	switch upstream, _ := errors.AsType[*UpstreamError](failure); {
	case wrote > a.task.app.Refresh.Timeout:
		a.met(ctx, HazardLateWrite, "the call was written after its deadline: another may have overlapped it")
	case failure == nil && a.left() < 0:
		a.met(ctx, HazardLateArrival, "the call was answered after its deadline: another may have overlapped it")
	case upstream != nil && upstream.Ambiguous && a.task.group.Rotation.Consumes():
		a.met(ctx, HazardLostAnswer, "the upstream may have acted, and its answer never came")
	}
}

// needs returns the values the call is made with.
func (a *attempt) needs() map[string]Secret {
	values := map[string]Secret{}
	for _, token := range a.task.group.Needs {
		if v, ok := a.node.cache.view(Name{App: a.task.app.Name, Token: token}); ok && v.Token != nil {
			values[token] = v.Token.Value
		}
	}
	return values
}

// complete checks that a yield holds a value with a life for every token of the group.
func complete(yield Yield, group Group) error {
	for _, token := range group.Tokens {
		value, ok := yield.Values[token]
		if !ok || value.Value.IsZero() || value.Lifetime <= 0 {
			return &UpstreamError{
				Class: ClassRetry, Code: "incomplete", Reason: "bad_answer", Ambiguous: true,
				Message: "the platform's answer lacks a value or a lifetime for " + token,
			}
		}
	}
	return nil
}

// void deletes the intent of a first attempt that made no call. The intent of an
// attempt that took over another stays: it remembers that the other's outcome is unknown.
func (a *attempt) void(ctx context.Context) error {
	if a.intent.Previous != "" {
		a.unspool(ctx)
		return nil
	}
	failpoint.Hit(failpoint.BeforeVoid)
	err := a.node.store.Void(ctx, a.intent)
	if err != nil && !errors.Is(err, ErrConflict) { // somebody took it over, or it went with its app
		a.node.uncalled.Store(a.intent.Attempt, struct{}{})
		return err
	}
	a.unspool(ctx)
	return nil
}

// catchUp waits, after a refused transaction, until the cache has seen what
// refused it, so that the next plan is made on more than the last one.
func (a *attempt) catchUp(ctx context.Context, err error) error {
	if !errors.Is(err, ErrConflict) {
		return err
	}
	now, err := a.node.store.Read(ctx, a.query())
	if err != nil {
		return err
	}
	if !now.Leads {
		return ErrFenced
	}
	a.node.cache.reached(ctx.Done(), now.Revision)
	return nil
}
