package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestEveryVerbHasAPageWithPurposeParagraphAndExamples(t *testing.T) {
	verbs := 0
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, verb := range cmd.Commands() {
			visit(verb)
		}
		if cmd.IsAdditionalHelpTopicCommand() || cmd.Name() == "help" || strings.HasPrefix(cmd.CommandPath(), "freshet completion") {
			return
		}
		verbs++
		for part, text := range map[string]string{"purpose": cmd.Short, "paragraph": cmd.Long, "examples": cmd.Example} {
			if text == "" {
				t.Errorf("%s has no %s", cmd.CommandPath(), part)
			}
		}
		if strings.Contains(cmd.Short, "\n") || !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: its purpose is no single line, or its examples do not show it", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long) {
			if len(strings.TrimSpace(line)) > 80 {
				t.Errorf("%s: a line of %d letters: %s", cmd.CommandPath(), len(line), line)
			}
		}
	}
	visit(newRoot(&terminal{}))
	if verbs < 20 {
		t.Errorf("only %d verbs were looked at", verbs)
	}
}

func TestAMistypedNameIsGuessed(t *testing.T) {
	known := []string{"session_ttl", "endpoints", "prefix"}
	for name, want := range map[string]string{
		"session_tll": "session_ttl", "endpoint": "endpoints", "prefixx": "prefix", "colour": "", "x": "", "": "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDurationsArePrintedForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "1s", time.Minute: "1m", 90 * time.Second: "1m30s",
		2 * time.Hour: "2h0m", 119*time.Minute + 59*time.Second: "1h59m", 49 * time.Hour: "49h", -time.Minute: "-1m",
	} {
		if got := roughly(d); got != want {
			t.Errorf("roughly(%v) = %q, want %q", d, got, want)
		}
	}
}
