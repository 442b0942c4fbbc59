package coordinator

import (
	"fmt"
	"strings"
	"time"
)

// ReasonUpstreamDown marks tokens that wait for an upstream that does not work.
const ReasonUpstreamDown = "upstream_down"

// Explanation says what is the matter with a token.
type Explanation struct {
	Reason string // short and stable, for programs
	Todo   string // one sentence of who must do what and where; empty: nobody need do anything
}

// Explain says what is the matter with a token at an instant, as far as this
// node knows. It quotes what the platform said, and never a secret.
func (n *Node) Explain(v *View, now time.Time) Explanation {
	e := Explanation{Reason: v.State.Reason}
	if e.Reason == ReasonStoreFull {
		e.Todo = "etcd is full, so nothing is refreshed: compact and defragment it, raise its quota, disarm its alarm"
		return e
	}
	if v.pushed {
		return n.explainPushed(v, now, e)
	}
	if refused := n.refusedFrom(v); refused != "" {
		e.Todo = refused
		return e
	}
	switch v.Status(now) {
	case StatusPaused:
		e.Todo = n.whyPaused(v.Name.App)
	case StatusPending, StatusDue, StatusFailing, StatusExpired:
		return n.explainPassing(v, now, e)
	case StatusThrottled:
		e.Todo = explainThrottled(v.State)
	case StatusBlocked:
		e.Todo = said(v.State) + "; once that is done it is tried within a minute by: freshet refresh " + v.Name.String() +
			" --force, and by itself at " + clock(v.State.Due) + ". If the app's own settings are wrong, correct them with: freshet apply -f FILE"
	case StatusUncertain:
		e.Todo = explainUncertain(v.State)
	case StatusReauthorize:
		e.Todo = "the platform takes the refresh token no more (" + said(v.State) +
			"): somebody must authorise the app there again and give the new refresh token with: freshet apply -f FILE --replace-grant"
	case StatusFresh:
		if e.Reason == ReasonForeignRefresher {
			e.Todo = "values die before their time though nobody here replaced them: find the other system that fetches tokens for this account, a staging host or an old job, and stop it"
		}
	}
	return e
}

// hopelessTodo is Explain's Todo where time alone brings no value.
func (n *Node) hopelessTodo(v *View, now time.Time) string {
	if v.pushed {
		return firstOf(n.Explain(v, now).Todo, "its values are pushed, and nobody can be asked for a newer one: push one with: freshet push "+v.Name.String()+" --expires-in LIFETIME")
	}
	switch v.Status(now) {
	case StatusBlocked, StatusUncertain, StatusReauthorize, StatusPaused:
		return n.Explain(v, now).Todo
	case StatusPending, StatusFresh, StatusDue, StatusFailing, StatusExpired, StatusThrottled:
	}
	return ""
}

// refusedFrom says from where the platform refuses a failing app; empty: from nowhere.
func (n *Node) refusedFrom(v *View) string {
	var from []string
	for _, b := range n.barsOf(v.Name.App) {
		if v.State.Failures > 0 && b.Reason == v.State.Reason {
			from = append(from, b.Egress+" (until "+clock(b.Until)+")")
		}
	}
	if len(from) == 0 || v.Paused {
		return ""
	}
	return fmt.Sprintf("%s; the platform refuses it from %s: whoever administers the account there must allow these addresses, and then: freshet bars lift %s. It is tried again by itself at %s",
		said(v.State), strings.Join(from, ", "), v.Name.App, clock(v.State.Due))
}

// whyPaused says which pause it is, and how it ends.
func (n *Node) whyPaused(app string) (todo string) {
	n.cache.reading(func(r *records) {
		if r.paused != nil {
			todo = fmt.Sprintf("refreshing is paused for the whole cluster, by %s since %s: freshet resume", r.paused.By, clock(r.paused.At))
			return
		}
		todo = "refreshing is paused: freshet resume " + app
	})
	return todo
}

// explainPassing is about a token that is tried again by itself.
func (n *Node) explainPassing(v *View, now time.Time, e Explanation) Explanation {
	waits := v.State.Failures > 0 || !now.Before(v.State.Due)
	if down, ok := n.WaitsFor(v.Name.App); ok && waits {
		e.Reason = ReasonUpstreamDown
		e.Todo = fmt.Sprintf("%s has not worked since %s: it is tried every half minute, and what waits for it goes on by itself; look at the network between, and at the platform's notices",
			down.Name, clock(down.Since))
		return e
	}
	if v.State.Failures > 0 {
		e.Todo = said(v.State) + "; it is tried again by itself at " + clock(v.State.Due)
	}
	return e
}

func explainThrottled(s State) string {
	if s.Reason == ReasonBudget {
		return "the calls of this day are spent, which goes on at " + clock(s.Due) + ": wait, or raise refresh.budget of the app if it is ours that is too small"
	}
	return said(s) + "; it is tried again by itself at " + clock(s.Due)
}

func explainUncertain(s State) string {
	return fmt.Sprintf("the refresh begun at %s may have used up the refresh token, and its answer is missing (%s). If the node that made it has ended, start it again on its own disk, which may hold the answer; otherwise authorise the app at the platform again and give the new refresh token with: freshet apply -f FILE --replace-grant",
		clock(s.Unresolved), said(s))
}

// said is what the last failure said, which names what to do where the provider knows it.
func said(s State) string {
	newest := s.NewestOutcome()
	if newest.Result != ResultFailed || newest.Message == "" {
		return firstOf(s.Reason, "the log of the refresher says more")
	}
	return newest.Message
}

// clock writes an instant for people.
func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }
