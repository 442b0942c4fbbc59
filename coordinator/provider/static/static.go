// Package static keeps tokens that nobody can be asked for: their values are
// pushed, while a system is moved here, or because they come from elsewhere.
//
// An app of it has no upstream, no credentials and no options, and any tokens:
//
//	apps:
//	  legacy: {provider: static, tokens: {access_token: {}, ticket: {window: 1h}}}
//
// The window of a token says how long before its end its state is due, so that
// people are told that the next value is wanted. The package calls nobody: its
// Provider is no coordinator.Fetcher.
package static

import (
	"maps"
	"slices"

	"freshet/coordinator"
)

// Provider is the coordinator.Provider of values that are pushed.
type Provider struct{}

// New returns a Provider.
func New() Provider { return Provider{} }

// Check refuses what would have no meaning: an upstream, credentials, options of
// the app and of its tokens. The error is a coordinator.ErrInvalid.
func (Provider) Check(app coordinator.App) error {
	switch {
	case app.Upstream != "":
		return coordinator.Invalidf("provider static has no upstream, nobody is asked: leave it out")
	case len(app.Credentials) > 0:
		return coordinator.Invalidf("provider static takes no credentials (%s is given): its values are pushed with freshet push", first(app.Credentials))
	case len(app.Options) > 0:
		return coordinator.Invalidf("unknown option %q: provider static has none", first(app.Options))
	case len(app.Tokens) == 0:
		return coordinator.Invalidf("no token is kept: name those whose values are pushed")
	}
	for _, token := range slices.Sorted(maps.Keys(app.Tokens)) {
		if options := app.Tokens[token].Options; len(options) > 0 {
			return coordinator.Invalidf("unknown option %q of token %s: provider static has none; what a value comes with is pushed with it", first(options), token)
		}
	}
	return nil
}

// first returns the name that comes first.
func first[V any](m map[string]V) string { return slices.Min(slices.Collect(maps.Keys(m))) }

// Groups returns one for each token: each is pushed by itself.
func (Provider) Groups(app coordinator.App) []coordinator.Group {
	var groups []coordinator.Group
	for _, token := range slices.Sorted(maps.Keys(app.Tokens)) {
		groups = append(groups, coordinator.Group{Name: token, Tokens: []string{token}})
	}
	return groups
}

// Identity is the app's own: no platform knows it by another.
func (Provider) Identity(app coordinator.App) string { return "static:" + app.Name }

// Upstream is a name for those who count by it.
func (Provider) Upstream(coordinator.App) string { return "static" }

var _ coordinator.Provider = Provider{}
