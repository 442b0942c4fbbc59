//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
)

// become runs a command and ends as it ends. What interrupts us interrupts the
// command as well, since both have the same terminal.
func become(path string, args, environment []string) error {
	cmd := exec.Command(path, args[1:]...) //nolint:gosec,noctx // to run what it is told is its purpose, to its end
	cmd.Env = environment
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return &codedError{code: ended.ExitCode(), err: err, told: true}
	}
	if err != nil {
		return notStarted(err)
	}
	return nil
}
