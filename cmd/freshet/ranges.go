package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"freshet/httpapi"
)

// lengthFlag is a flag that is a length of time, not below zero.
type lengthFlag struct {
	to     *time.Duration
	waited bool // by a node, which waits for so long at most
}

// addLength adds a flag that is a length of time; what the variable holds is the default.
func addLength(flags *pflag.FlagSet, to *time.Duration, name, usage string) {
	flags.Var(lengthFlag{to: to}, name, usage)
}

// addWait adds the flag --wait. A longer one than nodes grant is refused: they
// would cut it without a word, and the caller would take the answer of a minute
// for that of an hour.
func addWait(flags *pflag.FlagSet, to *time.Duration, usage string) {
	flags.Var(lengthFlag{to: to, waited: true}, "wait", usage)
}

// Set takes a length of time within the bounds.
func (l lengthFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("use a duration such as 30s or 5m")
	case d < 0:
		return errors.New("it is below zero: use a duration such as 30s or 5m")
	case l.waited && d > httpapi.DefaultMaxWait:
		return fmt.Errorf("a node waits for %.0fs at most: say that or less, and call again to go on waiting", httpapi.DefaultMaxWait.Seconds())
	}
	*l.to = d
	return nil
}

// String returns the length; empty for none, which usage texts do not show.
func (l lengthFlag) String() string {
	if l.to == nil || *l.to == 0 {
		return ""
	}
	return l.to.String()
}

// Type names the flag's value in usage texts.
func (l lengthFlag) Type() string { return "duration" }

// versionFlag is a flag that is a version of a token, or 0 for none.
type versionFlag struct{ to *int64 }

// addVersion adds a flag that is a version.
func addVersion(flags *pflag.FlagSet, to *int64, name, usage string) {
	flags.Var(versionFlag{to}, name, usage)
}

// Set takes a version.
func (v versionFlag) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return errors.New("use a version such as 7")
	}
	*v.to = n
	return nil
}

// String returns the version.
func (v versionFlag) String() string {
	if v.to == nil {
		return "0"
	}
	return strconv.FormatInt(*v.to, 10)
}

// Type names the flag's value in usage texts.
func (v versionFlag) Type() string { return "int" }
