package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// unknownPause is how long a report that cannot be examined is not believed
// again after it was believed once.
const unknownPause = 10 * time.Minute

// examine asks the platform whether the value that was reported dead lives. It
// settles the report if it does, or if no refresh may be spent on it; otherwise
// the attempt goes on to replace the value, at once or when the platform allows.
func (a *attempt) examine(ctx context.Context) (settled bool, err error) {
	ctx, span := a.node.tracer.Start(ctx, "probe")
	defer func() { span.End(err) }()
	state := a.stateOf(a.task.request.Name)
	if foundDead(state, a.task.request.Above) {
		a.deaths = state.Deaths
		return false, nil
	}
	answer, deaths := a.probe(ctx, state)
	span.Set(slog.Group("freshet", slog.String("answer", string(answer))))
	if err := ctx.Err(); err != nil {
		return true, err
	}
	state.Epoch = a.held.Epoch
	state.Verdict = Verdict{Version: a.task.request.Above, Answer: answer, At: a.node.now()}
	if answer == AnswerRefreshing {
		a.deaths = deaths
		if !a.node.now().Before(forceAfter(state, a.task.group)) {
			return false, nil
		}
		// Too soon after the last forced call: the platform would change nothing.
		// The verdict is remembered, and the request waits.
		state.Deaths = deaths
		return true, a.noteAnd(ctx, state, nil)
	}
	a.log.InfoContext(ctx, "report answered", "token", state.Name.String(), "version", a.task.request.Above, "answer", string(answer))
	return true, a.note(ctx, state)
}

// probe returns what is to be said to a report, and how many values in a row
// have now died early.
func (a *attempt) probe(ctx context.Context, state State) (Answer, int) {
	alive, err := a.lives(ctx, state)
	upstream, unknown := errors.AsType[*UpstreamError](err)
	switch {
	case err == nil && alive:
		return AnswerAlive, 0
	case err == nil:
		return AnswerRefreshing, a.deathsWith(state)
	case unknown && a.node.now().Sub(state.Forced) < unknownPause:
		a.log.WarnContext(ctx, "report not believed again", "token", state.Name.String(), "err", upstream)
		return AnswerThrottled, 0
	}
	return AnswerRefreshing, 0
}

// deathsWith returns how many values in a row have died early, with the one of
// this state that was found dead.
func (a *attempt) deathsWith(state State) int {
	if a.task.group.Exclusive && state.Expires.Sub(a.node.now()) > a.task.group.Overlap {
		return state.Deaths + 1
	}
	return 0
}

// errNoProbe means that the platform has no call that tells whether a value lives.
var errNoProbe = errors.New("no probe")

// lives asks the platform, within the time of one call, if it can be asked.
func (a *attempt) lives(ctx context.Context, state State) (bool, error) {
	prober, ok := a.node.providers[a.task.app.Provider].(Prober)
	v, held := a.node.cache.view(state.Name)
	if !ok || !held || v.Token == nil || !a.held.Held() {
		return false, &UpstreamError{Class: ClassCaller, Code: "none", Reason: "no_probe", Message: errNoProbe.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, a.task.app.Refresh.Timeout)
	defer cancel()
	tokens := a.needs()
	tokens[state.Name.Token] = v.Token.Value
	return prober.Probe(ctx, Call{App: a.task.app, Group: a.task.group, Tokens: tokens})
}

// stateOf returns the state of one of the group's tokens.
func (a *attempt) stateOf(name Name) State {
	for _, state := range a.task.states {
		if state.Name == name {
			return state
		}
	}
	return a.task.states[0]
}

// answer lets a request go that is satisfied, or that cannot be satisfied now.
func (a *attempt) answer(ctx context.Context) error {
	request := a.task.request
	state := a.stateOf(request.Name)
	verdict := Verdict{Version: request.Above, Answer: AnswerThrottled, At: a.node.now()}
	switch {
	case state.Version > request.Above:
		verdict.Answer = AnswerReplaced
	case a.node.fetcher(a.task.app) == nil:
		state.Epoch = a.held.Epoch
		return a.note(ctx, deadVerdict(state, *request, a.node.now()))
	case stuck(state, request.Reason):
		verdict.Answer = AnswerFailed
	}
	state.Verdict, state.Epoch = verdict, a.held.Epoch
	return a.note(ctx, state)
}
