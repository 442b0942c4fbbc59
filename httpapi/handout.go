package httpapi

import (
	"context"
	"time"

	"freshet/coordinator"
)

// codeForced is the code of a report that a program made by asking for a forced
// refresh: it does not say what the platform answered.
const codeForced = "force_refresh"

// bearer is who makes the calls of a drop-in surface that carry a value and no
// key. No client has such a name.
func bearer(name coordinator.Name) string { return name.String() }

// asked names a version for which the refresher was asked for one that lives longer.
type asked struct {
	name    coordinator.Name
	version int64
}

// handOut returns a value for a program that takes what it gets for as long as
// it is told: one that lives MinExpiresIn if such a one can be had, else the one
// held. However often it is called, nothing is refreshed but what the floor asks
// for, once for each version.
func (a *API) handOut(ctx context.Context, client string, name coordinator.Name) (*coordinator.View, error) {
	v, err := a.readAs(ctx, name, coordinator.Want{}, client, bearer(name))
	if err != nil {
		return a.node.Read(ctx, name, coordinator.Want{Wait: a.compat.Patience}) // it may be on its way
	}
	if v.Lives(time.Now(), 0) >= a.compat.MinExpiresIn {
		return v, nil
	}
	return a.longer(ctx, v), nil
}

// longer returns a value that lives longer than v, if one comes in a moment.
func (a *API) longer(ctx context.Context, v *coordinator.View) *coordinator.View {
	first := false
	at := a.floored.getOr(asked{v.Name, v.Version()}, func() time.Time { first = true; return time.Now() })
	var next *coordinator.View
	var err error
	if first {
		next, err = a.node.Refresh(ctx, v.Name, coordinator.RefreshCall{Above: v.Version(), Wait: a.compat.Patience})
	} else {
		rest := max(0, a.compat.Patience-time.Since(at))
		next, err = a.node.Read(ctx, v.Name, coordinator.Want{Above: v.Version(), Wait: rest})
	}
	if err != nil || next == nil {
		return v // the truth is all there is
	}
	return next
}

// reportHeld takes the wish for another value as a report of the one held: the
// refresher looks whether it is dead, and only then is it replaced. Reports are
// limited, so that a program that always wishes changes nothing.
func (a *API) reportHeld(ctx context.Context, client string, name coordinator.Name) {
	v, ok := a.node.View(name)
	if !ok || v.Version() < 1 || !a.reports.allow(client, name) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeLimit)
	defer cancel()
	report, err := a.node.Report(ctx, name, coordinator.ReportCall{Version: v.Version(), Code: codeForced})
	if err != nil {
		a.log.WarnContext(ctx, "a wish for another value could not be reported", "token", name.String(), "err", err)
		return
	}
	a.reports.remember(client, name, report)
}
