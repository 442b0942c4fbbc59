package oauth2

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// Options of a token.
const (
	optionScope    = "scope"
	optionAudience = "audience"
	optionResource = "resource"
)

const (
	maxTokenOption  = 4096
	maxRefreshToken = 16 << 10
)

// checkRefreshToken refuses an app whose refresh token is missing, or would never be
// used. One that says client_credentials outright may have a former grant left over.
func checkRefreshToken(app coordinator.App, s settings) error {
	refresh, given := app.Credentials[credentialRefresh]
	_, said := app.Options[optionGrant]
	switch {
	case s.grant == grantClientCredentials && given && !said:
		return coordinator.Invalidf("credential refresh_token is given, but option grant is not: say grant: refresh_token")
	case s.grant == grantClientCredentials:
		return nil
	case !given && app.Paused:
		return nil
	case !given:
		return coordinator.Invalidf("credential refresh_token is missing: give the one that the consent of the user brought, or pause the app")
	}
	return outbound.CheckCredential(credentialRefresh, refresh.Reveal(), maxRefreshToken)
}

// checkTokens refuses token options that do not exist, and calls that would take the
// refresh token away from each other.
func checkTokens(app coordinator.App, s settings) error {
	if len(app.Tokens) == 0 {
		return coordinator.Invalidf("no token is kept: name access_token")
	}
	if calls := callsOf(app); s.rotation.Rotates() && len(calls) > 1 {
		return coordinator.Invalidf("tokens %s and %s need a call each, which would take the rotating refresh token away from each other: "+
			"keep one of them, or give each an app and a grant of its own", calls[0].name, calls[1].name)
	}
	for _, token := range slices.Sorted(maps.Keys(app.Tokens)) {
		if err := checkTokenOptions(token, app.Tokens[token].Options); err != nil {
			return err
		}
	}
	return nil
}

func checkTokenOptions(token string, options map[string]string) error {
	for _, option := range slices.Sorted(maps.Keys(options)) {
		text := options[option]
		switch {
		case token == IDToken:
			return coordinator.Invalidf("unknown option %q of token id_token: it comes with access_token, whose options count", option)
		case !slices.Contains([]string{optionAudience, optionResource, optionScope}, option):
			return coordinator.Invalidf("unknown option %q of token %s: oauth2's tokens have audience, resource, scope", option, token)
		case text == "" || len(text) > maxTokenOption || strings.TrimSpace(text) != text || strings.ContainsFunc(text, control):
			return coordinator.Invalidf("option %s of token %s is empty, longer than %d bytes, or has odd spaces or characters", option, token, maxTokenOption)
		case option == optionResource && slices.ContainsFunc(strings.Fields(text), notAbsolute):
			return coordinator.Invalidf("option resource of token %s: write absolute URIs without a fragment, separated by spaces", token)
		}
	}
	return nil
}

// notAbsolute reports what RFC 8707 does not allow as a resource.
func notAbsolute(resource string) bool {
	u, err := url.Parse(resource)
	return err != nil || !u.IsAbs() || strings.Contains(resource, "#")
}

// control reports what is no visible ASCII character and no space.
func control(r rune) bool { return r != ' ' && outbound.Invisible(r) }
