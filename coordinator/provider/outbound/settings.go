package outbound

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"freshet/coordinator"
)

// CheckNames refuses a name that a provider does not know, the first in order. The
// errors of this file are *coordinator.InvalidError.
func CheckNames[V any](provider, what string, given map[string]V, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			return coordinator.Invalidf("unknown %s %q: %s knows %s", what, name, provider, strings.Join(known, ", "))
		}
	}
	return nil
}

// CheckCredential refuses a credential that is missing, too long or not wholly of
// visible ASCII characters. It does not quote it.
func CheckCredential(name, text string, most int) error {
	switch {
	case text == "":
		return coordinator.Invalidf("credential %s is missing", name)
	case len(text) > most:
		return coordinator.Invalidf("credential %s is longer than %d bytes", name, most)
	case strings.ContainsFunc(text, Invisible):
		return coordinator.Invalidf("credential %s holds a space, a line break or another unprintable or non-ASCII character: "+
			"look at the end of its source", name)
	}
	return nil
}

// Invisible reports what is not a visible ASCII character.
func Invisible(r rune) bool { return r <= ' ' || r > '~' }

// PlainHost writes one host always in the same way: in lower case, with its port
// unless that is the scheme's own.
func PlainHost(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// ValidHost reports whether host is a name or an address with an optional port.
func ValidHost(host string) bool {
	u, err := url.Parse("//" + host)
	return err == nil && u.Host == host && u.Hostname() != "" && !strings.HasSuffix(host, ":") &&
		!strings.ContainsFunc(host, Invisible)
}
