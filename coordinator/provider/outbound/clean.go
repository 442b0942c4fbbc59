package outbound

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxMessage is how many bytes of a foreign text go into an error.
const MaxMessage = 200

const redacted = "[redacted]"

// Clean makes a foreign text fit for an error: no control characters, none of the
// texts to hide, at most MaxMessage bytes.
func Clean(s string, hide ...string) string { return Cut(Hide(s, hide...), MaxMessage) }

// Hide is Clean for a text of any length.
func Hide(s string, hide ...string) string {
	s = strings.Map(printable, strings.ToValidUTF8(s, ""))
	return strings.TrimSpace(hider(hide).Replace(s)) // after the characters: they could have split a secret
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}

// hider replaces the given texts, also as they stand in a query. The longest go
// first: one may contain another.
func hider(hide []string) *strings.Replacer {
	var texts []string
	for _, s := range hide {
		if s != "" {
			texts = append(texts, s, url.QueryEscape(s))
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range slices.Compact(texts) {
		pairs = append(pairs, s, redacted)
	}
	return strings.NewReplacer(pairs...)
}

// Cut shortens s to at most n bytes without breaking a character.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
