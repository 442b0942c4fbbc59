package oauth2

import (
	"maps"
	"slices"

	"freshet/coordinator"
)

// Groups returns the group of access_token and id_token, then one for each other
// token, by name.
func (p *Provider) Groups(app coordinator.App) []coordinator.Group {
	s, err := settingsOf(app)
	if err != nil {
		return nil
	}
	var groups []coordinator.Group
	for _, call := range callsOf(app) {
		groups = append(groups, coordinator.Group{Name: call.name, Tokens: call.tokens, Rotation: s.rotation})
	}
	return groups
}

// tokenCall is one call of an app and the tokens that it keeps of its answer.
type tokenCall struct {
	name   string
	tokens []string
}

// callsOf returns the calls that an app's tokens need, access_token's first.
func callsOf(app coordinator.App) []tokenCall {
	first := tokenCall{name: AccessToken}
	var calls []tokenCall
	for _, token := range slices.Sorted(maps.Keys(app.Tokens)) {
		if token == AccessToken || token == IDToken {
			first.tokens = append(first.tokens, token)
			continue
		}
		calls = append(calls, tokenCall{name: token, tokens: []string{token}})
	}
	if len(first.tokens) > 0 {
		calls = slices.Insert(calls, 0, first)
	}
	return calls
}
