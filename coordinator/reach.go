package coordinator

import (
	"slices"
	"strings"
)

// maxReach bounds the apps of a Reach, which is kept for every reader that follows.
const maxReach = 500

// Reach says of which apps tokens may be that somebody follows or may read. It may
// hold more than those, never less. The zero Reach is every app.
type Reach struct {
	apps    []string // each once
	bounded bool
}

// Reach of the names.
func (s Names) Reach() Reach {
	r := Reach{bounded: true}
	for name := range s.single {
		r.apps = append(r.apps, name.App)
	}
	return r.globs(s.globs)
}

// Reach of what the client may use a verb on.
func (c Client) Reach(verb Verb) Reach { return Reach{bounded: true}.globs(c.Can[verb]) }

// Narrower returns the one with fewer apps.
func (r Reach) Narrower(other Reach) Reach {
	if !r.bounded || other.bounded && len(other.apps) < len(r.apps) {
		return other
	}
	return r
}

// globs adds what globs match: tokens of one app where its name stands before the slash.
func (r Reach) globs(globs []string) Reach {
	for _, glob := range globs {
		app, _, _ := strings.Cut(glob, "/")
		if strings.ContainsAny(app, globSigns) {
			return Reach{}
		}
		r.apps = append(r.apps, app)
	}
	slices.Sort(r.apps)
	r.apps = slices.Compact(r.apps)
	if len(r.apps) > maxReach {
		return Reach{}
	}
	return r
}
