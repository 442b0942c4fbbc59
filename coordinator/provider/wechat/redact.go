package wechat

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxMessage = 200
	redacted   = "[redacted]"
	ridMark    = "rid: " // the platform's trace id, at the end of most messages
	maxRid     = 64
)

// clean makes a foreign text fit for an error: no control characters, none of
// the texts to hide, at most 200 bytes, the trace id kept.
func clean(s string, hide ...string) string {
	s = strings.Map(printable, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(hider(hide).Replace(s)) // after the characters: they could have split a secret
	if len(s) <= maxMessage {
		return s
	}
	head, tail := s, ""
	if at := strings.LastIndex(s, ridMark); at >= 0 {
		head, tail = strings.TrimSpace(s[:at]), " "+cut(s[at:], maxRid)
	}
	return cut(head, maxMessage-len(tail)) + tail
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

// cut shortens s to at most n bytes without breaking a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
