//go:build unix

package main

import "syscall"

// become replaces this program by a command, which so has our process id, our
// terminal and every signal that is sent to us.
func become(path string, args, environment []string) error {
	return notStarted(syscall.Exec(path, args, environment)) //nolint:gosec // to run what it is told is its purpose
}
