package httpapi

import (
	"strings"

	"freshet/coordinator"
)

// maxNames bounds a list of names in a query.
const maxNames = 500

// names reads a list of names, separated by commas; false: there is none.
func (q query) names() (entries []string, given bool, err error) {
	text, given := q["names"]
	if !given {
		return nil, false, nil
	}
	if strings.Count(text, ",") >= maxNames {
		return nil, true, coordinator.Invalidf("names: at most %d at once", maxNames)
	}
	entries = strings.Split(text, ",")
	seen := make(map[string]struct{}, len(entries))
	for _, entry := range entries {
		if entry == "" {
			return nil, true, coordinator.Invalidf("names: one is empty; write them as app/token, separated by commas")
		}
		if _, again := seen[entry]; again {
			return nil, true, coordinator.Invalidf("names: %.80q is given twice", entry)
		}
		seen[entry] = struct{}{}
	}
	return entries, true, nil
}

// wantedNames reads which names a reader follows: those it tells, else all that it may read.
func (r request) wantedNames() (coordinator.Names, error) {
	entries, given, err := r.query.names()
	if err != nil {
		return coordinator.Names{}, err
	}
	if !given {
		entries = []string{"**"}
	}
	wanted, err := coordinator.ParseNames(entries)
	if err != nil {
		return coordinator.Names{}, err
	}
	return wanted, r.mayFollow(wanted)
}

// mayFollow returns errForbidden unless the client may read every name that is
// told by itself, and anything at all. Of what a pattern names it is told what
// it may read.
func (r request) mayFollow(wanted coordinator.Names) error {
	if err := r.mayAny(coordinator.VerbRead); err != nil {
		return err
	}
	return wanted.Single(func(name coordinator.Name) error { return r.may(name, coordinator.VerbRead) })
}
