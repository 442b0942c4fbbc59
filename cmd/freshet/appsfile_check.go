package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"freshet/coordinator"
)

// check validates the apps as a cluster that has only them would: parents
// exist, providers agree, and no two apps are one registration at a platform.
// It returns the apps as they will run.
func (f *appsFile) check(providers map[string]coordinator.Provider) []coordinator.App {
	for _, app := range f.apps {
		if app.Parent != "" && !f.has(app.Parent) {
			f.wrong(app, "parent", "there is no app %q in this file", app.Parent)
		}
	}
	return f.checkAlone(providers)
}

// checkAlone is check for apps whose parents may be in the cluster already.
func (f *appsFile) checkAlone(providers map[string]coordinator.Provider) []coordinator.App {
	byName := make(map[string]coordinator.App, len(f.apps))
	for _, app := range f.apps {
		byName[app.Name] = app
	}
	identities := map[string]string{} // :: provider and identity → app
	var effective []coordinator.App
	for _, app := range f.apps {
		full, ok := f.resolve(app, byName)
		if !ok {
			continue
		}
		provider, known := providers[full.Provider]
		if !known {
			f.wrong(app, "provider", "there is no such provider; this version has: %s", strings.Join(slices.Sorted(maps.Keys(providers)), ", "))
			continue
		}
		effective = append(effective, full.WithDefaults())
		if f.doc.below("apps." + app.Name) {
			continue // what the provider would miss is the mistake we have told
		}
		if err := provider.Check(full); err != nil {
			f.wrong(app, "", "%s", err)
			continue
		}
		f.checkIdentity(full, provider, identities)
	}
	f.checkKeys()
	return effective
}

// resolve fills in what an app inherits.
func (f *appsFile) resolve(app coordinator.App, byName map[string]coordinator.App) (coordinator.App, bool) {
	full := app
	seen := map[string]bool{app.Name: true}
	for parent := app.Parent; parent != ""; {
		if seen[parent] {
			f.wrong(app, "parent", "its parents form a circle")
			return full, false
		}
		seen[parent] = true
		above, found := byName[parent]
		if !found {
			return full, false
		}
		full = full.Inherit(above)
		parent = above.Parent
	}
	return full, full.Provider != ""
}

func (f *appsFile) checkIdentity(app coordinator.App, provider coordinator.Provider, identities map[string]string) {
	identity := provider.Identity(app)
	if identity == "" {
		return
	}
	key := app.Provider + "\x00" + identity
	if other, taken := identities[key]; taken {
		f.wrong(app, "", "it is the same registration at the platform as %q in line %d, so each would kill the other's tokens: keep one",
			other, f.doc.placeOf("apps."+other).line)
		return
	}
	identities[key] = app.Name
}

// checkKeys finds clients that could not be told apart.
func (f *appsFile) checkKeys() {
	owners := map[coordinator.Digest]string{}
	for _, client := range f.clients {
		if client.Digest == (coordinator.Digest{}) {
			continue
		}
		if other, taken := owners[client.Digest]; taken {
			path := "clients." + client.Name
			f.doc.add(f.doc.placeOf(path), path, "it has the key of %q: give each its own", other)
		}
		owners[client.Digest] = client.Name
	}
}

// wrong points at an app, or at one of its settings where it is written.
func (f *appsFile) wrong(app coordinator.App, setting, format string, args ...any) {
	path := "apps." + app.Name
	at := f.doc.placeOf(path)
	if written := f.doc.placeOf(path + "." + setting); written.line > 0 {
		path, at = path+"."+setting, written
	}
	f.doc.add(at, path, "%s", fmt.Sprintf(format, args...))
}
