package httpapi

import (
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"freshet/coordinator"
)

// maxQuery bounds a query, in bytes as sent.
const maxQuery = 4096

// maxNamesQuery bounds one that lists names: all of the headers have no more.
const maxNamesQuery = maxHeaderBytes

// Limits of a page of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// query is the parameters of a request :: name → value. Nil where there are none.
type query map[string]string

// parseQuery reads a query that may have the known parameters, each once.
func parseQuery(raw string, known []string) (query, error) {
	if raw == "" {
		return nil, nil
	}
	longest := maxQuery
	if slices.Contains(known, "names") {
		longest = maxNamesQuery
	}
	if len(raw) > longest {
		return nil, coordinator.Invalidf("the query is longer than %d bytes", longest)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, coordinator.Invalidf("the query is not well formed")
	}
	q := make(query, len(values))
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, coordinator.Invalidf("query parameter %.40q is unknown here; known: %s", name, nameList(known))
		}
		if len(all) > 1 {
			return nil, coordinator.Invalidf("query parameter %.40q is given %d times; give it once", name, len(all))
		}
		q[name] = all[0]
	}
	return q, nil
}

func nameList(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// duration reads a length of time that is not below zero; absent is zero.
func (q query) duration(name string) (time.Duration, error) {
	text, given := q[name]
	if !given {
		return 0, nil
	}
	d, ok := parseDuration(text)
	if !ok {
		return 0, coordinator.Invalidf("%s=%.40q: use a duration such as 30s or 5m", name, text)
	}
	return d, nil
}

// wait is how long a body asks to wait. It reads like the wait of a query:
// nothing and too much are allowed, and the API cuts what is too long.
type wait time.Duration

// UnmarshalText reads a length of time that is not below zero.
func (w *wait) UnmarshalText(text []byte) error {
	d, ok := parseDuration(string(text))
	if !ok {
		return coordinator.Invalidf("field %q: %.40q: use a duration such as 30s or 5m", "wait", text)
	}
	*w = wait(d)
	return nil
}

// wellFormed is a length of time, whether or not a time.Duration can hold it.
var wellFormed = regexp.MustCompile(`^\+?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$`)

// parseDuration reads a length of time that is not below zero; one too long to
// be held is the longest there is.
func parseDuration(text string) (time.Duration, bool) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return math.MaxInt64, wellFormed.MatchString(text)
	}
	return d, d >= 0
}

// version reads a version; absent is zero.
func (q query) version(name string) (int64, error) {
	text, given := q[name]
	if !given {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, coordinator.Invalidf("%s=%.40q: use a version such as 7", name, text)
	}
	return n, nil
}

// flag reads a parameter that is on by being there, or off.
func (q query) flag(name string) (bool, error) {
	text, given := q[name]
	switch {
	case !given, text == "0", text == "false":
		return false, nil
	case text == "", text == "1", text == "true":
		return true, nil
	}
	return false, coordinator.Invalidf("%s=%.40q: use 1 or 0", name, text)
}

// limit reads how many entries a page shall have.
func (q query) limit() (int, error) {
	text, given := q["limit"]
	if !given {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, coordinator.Invalidf("limit=%.40q: use a number from 1 to %d", text, maxLimit)
	}
	return n, nil
}
