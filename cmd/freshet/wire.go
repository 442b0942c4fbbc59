package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// wireApp is an app of a file as the API takes it, with its credentials.
func wireApp(app coordinator.App) client.App {
	wire := client.App{
		Provider: app.Provider, Parent: app.Parent, Upstream: app.Upstream,
		Options: app.Options, Labels: app.Labels, Paused: app.Paused,
		Refresh: client.RefreshSettings{
			Window:  client.Window(app.Refresh.Window),
			Retry:   client.Retry{Min: app.Refresh.RetryMin, Max: app.Refresh.RetryMax},
			Timeout: client.Duration(app.Refresh.Timeout),
			Budget:  client.Budget(app.Refresh.Budget),
			Probe:   client.Probe(app.Refresh.Probe),
		},
	}
	if len(app.Credentials) > 0 {
		wire.Credentials = client.Credentials{}
	}
	for field, secret := range app.Credentials {
		wire.Credentials[field] = secret.Reveal()
	}
	if len(app.Tokens) > 0 {
		wire.Tokens = map[string]client.TokenSettings{}
	}
	for token, settings := range app.Tokens {
		wire.Tokens[token] = client.TokenSettings{Window: client.Window(settings.Window), Options: settings.Options}
	}
	return wire
}

// settingLine is one setting of an app as people read it.
type settingLine struct{ path, text string }

// settingsOf lists an app's settings by path, without credentials.
func settingsOf(app client.App) []settingLine {
	app.Credentials = nil
	encoded, err := json.Marshal(app)
	if err != nil {
		return nil
	}
	var fields map[string]any
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil
	}
	return flatten("", fields)
}

func flatten(path string, value any) []settingLine {
	fields, isMap := value.(map[string]any)
	if !isMap {
		return []settingLine{{path, fmt.Sprint(value)}}
	}
	if len(fields) == 0 && path != "" {
		return []settingLine{{path, "default"}}
	}
	var lines []settingLine
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		lines = append(lines, flatten(join(path, name), fields[name])...)
	}
	return lines
}

// differences lists what changes from one app to the other. Credentials cannot
// be compared, since the cluster does not show them.
func differences(from, to client.App) []string {
	before, after := map[string]string{}, map[string]string{}
	for _, line := range settingsOf(from) {
		before[line.path] = line.text
	}
	for _, line := range settingsOf(to) {
		after[line.path] = line.text
	}
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if before[path] != after[path] {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", path, orDash(before[path]), orDash(after[path])))
		}
	}
	if len(lines) == 0 && len(to.Credentials) > 0 {
		lines = append(lines, "credentials: "+strings.Join(to.Credentials.Fields(), ", "))
	}
	return lines
}

// parentsFirst orders apps so that each comes after its parent. Parents that
// are not in the list are in the cluster already, or will be missed there.
func parentsFirst(apps []coordinator.App) []coordinator.App {
	sorted := make([]coordinator.App, 0, len(apps))
	placed := map[string]bool{}
	in := func(name string) bool {
		return slices.ContainsFunc(apps, func(a coordinator.App) bool { return a.Name == name })
	}
	for len(sorted) < len(apps) {
		before := len(sorted)
		for _, app := range apps {
			if !placed[app.Name] && (placed[app.Parent] || !in(app.Parent)) {
				sorted = append(sorted, app)
				placed[app.Name] = true
			}
		}
		if len(sorted) == before {
			return apps // a circle; the cluster says so
		}
	}
	return sorted
}
