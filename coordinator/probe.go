package coordinator

import (
	"context"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	probeJitter = 0.1             // of the time between two looks, to both sides
	probeLater  = 2 * time.Second // when all workers a look may have are busy
)

// planProbe puts a look at the value before what a group needs next, if one
// comes first. When the next look is due is remembered for the length of a
// leadership; the first one of each is left to chance, so that a new refresher
// does not look at everything at once.
func (r *refresher) planProbe(t task, now time.Time) task {
	every := probeInterval(t.app, t.group)
	if every <= 0 || t.kind != taskFetch || t.request != nil || t.salvaged || !r.node.probes(t) {
		return t
	}
	at, ok := r.probes[t.id]
	if !ok {
		at = now.Add(time.Duration(chance() * float64(every)))
		r.probes[t.id] = at
	}
	at = later(at, steady(t.states[0].Issued.Add(every/2), now))
	if !at.Before(t.at) || !at.Before(t.states[0].Expires.Add(-leastMargin)) {
		return t
	}
	t.kind, t.reason, t.at = taskProbe, "", at
	return t
}

// probeInterval is the time between two looks; not positive: there are none.
func probeInterval(app App, group Group) time.Duration {
	every := firstOf(app.Refresh.Probe, group.Probe)
	if every > 0 {
		return max(every, MinProbe)
	}
	return every
}

// probes reports whether a look at a group's value makes sense: it has one that
// nobody is trying to replace already.
func (n *Node) probes(t task) bool {
	_, able := n.providers[t.app.Provider].(Prober)
	state := t.states[0]
	return able && state.Version > 0 && state.Status == StatusFresh
}

// skipProbe leaves a look out where the upstream is down. The one call that finds
// out whether it is back shall be one that makes a token, and what becomes of a
// look says nothing of those: the breaker is not told of it.
func (r *refresher) skipProbe(g *gate, t *task) bool {
	if t.kind != taskProbe || g.breaker.State() == gobreaker.StateClosed {
		return false
	}
	r.nextProbe(t)
	r.replan(t.id.app)
	return true
}

// nextProbe counts a look as taken.
func (r *refresher) nextProbe(t *task) {
	every := float64(probeInterval(t.app, t.group))
	r.probes[t.id] = r.node.now().Add(time.Duration(every * (1 + probeJitter*(2*chance()-1))))
}

// yields has a look wait while half of the upstream's workers are busy, so that
// refreshes never wait for looks.
func (r *refresher) yields(t *task, upstream string) bool {
	if t.kind != taskProbe || r.busy[upstream] < max(r.node.workers/2, 1) {
		return false
	}
	r.queue.Set(t.id, r.node.now().Add(probeLater+time.Duration(chance()*float64(probeLater))))
	return true
}

// CodeProbe is the code of a report that nobody made: we looked, and found the value dead.
const CodeProbe = "probe"

// watch looks whether the group's value lives. A dead one is reported, and then
// replaced as any other report has it; what cannot be told changes nothing.
func (a *attempt) watch(ctx context.Context) (err error) {
	ctx, span := a.node.tracer.Start(ctx, "probe")
	defer func() { span.End(err) }()
	state := a.task.states[0]
	alive, err := a.lives(ctx, state)
	if err != nil {
		a.log.DebugContext(ctx, "value could not be probed", "token", state.Name.String(), "err", err)
		return nil
	}
	if alive || ctx.Err() != nil {
		return nil
	}
	a.log.WarnContext(ctx, "value found dead", "token", state.Name.String(), "version", state.Version, "expires", state.Expires)
	if !foundDead(state, state.Version) {
		state.Epoch, state.Deaths = a.held.Epoch, a.deathsWith(state)
		state.Verdict = Verdict{Version: state.Version, Answer: AnswerRefreshing, At: a.node.now()}
		if err := a.noteAnd(ctx, state, nil); err != nil {
			return err
		}
	}
	_, err = a.node.ask(ctx, Request{Name: state.Name, Above: state.Version, Reason: ReasonReport, Code: CodeProbe})
	return err
}
