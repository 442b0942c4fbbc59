package httpapi

import (
	"net/url"
	"strings"

	"freshet/coordinator"
)

// targetOf builds where a call goes: below the injection's base, never elsewhere.
// Path and query go out byte for byte as they came in, but for a parameter of the
// injection's name, which is taken out.
func targetOf(injection coordinator.Injection, path, query string) (url.URL, error) {
	if err := checkPath(path); err != nil {
		return url.URL{}, err
	}
	query, err := withoutParameter(query, injection.Place.Query)
	if err != nil {
		return url.URL{}, err
	}
	base := injection.Base
	escaped := strings.TrimSuffix(base.EscapedPath(), "/") + path
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return url.URL{}, errBadPath
	}
	target := url.URL{Scheme: base.Scheme, Host: base.Host, Path: plain, RawPath: escaped, RawQuery: query}
	if target.EscapedPath() != escaped {
		return url.URL{}, errBadPath // it would be written in another way than it was checked
	}
	return target, nil
}

var errBadPath = coordinator.Invalidf("the path below the app is not one that is forwarded: write it without empty segments, " +
	"dots as a segment, backslashes and control characters, escaped or not")

// mostEscapes is how many times over a path is looked at unescaped: something
// behind the platform's door may unescape once more than it should.
const mostEscapes = 3

// checkPath refuses an escaped path that somebody on the way could take for one
// that begins elsewhere, or leads out of its base.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errBadPath
	}
	for range mostEscapes {
		if oddPath(path) {
			return errBadPath
		}
		plain, err := url.PathUnescape(path)
		if err != nil || plain == path {
			break // as often as it can be unescaped
		}
		path = plain
	}
	if oddPath(path) {
		return errBadPath
	}
	return nil
}

// oddPath looks at a path for what could lead elsewhere. Some servers cut a
// segment at a semicolon before they look whether it is dots.
func oddPath(path string) bool {
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) || strings.Contains(path, "//") {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// withoutParameter takes every parameter of a name out of a query, in whatever
// case and escaped in whatever way, and leaves the others as they are.
func withoutParameter(query, name string) (string, error) {
	if query == "" {
		return "", nil
	}
	if strings.ContainsFunc(query, func(r rune) bool { return r == ';' || r <= ' ' || r == 0x7f || r == '#' }) {
		// Some servers take a semicolon for an ampersand, others do not.
		return "", coordinator.Invalidf("the query is not well formed: write a semicolon as %%3B, and escape spaces and control characters")
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return "", coordinator.Invalidf("the query is not well formed: a parameter's name has a bad escape")
		}
		if name == "" || !strings.EqualFold(plain, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&"), nil
}

// withParameter adds a parameter to a query that has none of its name.
func withParameter(query, name, value string) string {
	if query != "" {
		query += "&"
	}
	return query + url.QueryEscape(name) + "=" + url.QueryEscape(value)
}
