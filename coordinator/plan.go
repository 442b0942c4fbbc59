package coordinator

import (
	"slices"
	"time"

	"freshet/coordinator/schedule"
)

// task is what a fetch group needs next.
type task struct {
	id      groupID
	at      time.Time
	kind    taskKind
	reason  Reason
	request *Request // that is to be answered, or that asks for the fetch
	input   *Input   // that is to be published

	app     App // resolved
	group   Group
	lineage []Ancestor
	states  []State // in the order of group.Tokens
	grant   *Grant  // whose refresh token the group spends; nil: none
	foreign *Intent // to take over
	budgets []Budget

	salvaged bool  // a saved result may settle it without a call
	pass     *pass // to call the upstream
}

type taskKind int

const (
	taskFetch    taskKind = iota + 1 // open an intent, look for salvage, call the upstream
	taskTakeOver                     // the same, for an intent somebody else left open
	taskAnswer                       // the request is satisfied: let it go
	taskVoid                         // delete an intent of this process under which no call was made
	taskGiveUp                       // say that the grant is gone
	taskRaise                        // let the state know a version that a restored store has forgotten
	taskDoubt                        // say that a restored store may have forgotten the newest refresh token
	taskProbe                        // look whether the value lives; no intent, no refresh
	taskInput                        // publish what was pushed; no intent, no call
)

// plan says what a group needs next and when, from what the cache knows; ok is
// false where nothing is to be done until something changes. It reads the
// clock but changes nothing.
func (n *Node) plan(r *records, t task, now time.Time) (_ task, ok bool) {
	intent, open := r.intents[t.id]
	t.salvaged = len(r.salvage[t.id]) > 0
	paused := r.paused != nil || t.app.Paused
	switch {
	case n.fetcher(t.app) == nil:
		return n.planPushed(r, t, now, paused)
	case paused:
		return t, false
	case open && n.neverCalled(intent.Intent):
		t.kind, t.foreign, t.at = taskVoid, &intent.Intent, now
		return t, true
	case open:
		t.kind, t.foreign, t.reason = taskTakeOver, &intent.Intent, takeoverReason(intent.Intent)
		t.at = intent.seen.Add(intent.Timeout + n.margin)
		return t, true
	case t.salvaged:
		t.kind, t.reason, t.at = taskFetch, ReasonDue, now
		return t, true
	}
	if planned, ok := n.planRequest(r, t, now); ok {
		return planned, true
	}
	if t.states[0].Status == StatusUncertain {
		return planUncertain(t)
	}
	if !n.hasNeeds(r, t, now) {
		return t, false
	}
	t.kind, t.reason, t.at = taskFetch, ReasonDue, t.states[0].Due
	for _, state := range t.states {
		if state.Status == StatusReauthorize {
			return t, false
		}
		if state.Due.Before(t.at) {
			t.at = state.Due
		}
	}
	if r.parentReplaced(t) || r.parentChanged(t) {
		t.at = now
	}
	return t, true
}

// takeoverReason is why a foreign intent is taken over: for what it was opened.
// That the last chance was taken is told on to whoever takes over next.
func takeoverReason(intent Intent) Reason {
	return firstOf(intent.Reason, ReasonDue)
}

// neverCalled reports whether an intent is of this process, and no call was made
// under it: the answer to its opening or to its voiding was lost. It says
// nothing of an intent that took over another.
func (n *Node) neverCalled(intent Intent) bool {
	_, ok := n.uncalled.Load(intent.Attempt)
	return ok && intent.Previous == ""
}

// planRequest plans for the most urgent request about the group's tokens.
func (n *Node) planRequest(r *records, t task, now time.Time) (task, bool) {
	for _, state := range t.states {
		request, ok := r.requests[state.Name]
		if !ok {
			continue
		}
		t.request, t.reason, t.kind, t.at = &request, request.Reason, taskFetch, now
		if state.Version > request.Above {
			t.kind = taskAnswer
			return t, true
		}
		if !n.hasNeeds(r, t, now) {
			continue
		}
		if throttled(state, request.Reason, now) || stuck(state, request.Reason) {
			t.kind = taskAnswer
			return t, true
		}
		if state.Failures > 0 && !r.parentReplaced(t) && !reserved(state, request.Reason) {
			t.at = later(now, retryFor(t, request.Reason, state))
		}
		t.at = later(later(t.at, state.Hold), state.NewestOutcome().Began.Add(t.group.MinInterval))
		if forces(request.Reason) && !examines(request, state) {
			t.at = later(t.at, forceAfter(state, t.group))
		}
		return t, true
	}
	return t, false
}

// forceMargin is added to the platform's pause between two forced calls: the
// second one may travel faster than the first, and would be spent for nothing.
const forceMargin = 2 * time.Second

// forceAfter returns when the next forced call may be made.
func forceAfter(state State, group Group) time.Time {
	if group.ForceEvery == 0 {
		return time.Time{}
	}
	return state.Forced.Add(group.ForceEvery + forceMargin)
}

// examines reports whether a request begins with a look at the value: a report
// does, until the value has been found dead.
func examines(request Request, state State) bool {
	return request.Reason == ReasonReport && !foundDead(state, request.Above)
}

// foundDead reports whether a version was examined and found dead.
func foundDead(state State, version int64) bool {
	return state.Verdict.Answer == AnswerRefreshing && state.Verdict.Version == version
}

// throttled reports whether no call may be spent on a request now.
func throttled(state State, reason Reason, now time.Time) bool {
	return state.Status == StatusThrottled && now.Before(state.Due) && !reserved(state, reason)
}

// reserved reports whether a request does not wait for the end of the window: our
// own budget keeps a reserve for what is forced; the platform's quota does not.
func reserved(state State, reason Reason) bool {
	return forces(reason) && state.Status == StatusThrottled && state.Reason == ReasonBudget
}

// stuck reports whether somebody must act before a try makes sense. Only a
// forced refresh is tried all the same: perhaps that somebody asks for it.
func stuck(state State, reason Reason) bool {
	if state.Status == StatusUncertain {
		return true // nobody's wish makes it safe to present the refresh token
	}
	return reason != ReasonForce && (state.Status == StatusBlocked || state.Status == StatusReauthorize)
}

// retryFor returns when a group that fails is tried for a request: when its own
// schedule says so, however many ask; a forced refresh brings it forward to a
// minute after the last try.
func retryFor(t task, reason Reason, state State) time.Time {
	forward := later(state.NewestOutcome().Began.Add(probeMin), t.lastDeadline(state))
	if reason == ReasonForce && forward.Before(state.Due) {
		return forward
	}
	return state.Due
}

// lastDeadline is until when somebody may count on the last call: where its
// answer was lost it may still be under way.
func (t task) lastDeadline(state State) time.Time {
	return state.NewestOutcome().Began.Add(t.app.Refresh.Timeout)
}

// forces reports whether a refresh for this reason must make a new value.
func forces(reason Reason) bool { return reason == ReasonForce || reason == ReasonReport }

// hasNeeds reports whether the tokens the call is made with have values that live.
// They must be shown as well, which they are after their states are known: a call
// is made with what is shown.
func (n *Node) hasNeeds(r *records, t task, now time.Time) bool {
	for _, need := range t.group.Needs {
		name := Name{App: t.app.Name, Token: need}
		state, ok := r.states[name]
		if !ok || state.Deleted || state.Version == 0 || !now.Before(state.Expires) {
			return false
		}
		if v, shown := n.cache.view(name); !shown || v.Token == nil || v.Token.Version < state.Version {
			return false
		}
	}
	return true
}

// parentReplaced reports whether the group failed for a dead token it needs,
// and that token has been replaced since.
func (r *records) parentReplaced(t task) bool {
	state := t.states[0]
	if state.Failures == 0 || state.Reason == "" {
		return false
	}
	for _, need := range t.group.Needs {
		if state.Reason == deadParent(need) && r.states[Name{App: t.app.Name, Token: need}].Issued.After(state.NewestOutcome().Began) {
			return true
		}
	}
	return false
}

// parentChanged reports whether the group was refused for its configuration, and
// something that it inherits from has been changed since.
func (r *records) parentChanged(t task) bool {
	state := t.states[0]
	if state.Status != StatusBlocked {
		return false
	}
	for _, above := range t.lineage[1:] {
		if max(above.Revision, r.apps[above.App].Revision) > state.Revision {
			return true
		}
	}
	return false
}

// deadParent is the reason of a group whose call was refused for a token it was made with.
func deadParent(need string) string { return "dead_" + need }

// tasks prepares one task for each fetch group of an app; what it needs next is still open.
func (n *Node) tasks(r *records, name string) []task {
	app, lineage, err := r.resolve(name)
	if err != nil {
		return nil
	}
	provider, ok := n.providers[app.Provider]
	if !ok || provider.Check(app) != nil {
		return nil
	}
	var tasks []task
	for _, group := range provider.Groups(app) {
		t := task{id: groupID{name, group.Name}, app: app, group: group, lineage: lineage}
		if grant, ok := r.grants[name]; ok && group.Rotation.Spends() {
			t.grant = &grant
		}
		for _, token := range group.Tokens {
			state, ok := r.states[Name{App: name, Token: token}]
			if !ok {
				state = State{Name: Name{App: name, Token: token}, Incarnation: app.Incarnation, Status: StatusPending}
			}
			t.states = append(t.states, state)
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// policy is when the values of a token are refreshed.
func policy(app App, group Group, token string) schedule.Policy {
	window := app.Tokens[token].Window
	if window.IsZero() {
		window = app.Refresh.Window
	}
	return schedule.Policy{Window: window.Of, Earliest: group.Earliest, Interval: group.MinInterval}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// groupOf finds the group that yields a token.
func groupOf(groups []Group, token string) (Group, bool) {
	i := slices.IndexFunc(groups, func(g Group) bool { return slices.Contains(g.Tokens, token) })
	if i < 0 {
		return Group{}, false
	}
	return groups[i], true
}
