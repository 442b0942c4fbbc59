package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/term"
)

// terminal is what a verb sees of the outside: where it reads and writes, and
// the variables of its environment.
type terminal struct {
	in        io.Reader
	out       io.Writer // results: what a program would read
	err       io.Writer // what people read beside them
	env       func(name string) (string, bool)
	variables []string // names of the variables of the environment
	color     bool     // whether out shows colours

	unwritten atomic.Pointer[error] // why some of the result could not be written first; nil: all was
}

// processTerminal is the terminal of this process.
func processTerminal() *terminal {
	t := &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		t.variables = append(t.variables, name)
	}
	noColor, _ := os.LookupEnv("NO_COLOR")
	t.color = noColor == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd()))
	return t
}

// say writes one line for people.
func (t *terminal) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.err, format+"\n", args...) // nobody is left to tell
}

// print writes one line of the result. Whether that could be done is asked once,
// at the end.
func (t *terminal) print(format string, args ...any) {
	if _, err := fmt.Fprintf(t.out, format+"\n", args...); err != nil {
		t.unwritten.CompareAndSwap(nil, &err)
	}
}

// written returns an error if some of the result could not be written: whoever
// reads it must not take what there is for all.
func (t *terminal) written() error {
	if err := t.unwritten.Load(); err != nil {
		return &codedError{code: exitFailure, err: fmt.Errorf("the result could not be written: %s", fileProblem(*err))}
	}
	return nil
}

// Colours of words that say how something is.
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	reset  = "\x1b[0m"
)

// paint colours a text where the terminal shows colours.
func (t *terminal) paint(color, text string) string {
	if !t.color || color == "" {
		return text
	}
	return color + text + reset
}
