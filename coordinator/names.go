package coordinator

import (
	"slices"
	"strings"
)

// maxPatterns bounds the globs among the names that somebody asks for: each is
// tried on every token there is.
const maxPatterns = 64

// globSigns make a text a glob.
const globSigns = `*?[\`

// Names is a set of names: some told one by one, some by globs such as
// permissions have. The zero Names is empty.
type Names struct {
	single map[Name]struct{}
	globs  []string
}

// ParseNames reads names ("app/token", or "app" for its access_token) and globs
// ("shop/*", "**"). The error is an ErrInvalid that says what to change.
func ParseNames(entries []string) (Names, error) {
	names := Names{single: map[Name]struct{}{}}
	for _, entry := range entries {
		if err := names.add(entry); err != nil {
			return Names{}, err
		}
	}
	if len(names.globs) > maxPatterns {
		return Names{}, Invalidf("names: at most %d of them may be patterns", maxPatterns)
	}
	return names, nil
}

func (s *Names) add(entry string) error {
	if strings.ContainsAny(entry, globSigns) {
		if err := checkGlob(entry); err != nil {
			return err
		}
		s.globs = append(s.globs, entry)
		return nil
	}
	name, err := ParseName(entry)
	if err != nil {
		return Invalidf("%v", err)
	}
	s.single[name] = struct{}{}
	return nil
}

// Has reports whether a name belongs to the set.
func (s Names) Has(name Name) bool {
	if _, ok := s.single[name]; ok {
		return true
	}
	if len(s.globs) == 0 {
		return false
	}
	text := name.String()
	return slices.ContainsFunc(s.globs, func(glob string) bool { return matchName(glob, text) })
}

// Single calls f with each name that was told by itself, until f returns an error.
func (s Names) Single(f func(Name) error) error {
	for name := range s.single {
		if err := f(name); err != nil {
			return err
		}
	}
	return nil
}
