package coordinator

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// changedIn names what of an app a change touches: a setting, or a name within
// one, never a value.
func changedIn(former, app App, grant bool) []string {
	former, app = normal(former), normal(app)
	var changed []string
	note := func(differs bool, what string) {
		if differs {
			changed = append(changed, what)
		}
	}
	note(former.Provider != app.Provider, "provider")
	note(former.Parent != app.Parent, "parent")
	note(former.Upstream != app.Upstream, "upstream")
	note(former.Refresh != app.Refresh, "refresh")
	note(former.Paused != app.Paused, "paused")
	note(former.Owner != app.Owner, "owner")
	note(grant, "grant")
	same := func(a, b string) bool { return a == b }
	changed = append(changed, namesIn("options", former.Options, app.Options, same)...)
	changed = append(changed, namesIn("labels", former.Labels, app.Labels, same)...)
	changed = append(changed, namesIn("tokens", former.Tokens, app.Tokens, func(a, b TokenSettings) bool { return reflect.DeepEqual(a, b) })...)
	changed = append(changed, namesIn("credentials", withoutRefresh(former.Credentials), withoutRefresh(app.Credentials), Secret.Equal)...)
	slices.Sort(changed)
	return boundChanged(changed)
}

// namesIn are the names under which two maps differ, as "kind.name".
func namesIn[V any](kind string, a, b map[string]V, same func(V, V) bool) []string {
	var names []string
	for name, was := range a {
		if is, kept := b[name]; !kept || !same(was, is) {
			names = append(names, kind+"."+shortName(name))
		}
	}
	for name := range b {
		if _, had := a[name]; !had {
			names = append(names, kind+"."+shortName(name))
		}
	}
	return names
}

// mostNamed is how long a name within a setting may be in a record, in characters.
const mostNamed = 64

// shortName is a name that somebody chose freely, such as that of a label, as a
// record has it: a record of many stays far below what etcd takes, and none of
// them passes for another line of a list that people read.
func shortName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
	if text := []rune(name); len(text) > mostNamed {
		return string(text[:mostNamed-1]) + "…"
	}
	return name
}
