package coordinator

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	mostLabels     = 32
	maxLabelName   = 64  // bytes
	maxLabelValue  = 256 // bytes
	labelSeparator = "," // between the labels that a list of apps is filtered by
)

// checkLabels says in one sentence what is wrong with the labels of an app. They
// are printed in tables, and a list of apps is filtered by them as "team=retail,env".
func checkLabels(labels map[string]string) error {
	if len(labels) > mostLabels {
		return Invalidf("%d labels are given: give at most %d", len(labels), mostLabels)
	}
	for name, value := range labels {
		switch {
		case name == "" || len(name) > maxLabelName || strings.ContainsAny(name, labelSeparator+"=") || !printable(name):
			return Invalidf("label %.80q: use a name of at most %d printable characters, without ',' and '='", name, maxLabelName)
		case len(value) > maxLabelValue || strings.Contains(value, labelSeparator) || !printable(value):
			return Invalidf("label %q: use a value of at most %d printable characters, without ','", name, maxLabelValue)
		}
	}
	return nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
