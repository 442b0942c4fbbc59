package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// place is a position in a file that a person can be pointed to.
type place struct {
	file         string
	line, column int
	key          string // the name written there; never a value
}

// String returns the place as editors understand it: "freshet.yaml:4:3".
func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column)
}

// excerpt shows the line of the file with all values left out, because any
// value of a configuration may be a secret.
func (p place) excerpt() string {
	if p.key == "" {
		return ""
	}
	before := strings.Repeat(" ", p.column-1)
	if p.column > 20 {
		before = "  … "
	}
	number := fmt.Sprintf("%6d | ", p.line)
	caret := strings.Repeat(" ", utf8.RuneCountInString(number+before)) + "^"
	return "\n" + number + before + p.key + ": …\n" + caret
}

// mistake is one thing that is wrong with a configuration, in one sentence.
type mistake struct {
	at   place
	path string // of the setting, e.g. "etcd.session_ttl"; empty for the file as a whole
	text string // what is wrong and what to do; never holds a value that may be secret
}

// Error returns the place, the setting, the sentence and an excerpt without values.
func (m *mistake) Error() string { return m.sentence() + m.at.excerpt() }

// sentence is Error without the excerpt.
func (m *mistake) sentence() string {
	var b strings.Builder
	if at := m.at.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if m.path != "" {
		b.WriteString(m.path + ": ")
	}
	b.WriteString(m.text)
	return b.String()
}

// mistakes collects what is wrong, so that a person sees all of it at once.
type mistakes struct{ list []error }

func (m *mistakes) add(at place, path, format string, args ...any) {
	m.list = append(m.list, &mistake{at: at, path: path, text: fmt.Sprintf(format, args...)})
}

// err returns all mistakes as one error, or nil.
func (m *mistakes) err() error {
	if len(m.list) == 0 {
		return nil
	}
	slices.SortStableFunc(m.list, func(a, b error) int { return placeOf(a).compare(placeOf(b)) })
	return &configError{all: m.list}
}

// placeOf is where a mistake was made.
func placeOf(err error) place {
	if one, ok := errors.AsType[*mistake](err); ok {
		return one.at
	}
	return place{}
}

// compare orders places as one reads: by file, then from top to bottom.
func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.file, q.file), cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column))
}

// below reports whether something at or below a path is wrong already.
func (m *mistakes) below(path string) bool {
	for _, err := range m.list {
		if one, ok := errors.AsType[*mistake](err); ok && (one.path == path || strings.HasPrefix(one.path, path+".")) {
			return true
		}
	}
	return false
}

// pointsAt reports whether a mistake is about the setting itself.
func (m *mistakes) pointsAt(path string) bool {
	for _, err := range m.list {
		if one, ok := errors.AsType[*mistake](err); ok && one.path == path {
			return true
		}
	}
	return false
}

// listOf returns the single mistakes of an error of load.
func listOf(err error) []error {
	if all, ok := errors.AsType[*configError](err); ok {
		return all.all
	}
	return nil
}

// configError is everything that is wrong with a configuration.
type configError struct{ all []error }

// Error returns one mistake after the other.
func (e *configError) Error() string { return errors.Join(e.all...).Error() }

// Unwrap returns the single mistakes.
func (e *configError) Unwrap() []error { return e.all }

// nearest returns the known name that a mistyped one probably means, or "".
func nearest(name string, known []string) string {
	best, bestDistance := "", 1+len(name)/3
	for _, candidate := range known {
		if d := distance(name, candidate); d <= bestDistance {
			best, bestDistance = candidate, d-1
		}
	}
	return best
}

// distance counts the letters to change, add or remove to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
