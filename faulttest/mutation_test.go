//go:build mutation

package faulttest

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutation takes one guard out of the protocol. The code in the tree does not
// change: the compiler is handed the changed files beside it.
type mutation struct {
	guard string // that is taken out
	first bool   // one of the few that every gate proves
	edits []edit
	pkg   string   // of the tests
	tests []string // each of which must notice, at the top or below, as -run names them
}

// edit is one change of one file. What it replaces stands there exactly once.
type edit struct{ file, old, new string }

// hung is how long the tests of one mutation may take; some mutations make a
// loop that nothing ends.
const hung = "90s"

// TestEveryMutationTurnsTheSuiteRed takes out one guard after the other and
// runs the tests that must notice. With -short it proves the first few.
func TestEveryMutationTurnsTheSuiteRed(t *testing.T) {
	named := map[string][]string{} // :: package → tests
	for _, m := range mutations() {
		if m.first || !testing.Short() {
			named[m.pkg] = append(named[m.pkg], m.tests...)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(named)) {
		if out, err := goTest(t, pkg, named[pkg]); err != nil {
			t.Fatalf("the tests of %s fail without a mutation: %v\n%s", pkg, err, out)
		}
	}
	for _, m := range mutations() {
		if m.first || !testing.Short() {
			t.Run(m.guard, func(t *testing.T) {
				t.Parallel()
				m.prove(t)
			})
		}
	}
}

// prove runs the tests with the guard taken out.
func (m mutation) prove(t *testing.T) {
	t.Helper()
	began := time.Now()
	out, err := goTest(t, m.pkg, m.tests, "-overlay="+m.overlay(t))
	exit, ran := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		t.Errorf("survived: every one of %v passes", m.tests)
		return
	case !ran || strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		t.Fatalf("the mutation cannot be tried: %v\n%s", err, out)
	}
	for _, test := range m.tests {
		if !strings.Contains(out, "--- FAIL: "+test+" ") {
			t.Errorf("survived %s (%s):\n%s", test, exit, out)
		}
	}
	t.Logf("noticed after %s", time.Since(began).Round(100*time.Millisecond))
}

// overlay writes the changed files beside the tree, and the file that tells the
// compiler to take them instead.
func (m mutation) overlay(t *testing.T) string {
	t.Helper()
	dir, replaced := t.TempDir(), map[string]string{}
	for _, e := range m.edits {
		file, err := filepath.Abs(filepath.Join("..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		from := file
		if changed, again := replaced[file]; again {
			from = changed
		}
		code, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(code), e.old); n != 1 {
			t.Fatalf("%s holds what is to be replaced %d times, want once: did the guard move?\n%s", e.file, n, e.old)
		}
		replaced[file] = filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		write(t, replaced[file], strings.Replace(string(code), e.old, e.new, 1))
	}
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	write(t, overlay, string(list))
	return overlay
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// goTest runs some tests of a package and returns what they printed.
func goTest(t *testing.T, pkg string, tests []string, flags ...string) (string, error) {
	t.Helper()
	args := append([]string{"test", "-v", "-count=1", "-vet=off", "-timeout=" + hung, "-run=" + patternOf(tests)}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./"+pkg)...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// patternOf matches exactly these tests.
func patternOf(tests []string) string {
	var all []string
	for _, test := range tests {
		all = append(all, "^"+strings.ReplaceAll(test, "/", "$/^")+"$")
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "|")
}
