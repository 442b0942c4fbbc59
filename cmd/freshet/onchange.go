package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// commandLimit is how long a program that is told of a change may take.
const commandLimit = time.Minute

// changeListener is who is told that a file has changed.
type changeListener struct {
	signal  string // NAME:PID or NAME:FILE
	command string // program and arguments
}

func (l changeListener) wanted() bool { return l.signal != "" || l.command != "" }

// check refuses what could never be told.
func (l changeListener) check() error {
	if words := strings.Fields(l.command); l.command != "" {
		if len(words) == 0 {
			return usagef("--on-change: name a program")
		}
		if _, err := exec.LookPath(words[0]); err != nil {
			return usagef("--on-change: %w", err)
		}
	}
	if l.signal == "" {
		return nil
	}
	name, whom, found := strings.Cut(l.signal, ":")
	if _, known := signalNamed(name); !known || !found || whom == "" {
		return usagef("--signal: expected NAME:PID or NAME:FILE, with NAME one of %s", strings.Join(signalNames(), ", "))
	}
	return nil
}

// tell tells of a change. That it fails is said, and changes nothing: the file is there.
func (l changeListener) tell(ctx context.Context, t *terminal) {
	if l.signal != "" {
		if err := l.send(); err != nil {
			t.say("freshet: --signal %s: %s", l.signal, err)
		}
	}
	if l.command != "" {
		if err := l.run(ctx, t); err != nil {
			t.say("freshet: --on-change: %s", err)
		}
	}
}

func (l changeListener) send() error {
	name, whom, _ := strings.Cut(l.signal, ":")
	signal, _ := signalNamed(name)
	if text, err := readNamed(whom); err == nil {
		whom = strings.TrimSpace(string(text))
	}
	pid, err := strconv.Atoi(whom)
	if err != nil || pid < 1 {
		return errors.New("no process is named: there is no such file, or it holds no pid")
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer func() { _ = process.Release() }()
	return process.Signal(signal)
}

func (l changeListener) run(ctx context.Context, t *terminal) error {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	words := strings.Fields(l.command)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // to run what it is told is its purpose
	cmd.Env = childEnvironment(t, nil)
	cmd.Stdout, cmd.Stderr = t.err, t.err
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s was ended after %s", cmd.Path, commandLimit)
	}
	return err
}
