package httpapi

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// refreshApp asks for newer versions of all tokens of an app. It answers for
// each token: one that cannot be refreshed must not hide what became of others.
func (a *API) refreshApp(r request) (answer, error) {
	app, err := r.appName()
	if err != nil {
		return answer{}, err
	}
	if err := r.mayApp(app, coordinator.VerbRefresh); err != nil {
		return answer{}, err
	}
	var body appRefreshBody
	if err := r.readBody(maxBody, &body); err != nil {
		return answer{}, err
	}
	known, found := a.node.App(app)
	if !found {
		return answer{}, coordinator.ErrUnknownApp
	}
	call := coordinator.RefreshCall{Force: body.Force, Wait: a.cut(body.Wait)}
	results := a.refreshAll(r, known.TokenNames(), call)
	if err := commonError(results); err != nil {
		return answer{}, err
	}
	return a.refreshedApp(r, results), nil
}

// refreshed is what became of one token of an app.
type refreshed struct {
	name  coordinator.Name
	above int64 // version held before
	view  *coordinator.View
	err   error
}

// refreshAll asks for all tokens at once, so that their waits do not add up,
// and tokens that one fetch renews are fetched once.
func (a *API) refreshAll(r request, names []coordinator.Name, call coordinator.RefreshCall) []refreshed {
	results := make([]refreshed, len(names))
	for i, name := range names {
		results[i].name = name
		if v, ok := a.node.View(name); ok {
			results[i].above = v.Version()
		}
	}
	var asking sync.WaitGroup
	for i := range results {
		asking.Go(func() {
			one := call
			one.Above = results[i].above
			results[i].view, results[i].err = a.newer(r, results[i].name, one)
		})
	}
	asking.Wait()
	return results
}

// commonError returns an error if nothing was done for any token, and for a
// reason that lies in no token: the store is silent, or this node goes away.
func commonError(results []refreshed) error {
	var common error
	for _, one := range results {
		_, ofToken := errors.AsType[*coordinator.NoValueError](one.err)
		if one.err == nil || ofToken && !errors.Is(one.err, errDraining) {
			return nil
		}
		common = one.err
	}
	return common
}

func (a *API) refreshedApp(r request, results []refreshed) answer {
	now := time.Now()
	reply := client.AppRefreshAnswer{Tokens: []client.RefreshAnswer{}}
	status := http.StatusOK
	for _, one := range results {
		token := a.refreshedToken(r, one, now)
		if !token.Done() {
			status = http.StatusAccepted
		}
		reply.Tokens = append(reply.Tokens, token)
	}
	return answer{status, reply}
}

// refreshedToken says what became of one token: its state, and the problem if there is one.
func (a *API) refreshedToken(r request, one refreshed, now time.Time) client.RefreshAnswer {
	token := client.RefreshAnswer{State: client.State{App: one.name.App, Token: one.name.Token}, After: one.above}
	if v, ok := a.node.View(one.name); one.err != nil && ok {
		one.view = v
	}
	if one.view != nil {
		token.State = a.stateOf(one.view, now)
	}
	if one.err != nil {
		token.Problem = a.tokenProblem(r, one.err)
	}
	return token
}

// tokenProblem is the problem of one token among several; what no table knows is logged here.
func (a *API) tokenProblem(r request, err error) *client.Problem {
	found, known := problemOf(err)
	if !known {
		a.log.ErrorContext(r.ctx(), "request failed", "route", pattern(r.Request), "err", err)
	}
	p := wireProblem(r.Request.Method, found, err)
	return &p
}
