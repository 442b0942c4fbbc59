package httpapi

import (
	"maps"
	"slices"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// AppFromWire makes the app that a body of the API, or an entry of an apps
// file, describes. A mistake is a *coordinator.InvalidError; what only the
// provider or the cluster can judge is left to them. Credentials that are not
// mentioned at all (nil) stay nil, which means: as they are.
func AppFromWire(name string, w client.App) (coordinator.App, error) {
	app := coordinator.App{
		Name:     name,
		Provider: w.Provider,
		Parent:   w.Parent,
		Upstream: w.Upstream,
		Options:  w.Options,
		Refresh: coordinator.RefreshSettings{
			Window:   coordinator.Window(w.Refresh.Window),
			RetryMin: w.Refresh.Retry.Min,
			RetryMax: w.Refresh.Retry.Max,
			Timeout:  time.Duration(w.Refresh.Timeout),
			Budget:   int(w.Refresh.Budget),
			Probe:    time.Duration(w.Refresh.Probe),
		},
		Labels: w.Labels,
		Paused: w.Paused,
	}
	if err := checkNames(name, w); err != nil {
		return coordinator.App{}, err
	}
	var err error
	app.Credentials, err = secrets(name, w.Credentials)
	for token, settings := range w.Tokens {
		if app.Tokens == nil {
			app.Tokens = map[string]coordinator.TokenSettings{}
		}
		app.Tokens[token] = coordinator.TokenSettings{Window: coordinator.Window(settings.Window), Options: settings.Options}
	}
	return app, err
}

func checkNames(name string, w client.App) error {
	if err := coordinator.CheckAppName(name); err != nil {
		return coordinator.Invalidf("%v", err)
	}
	if w.Parent != "" {
		if err := coordinator.CheckAppName(w.Parent); err != nil {
			return coordinator.Invalidf("app %q: its parent: %v", name, err)
		}
	}
	for _, token := range slices.Sorted(maps.Keys(w.Tokens)) {
		if err := (coordinator.Name{App: name, Token: token}).Check(); err != nil {
			return coordinator.Invalidf("app %q: %v", name, err)
		}
	}
	return nil
}

func secrets(app string, fields client.Credentials) (map[string]coordinator.Secret, error) {
	if fields == nil {
		return nil, nil
	}
	secrets := make(map[string]coordinator.Secret, len(fields))
	for _, field := range fields.Fields() {
		if fields[field] == "" {
			return nil, coordinator.Invalidf("app %q: credential %.80q is empty: give it a value, or leave it out", app, field)
		}
		secrets[field] = coordinator.NewSecret(fields[field])
	}
	return secrets, nil
}

// wireApp is the reverse of AppFromWire, without credentials.
func wireApp(app coordinator.App) client.App {
	w := client.App{
		Provider: app.Provider,
		Parent:   app.Parent,
		Upstream: app.Upstream,
		Options:  app.Options,
		Refresh: client.RefreshSettings{
			Window:  client.Window(app.Refresh.Window),
			Retry:   client.Retry{Min: app.Refresh.RetryMin, Max: app.Refresh.RetryMax},
			Timeout: client.Duration(app.Refresh.Timeout),
			Budget:  client.Budget(app.Refresh.Budget),
			Probe:   client.Probe(app.Refresh.Probe),
		},
		Labels: app.Labels,
		Paused: app.Paused,
	}
	for token, settings := range app.Tokens {
		if w.Tokens == nil {
			w.Tokens = map[string]client.TokenSettings{}
		}
		w.Tokens[token] = client.TokenSettings{Window: client.Window(settings.Window), Options: settings.Options}
	}
	return w
}

// appInfo shows an app: what was said of it, and what is in effect.
func appInfo(applied, effective coordinator.App) client.AppInfo {
	info := client.AppInfo{
		Name:           applied.Name,
		App:            wireApp(effective),
		CredentialsSet: slices.Sorted(maps.Keys(effective.Credentials)),
		Applied:        wireApp(applied),
		Owner:          applied.Owner,
		Incarnation:    effective.Incarnation,
		Revision:       applied.Revision,
	}
	if info.CredentialsSet == nil {
		info.CredentialsSet = []string{}
	}
	return info
}
