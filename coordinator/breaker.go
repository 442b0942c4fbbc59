package coordinator

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// An upstream whose calls fail breakAfter times in a row, with nothing it says
// of an app, is left alone for breakFor. Then one call at a time finds out
// whether it is back.
const (
	breakAfter = 5
	breakFor   = 30 * time.Second
	breakBlur  = 3 * time.Second // jitter of the next try, so that upstreams are not tried together

	// releaseEvery is the pause between the groups that go on when an upstream is
	// back, at most releaseSpread for all of them together.
	releaseEvery  = 100 * time.Millisecond
	releaseSpread = 30 * time.Second

	// ownHold is a wait so long that the platform means one app by it, which waits
	// for somebody, and not the upstream.
	ownHold = 5 * time.Minute

	maxUpstreams = 64 // that a heartbeat tells of
)

// BreakerState says whether an upstream is called.
type BreakerState string

// The states of an upstream. A closed breaker is the ordinary case and is not shown.
const (
	BreakerOpen     BreakerState = "open"      // it fails and is left alone for a while
	BreakerHalfOpen BreakerState = "half-open" // one call is under way to see whether it is back
)

// UpstreamState is an upstream that is not called as it should be. The refresher
// tells it to all nodes with its heartbeat.
type UpstreamState struct {
	Name    string // as Provider.Upstream names it
	State   BreakerState
	Since   time.Time // it has not worked
	Waiting int       // fetch groups that wait for it
}

// gate stands before the calls to one upstream. Its breaker is told of answers by
// the workers; all else is owned by the refresher's loop.
type gate struct {
	upstream string
	now      func() time.Time
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}]
	opens    atomic.Pointer[time.Time] // when an open breaker lets the next call through
	broke    atomic.Pointer[time.Time] // since when it does not work; nil: it works

	down   bool                  // the loop has seen it broken
	parked map[groupID]time.Time // :: group that was turned away → its urgency
	first  groupID               // of them that is tried next
	next   time.Time             // when that is
}

func newGate(upstream string, now func() time.Time) *gate {
	g := &gate{upstream: upstream, now: now, parked: map[groupID]time.Time{}}
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: upstream, MaxRequests: 1, Timeout: breakFor,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakAfter },
		IsSuccessful:  func(err error) bool { return !upstreamFails(err) },
		IsExcluded:    func(err error) bool { return errors.Is(err, errNotCalled) },
		OnStateChange: g.changed,
	})
	return g
}

// changed is called by the breaker, under its lock.
func (g *gate) changed(_ string, _, to gobreaker.State) {
	now := g.now()
	switch to {
	case gobreaker.StateOpen:
		g.opens.Store(new(now.Add(breakFor)))
		g.broke.CompareAndSwap(nil, &now)
	case gobreaker.StateClosed:
		g.broke.Store(nil)
	case gobreaker.StateHalfOpen:
	}
}

// upstreamFails reports whether a call's error says that the upstream is down,
// rather than something of one app: whatever the platform answers in its own
// words, about a secret, a quota or an address, shows that it works.
func upstreamFails(err error) bool {
	upstream, ok := errors.AsType[*UpstreamError](err)
	return ok && upstream.Class == ClassRetry && !upstream.Egress && upstream.RetryAfter < ownHold
}

// pass is the right to call an upstream once, and the duty to say what came of it.
type pass struct {
	gate  *gate
	heard func(error) // of the breaker; nil: not admitted yet
	once  sync.Once
}

// admit asks the breaker for the call, once.
func (p *pass) admit() bool {
	if p.heard != nil {
		return true
	}
	heard, err := p.gate.breaker.Allow()
	if err == nil {
		p.heard = heard
	}
	return err == nil
}

// answered tells the breaker what came of the call; only the first word counts.
// errNotCalled gives the right back.
func (p *pass) answered(err error) {
	if p.heard != nil {
		p.once.Do(func() { p.heard(err) })
	}
}

// admit lets a group call its upstream, or parks it until the upstream is tried
// again: then the group whose value ends first has its turn. What needs no call
// goes on; what salvage may settle asks again should it need one all the same.
func (r *refresher) admit(upstream string, t *task) bool {
	g := r.gateOf(upstream)
	if r.skipProbe(g, t) {
		return false
	}
	t.pass = &pass{gate: g}
	if !t.calls() || t.salvaged || t.pass.admit() {
		delete(g.parked, t.id)
		return true
	}
	g.parked[t.id] = t.urgency()
	r.line(g, t.id)
	return false
}

// calls reports whether a task may call the upstream to make a token.
func (t *task) calls() bool { return t.kind == taskFetch || t.kind == taskTakeOver }

func (r *refresher) gateOf(upstream string) *gate {
	g, ok := r.gates[upstream]
	if !ok {
		g = newGate(upstream, r.node.now)
		r.gates[upstream] = g
	}
	return g
}

// urgency orders the groups that wait for one upstream: by the end of their
// values, and one that never had a value by when it was due.
func (t *task) urgency() time.Time {
	ends := t.states[0].Expires
	for _, state := range t.states {
		if state.Version == 0 {
			return t.at
		}
		if state.Expires.Before(ends) {
			ends = state.Expires
		}
	}
	return ends
}

// line has a parked group try when the breaker lets the next call through, if it
// is the most urgent one.
func (r *refresher) line(g *gate, id groupID) {
	if g.probing() {
		return // the end of that call brings us to afterCall
	}
	now := r.node.now()
	if !g.next.After(now) {
		opens := now
		if at := g.opens.Load(); at != nil {
			opens = later(now, *at)
		}
		g.next = opens.Add(time.Millisecond + time.Duration(chance()*float64(breakBlur)))
		g.first = groupID{}
	}
	if urgency, ok := g.parked[g.first]; ok && !g.parked[id].Before(urgency) {
		return
	}
	g.first = id
	r.queue.Set(id, later(g.next, r.planned[id].at))
}

// probing reports whether a call is under way that decides.
func (g *gate) probing() bool {
	counts := g.breaker.Counts()
	return g.breaker.State() == gobreaker.StateHalfOpen && counts.Requests > counts.TotalExclusions
}

// afterCall lets parked groups go on as far as the breaker allows.
func (r *refresher) afterCall(upstream string) {
	g := r.gateOf(upstream)
	if g.breaker.State() == gobreaker.StateClosed {
		if g.down {
			r.release(g)
		}
		return
	}
	if !g.down {
		r.log.Warn("upstream does not work", "upstream", upstream, "parked", len(g.parked))
	}
	g.down = true
	r.lineUp(g)
}

// lineUp has the most urgent of the parked groups try next.
func (r *refresher) lineUp(g *gate) {
	ids := slices.SortedFunc(maps.Keys(g.parked), func(a, b groupID) int { return g.parked[a].Compare(g.parked[b]) })
	for _, id := range ids {
		if _, ok := r.planned[id]; ok {
			r.line(g, id)
			return
		}
		delete(g.parked, id)
	}
}

// nudge lines up anew where the group whose turn it was has gone away.
func (r *refresher) nudge() {
	now := r.node.now()
	for _, g := range r.gates {
		if len(g.parked) > 0 && !g.next.After(now) {
			r.afterCall(g.upstream)
		}
	}
}

// release has all go on that waited for an upstream that works again: those that
// were turned away, and those that failed with it and wait for their own next
// try. The values that end first go first.
func (r *refresher) release(g *gate) {
	for id, t := range r.planned {
		if t.states[0].Failures > 0 && stuckOnUpstream(t.states[0]) && r.upstreamOf(t) == g.upstream {
			g.parked[id] = t.urgency()
		}
	}
	ids := slices.SortedFunc(maps.Keys(g.parked), func(a, b groupID) int { return g.parked[a].Compare(g.parked[b]) })
	r.log.Info("upstream works again", "upstream", g.upstream, "waiting", len(ids))
	now := r.node.now()
	for i, id := range ids {
		if t, ok := r.planned[id]; ok {
			step := min(releaseEvery, releaseSpread/time.Duration(len(ids)))
			r.queue.Set(id, later(now.Add(time.Duration(i)*step), steady(later(t.states[0].Hold, t.lastDeadline(t.states[0])), now)))
		}
	}
	clear(g.parked)
	g.down, g.next = false, time.Time{}
}

// stuckOnUpstream reports whether a state says that the last call failed in passing.
func stuckOnUpstream(s State) bool { return s.Status == StatusFailing || s.Status == StatusPending }

// upstreamOf names the upstream a task calls.
func (r *refresher) upstreamOf(t task) string {
	return r.node.providers[t.app.Provider].Upstream(t.app)
}

// upstreams are the states of those that do not work, for the heartbeat.
func (r *refresher) upstreams() []UpstreamState {
	var states []UpstreamState
	for _, name := range slices.Sorted(maps.Keys(r.gates)) {
		g := r.gates[name]
		state, since := g.breaker.State(), g.broke.Load()
		if state == gobreaker.StateClosed || since == nil || len(states) == maxUpstreams {
			continue
		}
		shown := UpstreamState{Name: name, State: BreakerOpen, Since: *since, Waiting: len(g.parked)}
		if state == gobreaker.StateHalfOpen {
			shown.State = BreakerHalfOpen
		}
		states = append(states, shown)
	}
	return states
}

// Upstreams returns the upstreams that the refresher does not call as it should,
// sorted by name, as of its last heartbeat.
func (n *Node) Upstreams() (states []UpstreamState) {
	n.cache.reading(func(r *records) { states = r.heartbeat.Upstreams })
	return states
}

// WaitsFor returns the upstream that an app's tokens wait for; false: none is known to be down.
func (n *Node) WaitsFor(app string) (UpstreamState, bool) {
	down := n.Upstreams()
	if len(down) == 0 {
		return UpstreamState{}, false
	}
	effective, err := n.Effective(app)
	provider, ok := n.providers[effective.Provider]
	if err != nil || !ok {
		return UpstreamState{}, false
	}
	upstream := provider.Upstream(effective)
	i := slices.IndexFunc(down, func(u UpstreamState) bool { return u.Name == upstream })
	if i < 0 {
		return UpstreamState{}, false
	}
	return down[i], true
}
