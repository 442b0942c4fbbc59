package tracing

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const redacted = "[redacted]"

var (
	// A query or fragment, of a whole URL or of anything like "?key=value", up
	// to a space or quote.
	query = regexp.MustCompile(`(://[^\s"'<>?#]*)[?#][^\s"'<>]*|[?#][^\s"'<>]*=[^\s"'<>]*`)
	// User information, with a scheme before it or not (a proxy setting).
	userInfo = regexp.MustCompile(`(://)[^\s"'/]*@|[^\s"'/:]+:[^\s"'/]+@`)
	// net/http quotes the offending part of an answer it cannot read.
	malformed = regexp.MustCompile(`(?s)(malformed [A-Za-z0-9 -]*?) ?[":].*`)
)

// redact returns the text of err without anything secret that net/http puts
// into its errors: above all the whole URL, in which some platforms carry app
// secrets and tokens.
func redact(err error) string {
	text := err.Error()
	for _, e := range urlErrors(err) {
		clean := redacted
		if u, err := url.Parse(e.URL); err == nil {
			clean = bare(u)
		}
		quoted := strconv.Quote(e.URL)
		text = strings.ReplaceAll(text, quoted, strconv.Quote(clean))
		text = replace(text, quoted[1:len(quoted)-1], clean)
		text = replace(text, e.URL, clean)
		if e.Op == "parse" { // the reason quotes the part it stumbled over
			text = replace(text, e.Err.Error(), "not a URL")
		}
	}
	return scrub(text)
}

// replace is strings.ReplaceAll, but not of nothing.
func replace(text, old, clean string) string {
	if old == "" || old == clean {
		return text
	}
	return strings.ReplaceAll(text, old, clean)
}

// urlErrors finds every *url.Error in the tree of err; errors.As would stop at
// the first.
func urlErrors(err error) []*url.Error {
	var found []*url.Error
	if e, ok := err.(*url.Error); ok { //nolint:errorlint // walks the tree itself
		found = append(found, e)
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			found = append(found, urlErrors(e)...)
		}
		return found
	}
	if next := errors.Unwrap(err); next != nil {
		found = append(found, urlErrors(next)...)
	}
	return found
}

// scrub removes the queries and user information from any text: the second
// line of defence, for URLs that somebody wrote into an error or an attribute.
func scrub(text string) string {
	if strings.Contains(text, "malformed ") {
		text = malformed.ReplaceAllString(text, "${1} "+redacted)
	}
	if strings.ContainsAny(text, "?#") {
		text = query.ReplaceAllString(text, "${1}?"+redacted)
	}
	if strings.Contains(text, "@") {
		text = userInfo.ReplaceAllString(text, "${1}"+redacted+"@")
	}
	return text
}

func scrubAll(texts []string) []string {
	clean := make([]string, len(texts))
	for i, text := range texts {
		clean[i] = scrub(text)
	}
	return clean
}

// bare is u without user information, query and fragment. An opaque URL keeps
// its scheme only.
func bare(u *url.URL) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return clean.String()
}
