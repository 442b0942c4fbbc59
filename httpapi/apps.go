package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func (a *API) appRoutes(r router) {
	r.handle(http.MethodGet, "/v1/apps", a.json(a.listApps, "label", "prefix", "limit", "cursor"))
	r.handle(http.MethodGet, "/v1/apps/{app}", a.json(a.getApp))
	r.handle(http.MethodPut, "/v1/apps/{app}", a.json(a.putApp, "dry_run", "replace_grant"))
	r.handle(http.MethodDelete, "/v1/apps/{app}", a.json(a.deleteApp))
	r.handle(http.MethodPost, "/v1/apps/{app}/pause", a.json(a.pauseApp(true)))
	r.handle(http.MethodPost, "/v1/apps/{app}/resume", a.json(a.pauseApp(false)))
}

func (a *API) listApps(r request) (answer, error) {
	if err := r.mayAny(seeing()...); err != nil {
		return answer{}, err
	}
	labelled, err := parseLabels(r.query["label"])
	if err != nil {
		return answer{}, err
	}
	apps, next, err := page(a.node.Apps(), nameOfApp, r.query, func(app coordinator.App) bool {
		return labelled.match(app.Labels) && r.mayApp(app.Name, seeing()...) == nil
	})
	if err != nil {
		return answer{}, err
	}
	list := client.AppList{Apps: []client.AppInfo{}, NextCursor: next}
	for _, app := range apps {
		list.Apps = append(list.Apps, a.info(app))
	}
	return ok(list), nil
}

func nameOfApp(app coordinator.App) string { return app.Name }

func (a *API) getApp(r request) (answer, error) {
	name, err := r.appName()
	if err != nil {
		return answer{}, err
	}
	if err := r.mayApp(name, seeing()...); err != nil {
		return answer{}, err
	}
	app, known := a.node.App(name)
	if !known {
		return answer{}, coordinator.ErrUnknownApp
	}
	return ok(a.info(app)), nil
}

// info is an app with the settings in effect.
func (a *API) info(app coordinator.App) client.AppInfo {
	effective, err := a.node.Effective(app.Name)
	if err != nil {
		info := appInfo(app, app)
		info.Problem = err.Error()
		return info
	}
	return appInfo(app, effective)
}

// administered reads the name of an app that the client may administer.
func (r request) administered() (string, error) {
	name, err := r.appName()
	if err != nil {
		return "", err
	}
	return name, r.mayApp(name, coordinator.VerbAdmin)
}

func (a *API) putApp(r request) (answer, error) {
	name, err := r.administered()
	if err != nil {
		return answer{}, err
	}
	dryRun, err := r.query.flag("dry_run")
	if err != nil {
		return answer{}, err
	}
	var how coordinator.Applying
	if how.ReplaceGrant, err = r.query.flag("replace_grant"); err != nil {
		return answer{}, err
	}
	var body client.App
	if err := r.readBody(maxAppBody, &body); err != nil {
		return answer{}, err
	}
	app, err := r.appOf(name, body)
	if err != nil {
		return answer{}, err
	}
	if dryRun {
		return a.preview(r, app, how)
	}
	return a.apply(r, app, how)
}

// appOf makes the app that the client wants applied.
func (r request) appOf(name string, body client.App) (coordinator.App, error) {
	app, err := AppFromWire(name, body)
	if err != nil {
		return coordinator.App{}, err
	}
	// What is inherited is used, a parent's credentials among it, so a parent
	// must be the client's to administer as well.
	if app.Parent != "" {
		if err := r.mayApp(app.Parent, coordinator.VerbAdmin); err != nil {
			return coordinator.App{}, err
		}
	}
	app.Owner = r.actor()
	return app, nil
}

func (a *API) preview(r request, app coordinator.App, how coordinator.Applying) (answer, error) {
	would, err := a.node.Preview(app, how)
	if err != nil {
		return answer{}, r.hideTwin(err)
	}
	return ok(client.AppChange{Change: string(would.Change), DryRun: true, App: appInfo(app, would.App), GrantKept: would.GrantKept}), nil
}

// hideTwin takes the name of another app out of an error, unless the client may see that app.
func (r request) hideTwin(err error) error {
	twin, ok := errors.AsType[*coordinator.TwinError](err)
	if !ok || r.mayApp(twin.Twin, seeing()...) == nil {
		return err
	}
	return coordinator.Invalidf("another app has the same identity at the platform")
}

func (a *API) apply(r request, app coordinator.App, how coordinator.Applying) (answer, error) {
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	done, err := a.node.Apply(ctx, app, how)
	if err != nil {
		return answer{}, r.hideTwin(err)
	}
	if known, found := a.node.App(app.Name); found {
		app = known
	}
	reply := client.AppChange{Change: string(done.Change), App: appInfo(app, done.App), GrantKept: done.GrantKept}
	if done.Change == coordinator.ChangeCreated {
		return answer{http.StatusCreated, reply}, nil
	}
	return ok(reply), nil
}

func (a *API) deleteApp(r request) (answer, error) {
	name, err := r.administered()
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	return answer{status: http.StatusNoContent}, a.node.Remove(ctx, r.actor(), name)
}

func (a *API) pauseApp(paused bool) endpoint {
	return func(r request) (answer, error) {
		name, err := r.administered()
		if err != nil {
			return answer{}, err
		}
		if err := r.noBody(); err != nil {
			return answer{}, err
		}
		ctx, cancel := a.limited(r, 0)
		defer cancel()
		return answer{status: http.StatusNoContent}, a.node.PauseApp(ctx, r.actor(), name, paused)
	}
}

// labels are what a list of apps is filtered by :: label → value, "" for any.
type labels map[string]string

// parseLabels reads "team=retail,env".
func parseLabels(text string) (labels, error) {
	if text == "" {
		return nil, nil
	}
	wanted := labels{}
	for part := range strings.SplitSeq(text, ",") {
		label, value, _ := strings.Cut(part, "=")
		if label == "" {
			return nil, coordinator.Invalidf("label=%.80q: use label=team=retail, or label=team for any value", text)
		}
		wanted[label] = value
	}
	return wanted, nil
}

func (l labels) match(have map[string]string) bool {
	for label, value := range l {
		got, found := have[label]
		if !found || value != "" && got != value {
			return false
		}
	}
	return true
}
