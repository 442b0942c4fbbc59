package main

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// orDash shows that there is nothing.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// pairs writes a map for people: "a=1,b=2".
func pairs(m map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name+"="+m[name])
	}
	return strings.Join(list, ",")
}

// roughly writes a duration for people, in its two largest units.
func roughly(d time.Duration) string {
	if d < 0 {
		return "-" + roughly(-d)
	}
	switch {
	case d >= 24*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Hour).String(), "0m0s")
	case d >= time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	text := d.Truncate(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		return strings.TrimSuffix(text, "0s")
	}
	return text
}
