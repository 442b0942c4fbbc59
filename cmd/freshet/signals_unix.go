//go:build unix

package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
)

func namedSignals() map[string]os.Signal {
	return map[string]os.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
		"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH,
	}
}

// signalNamed returns a signal by its name, with or without SIG before it.
func signalNamed(name string) (os.Signal, bool) {
	signal, known := namedSignals()[strings.TrimPrefix(strings.ToUpper(name), "SIG")]
	return signal, known
}

func signalNames() []string { return slices.Sorted(maps.Keys(namedSignals())) }
