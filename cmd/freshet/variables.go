package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// ourPrefix begins the names of our variables.
const ourPrefix = "FRESHET_"

// sources says where a verb's configuration comes from. The function it returns
// tells, once everything was read, of the variables that look like ours and that
// nobody asked for: a mistyped setting would otherwise be ignored in silence.
func (t *terminal) sources(flags *pflag.FlagSet) (sources, func() []string) {
	asked := map[string]bool{}
	env := func(name string) (string, bool) {
		asked[name] = true
		return t.env(name)
	}
	return sourcesOf(flags, env), func() []string { return unknownVariables(t.variables, asked) }
}

// unknownVariables says in one sentence each which names are no variables of
// ours; asked are names that the configuration itself refers to.
func unknownVariables(names []string, asked map[string]bool) []string {
	known := []string{"FRESHET_ADDR", "FRESHET_KEY", "FRESHET_KEY_FILE", "FRESHET_CA", "FRESHET_CONFIG"}
	for _, s := range settings() {
		known = append(known, s.variable())
	}
	endings := make([]string, 0, len(known))
	for _, name := range known {
		endings = append(endings, strings.TrimPrefix(name, ourPrefix))
	}
	var notes []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		if !strings.HasPrefix(name, ourPrefix) || asked[name] || slices.Contains(known, name) || ofAnOrchestrator(name) {
			continue
		}
		note := fmt.Sprintf("the variable %s is not known and is ignored", name)
		if near := nearest(strings.TrimPrefix(name, ourPrefix), endings); near != "" {
			note += fmt.Sprintf("; did you mean %s?", ourPrefix+near)
		}
		notes = append(notes, note)
	}
	return notes
}

// ofAnOrchestrator reports names that Kubernetes makes of a service "freshet".
func ofAnOrchestrator(name string) bool {
	rest := strings.TrimPrefix(name, ourPrefix)
	return rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

func (t *terminal) sayAll(notes []string) {
	for _, note := range notes {
		t.say("note: %s", note)
	}
}
