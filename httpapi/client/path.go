package client

import (
	"fmt"
	"net/url"
	"strings"
)

// tokenPath returns the path of a token named "app/token" or "app".
func tokenPath(name string) (string, error) { return namedPath("/v1/tokens/", name) }

// appPath returns the path of an app and what stands below it.
func appPath(app, below string) string { return "/v1/apps/" + url.PathEscape(app) + below }

func namedPath(prefix, name string) (string, error) {
	app, token, found := strings.Cut(name, "/")
	if !found {
		token = defaultToken
	}
	if app == "" || token == "" || strings.Contains(token, "/") {
		return "", fmt.Errorf("token name %.200q: use app/token, or app for its access_token", name)
	}
	return prefix + url.PathEscape(app) + "/" + url.PathEscape(token), nil
}

// defaultToken is the token meant where only an app is named.
const defaultToken = "access_token"
