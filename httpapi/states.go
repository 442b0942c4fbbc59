package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func (a *API) stateRoutes(r router) {
	r.handle(http.MethodGet, "/v1/states", a.json(a.listStates, "state", "prefix", "limit", "cursor"))
	r.handle(http.MethodGet, "/v1/states/{app}", a.json(a.getState))
	r.handle(http.MethodGet, "/v1/states/{app}/{token}", a.json(a.getState))
}

// seeing are the verbs that show states and settings.
func seeing() []coordinator.Verb {
	return []coordinator.Verb{coordinator.VerbView, coordinator.VerbAdmin}
}

func (a *API) getState(r request) (answer, error) {
	name, err := r.tokenName()
	if err != nil {
		return answer{}, err
	}
	if err := r.may(name, seeing()...); err != nil {
		return answer{}, err
	}
	v, known := a.node.View(name)
	if !known {
		return answer{}, coordinator.ErrUnknownToken
	}
	return ok(a.stateOf(v, time.Now())), nil
}

func (a *API) listStates(r request) (answer, error) {
	if err := r.mayAny(seeing()...); err != nil {
		return answer{}, err
	}
	wanted := coordinator.Status(r.query["state"])
	if wanted != "" && !slices.Contains(statuses(), wanted) {
		return answer{}, coordinator.Invalidf("state=%.40q: use one of %v", string(wanted), statuses())
	}
	now := time.Now()
	views, next, err := page(a.node.Views(), viewName, r.query, func(v *coordinator.View) bool {
		return (wanted == "" || v.Status(now) == wanted) && r.may(v.Name, seeing()...) == nil
	})
	if err != nil {
		return answer{}, err
	}
	list := client.StateList{States: []client.State{}, NextCursor: next}
	for _, v := range views {
		list.States = append(list.States, a.stateOf(v, now))
	}
	return ok(list), nil
}

func viewName(v *coordinator.View) string { return v.Name.String() }

func statuses() []coordinator.Status {
	return []coordinator.Status{
		coordinator.StatusPending, coordinator.StatusFresh, coordinator.StatusDue, coordinator.StatusFailing,
		coordinator.StatusExpired, coordinator.StatusThrottled, coordinator.StatusBlocked,
		coordinator.StatusUncertain, coordinator.StatusReauthorize, coordinator.StatusPaused,
	}
}

// stateOf says what is known of a token, without its value.
func (a *API) stateOf(v *coordinator.View, now time.Time) client.State {
	s, why := v.State, a.node.Explain(v, now)
	if t := v.Token; t != nil { // whose version is told, and which the state may not know yet, or not any more
		s.Issued, s.Expires = t.Issued, t.Expires
	}
	state := client.State{
		App:         v.Name.App,
		Token:       v.Name.Token,
		State:       string(v.Status(now)),
		Reason:      why.Reason,
		Todo:        why.Todo,
		Paused:      v.Paused,
		Version:     v.Version(),
		Fingerprint: v.Fingerprint,
		IssuedAt:    seconds(s.Issued),
		ExpiresAt:   seconds(s.Expires),
		ExpiresIn:   expiresIn(v, now),
		DueAt:       seconds(s.Due),
		Failures:    s.Failures,
		Epoch:       int64(s.Epoch),
	}
	if s.Verdict.Answer != "" {
		state.Verdict = &client.Verdict{Version: s.Verdict.Version, Answer: string(s.Verdict.Answer), At: seconds(s.Verdict.At)}
	}
	for _, o := range s.Outcomes {
		state.Outcomes = append(state.Outcomes, outcomeOf(o))
	}
	return state
}

func outcomeOf(o coordinator.Outcome) client.Outcome {
	return client.Outcome{
		Attempt:   o.Attempt,
		Epoch:     int64(o.Epoch),
		Result:    string(o.Result),
		Version:   o.Version,
		BeganAt:   o.Began.UTC(),
		OpenedMS:  o.Opened.Milliseconds(),
		FetchedMS: o.Fetched.Milliseconds(),
		Message:   o.Message,
	}
}

// seconds is an instant as the API writes it: UTC and whole seconds.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// page returns the entries of a sorted list that a query asks for and keep
// lets pass, and the cursor of the next page: the name of the last entry, or
// nothing on the last page.
func page[T any](sorted []T, name func(T) string, q query, keep func(T) bool) (entries []T, next string, err error) {
	limit, err := q.limit()
	if err != nil {
		return nil, "", err
	}
	cursor, prefix := q["cursor"], q["prefix"]
	from, found := slices.BinarySearchFunc(sorted, cursor, func(e T, after string) int { return strings.Compare(name(e), after) })
	if found {
		from++
	}
	for _, e := range sorted[from:] {
		if !strings.HasPrefix(name(e), prefix) || !keep(e) {
			continue
		}
		if len(entries) == limit {
			return entries, name(entries[limit-1]), nil
		}
		entries = append(entries, e)
	}
	return entries, "", nil
}
