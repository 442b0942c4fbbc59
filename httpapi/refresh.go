package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// The bodies of refreshes, as the client package writes them, with a wait that
// is read like that of a query.
type (
	refreshBody struct {
		client.RefreshBody

		Wait wait `json:"wait"`
	}
	appRefreshBody struct {
		client.AppRefreshBody

		Wait wait `json:"wait"`
	}
)

// cut bounds a wait.
func (a *API) cut(w wait) time.Duration { return min(time.Duration(w), a.maxWait) }

// refreshToken asks for a newer version. It answers 200 where there is one
// already, 202 where one was asked for.
func (a *API) refreshToken(r request) (answer, error) {
	name, err := r.tokenName()
	if err != nil {
		return answer{}, err
	}
	if err := r.may(name, coordinator.VerbRefresh); err != nil {
		return answer{}, err
	}
	var body refreshBody
	if err := r.readBody(maxBody, &body); err != nil {
		return answer{}, err
	}
	if body.AfterVersion < 0 {
		return answer{}, coordinator.Invalidf("field %q: a version is not below zero", "after_version")
	}
	return a.refresh(r, name, body)
}

func (a *API) refresh(r request, name coordinator.Name, body refreshBody) (answer, error) {
	above := body.AfterVersion
	if known, ok := a.node.View(name); ok && above == 0 {
		above = known.Version()
	}
	v, err := a.newer(r, name, coordinator.RefreshCall{Above: above, Force: body.Force, Wait: a.cut(body.Wait)})
	if err != nil {
		return answer{}, err
	}
	reply := client.RefreshAnswer{State: a.stateOf(v, time.Now()), After: above}
	if reply.Done() {
		return ok(reply), nil
	}
	return answer{http.StatusAccepted, reply}, nil
}

// newer asks for a newer value of one token.
func (a *API) newer(r request, name coordinator.Name, call coordinator.RefreshCall) (*coordinator.View, error) {
	ctx, cancel := a.limited(r, call.Wait)
	defer cancel()
	v, err := a.node.Refresh(ctx, name, call)
	if err == nil {
		return v, nil
	}
	if !call.Force && sameAgain(err) {
		err = fmt.Errorf("%w: %w", errSameAgain, err)
	}
	return nil, a.orDraining(call.Wait, err)
}

// sameAgain reports that there is no newer value because the platform answered the one that is held.
func sameAgain(err error) bool {
	missing, ok := errors.AsType[*coordinator.NoValueError](err)
	return ok && missing.Todo == "" && errors.Is(missing.Err, coordinator.ErrNoNewerToken) &&
		missing.View.State.NewestOutcome().Result == coordinator.ResultSame
}

// reportToken takes a client's word that the platform refused a value.
func (a *API) reportToken(r request) (answer, error) {
	name, err := r.tokenName()
	if err != nil {
		return answer{}, err
	}
	if err := r.may(name, coordinator.VerbRead); err != nil {
		return answer{}, err
	}
	var body client.ReportBody
	if err := r.readBody(maxBody, &body); err != nil {
		return answer{}, err
	}
	if err := checkReport(body); err != nil {
		return answer{}, err
	}
	if !a.reports.allow(r.client.Name, name) {
		return answer{}, errRateLimited
	}
	return a.report(r, name, coordinator.ReportCall{Version: body.Version, Fingerprint: body.Fingerprint, Code: body.Code})
}

func (a *API) report(r request, name coordinator.Name, call coordinator.ReportCall) (answer, error) {
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	report, err := a.node.Report(ctx, name, call)
	if err != nil {
		return answer{}, err
	}
	a.reports.remember(r.client.Name, name, report)
	return ok(client.ReportAnswer{
		App:     name.App,
		Token:   name.Token,
		Verdict: string(report.Answer),
		After:   report.After,
		Version: report.View.Version(),
		State:   string(report.View.Status(time.Now())),
		Reason:  report.View.State.Reason,
	}), nil
}

// Bounds of what a report says, in bytes.
const (
	maxFingerprint = 128
	maxCode        = 64
)

func checkReport(body client.ReportBody) error {
	switch {
	case (body.Version == 0) == (body.Fingerprint == ""):
		return coordinator.Invalidf("say which value was refused by either %q or %q", "version", "fingerprint")
	case body.Version < 0:
		return coordinator.Invalidf("field %q: a version is above zero", "version")
	case len(body.Fingerprint) > maxFingerprint:
		return coordinator.Invalidf("field %q is longer than %d bytes", "fingerprint", maxFingerprint)
	case len(body.Code) > maxCode, strings.ContainsFunc(body.Code, func(c rune) bool { return c < ' ' || c > '~' }):
		return coordinator.Invalidf("field %q: at most %d printable characters", "code", maxCode)
	}
	return nil
}

// orDraining adds to the error of a wait that it was cut short because the node
// goes away: another node may well have what was waited for.
func (a *API) orDraining(wait time.Duration, err error) error {
	if wait > 0 && a.node.Health().Draining {
		return fmt.Errorf("%w: %w", errDraining, err)
	}
	return err
}
