//go:build !(linux && amd64)

package main

import (
	"errors"
	"testing"
	"time"
)

// clock is what cannot be made here.
type clock struct{}

func newClock(t *testing.T) (*clock, error) {
	t.Helper()
	return nil, errors.New("no process is given a clock of its own: that is known how to do on Linux and amd64 only")
}

func (*clock) set(*testing.T, time.Duration) {}
func (*clock) env() string                   { return "" }
func wearClock() error                       { return nil }
