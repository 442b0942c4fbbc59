package main

import (
	"context"
	"errors"
	"fmt"

	"freshet/coordinator"
)

// Exit codes; see `freshet help exit-codes`.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitRefused     = 3
	exitNoToken     = 4
	exitUnreachable = 5
	exitNameTaken   = 6
	exitNotStarted  = 126
	exitNoCommand   = 127
	exitInterrupted = 130
)

const exitCodesHelp = `Exit codes:

  0  it worked
  1  it failed for a reason that none of the others names; of "freshet import":
     lines were refused
  2  usage or configuration: the command line, a file or a variable is wrong
  3  refused: the client key is missing, unknown or may not do this, or there
     is no app, token or client of that name; or the seal key that was to be
     dropped still seals something (seal drop)
  4  the token has no value that could be given now: none yet, none valid, none
     newer, its grant is gone, or its budget is spent
  5  unreachable: nobody answers at the address, or it is not freshet
  6  another live node has the name of this one (serve)
130  interrupted before it was done; a verb that goes on for ever (serve, dev,
     sandbox, watch, get --follow) ends with 0 instead

"freshet run" becomes the command it is given, whose exit code is its own:

126  the command cannot be started
127  there is no such command

A second signal ends freshet at once.`

// codedError is an error that decides the exit code.
type codedError struct {
	code int
	err  error
	told bool // the person has read it already
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// usagef is a mistake in how we were called.
func usagef(format string, args ...any) error {
	return &codedError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// exitCode maps an error to the code of the process.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	if _, ok := errors.AsType[*configError](err); ok {
		return exitUsage
	}
	switch {
	case errors.Is(err, coordinator.ErrNameTaken):
		return exitNameTaken
	case errors.Is(err, coordinator.ErrInvalid):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailure
}
