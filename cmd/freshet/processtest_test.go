//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs beside the test, in a process group of its
// own. It is killed at the end of the test, and its last words are shown if
// the test has failed.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string // file of its output
	ended chan struct{}
	gone  bool // it was looked at and need not be again
}

// startProcess starts a program; program is a path, or "freshet" or "etcd" for
// this binary in that role.
func startProcess(t *testing.T, name, program string, env []string, args ...string) *process {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }() // the child has its own
	env = append(inherited(), env...)
	if !strings.Contains(program, "/") {
		env = append(env, reexec+"="+program)
		program = os.Args[0]
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = env, out, out, ownGroup()
	cmd.Dir = filepath.Dir(out.Name())
	p := &process{name: name, cmd: cmd, log: out.Name(), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_ = cmd.Wait() // ProcessState tells
		close(p.ended)
	})
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		waiting.Wait()
		p.lastWords(t)
	})
	return p
}

// inherited is our environment without what would change a node or an etcd.
func inherited() []string {
	var env []string
	for _, variable := range os.Environ() {
		ours := strings.HasPrefix(variable, "FRESHET_") || strings.HasPrefix(variable, "OTEL_") || strings.HasPrefix(variable, "ETCD_")
		if !ours {
			env = append(env, variable)
		}
	}
	return env
}

// signal sends a signal to the process and whatever it started, if it lives.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may just have ended
	}
}

// kill ends the process at once and waits until it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// exits waits for the process to end by itself and returns its exit code.
func (p *process) exits(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s", p.name, within)
		return 0
	}
}

// output is all it has said so far.
func (p *process) output() string {
	text, _ := os.ReadFile(p.log) // it is there as long as the test lives
	return string(text)
}

// canary is part of every value and secret of the process tests: no output may show it.
const canary = "canary-"

// lastWords shows the end of the output if the test has failed, and fails the
// test for what no program may ever print.
func (p *process) lastWords(t *testing.T) {
	t.Helper()
	if p.gone {
		return
	}
	text := p.search(t)
	if !t.Failed() {
		return
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	t.Logf("the last words of %s (%s):\n%s", p.name, p.cmd.ProcessState, strings.Join(lines[max(0, len(lines)-40):], "\n"))
}

// search fails the test for what no program may ever print, and returns the output.
func (p *process) search(t *testing.T) string {
	t.Helper()
	text := p.output()
	for _, never := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", canary} {
		if at := strings.Index(text, never); at >= 0 {
			t.Errorf("%s printed %q: %.4000s", p.name, never, text[at:])
		}
	}
	return text
}

// retire searches the output of a process that has ended, and forgets it: a long
// test starts many.
func (p *process) retire(t *testing.T) {
	t.Helper()
	<-p.ended
	p.search(t)
	_ = os.Remove(p.log)
	p.gone = true
}

// eventually asks again and again until ask returns nil, and returns how long
// that took. The last error says what was missing.
func eventually(t *testing.T, within time.Duration, ask func() error) time.Duration {
	t.Helper()
	began := time.Now()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		took := time.Since(began)
		if err == nil {
			return took
		}
		if took > within {
			t.Fatalf("not within %s: %v", within, err)
		}
		<-ticker.C
	}
}

var errNoPort = errors.New("no free port was found")

// freeAddress returns a port that nobody listens on, outside of the range from
// which the kernel takes ports for others. No test is given that of another: who
// has just been killed comes back to its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if _, given := handedOut.LoadOrStore(address, true); given {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal(errNoPort)
	return ""
}

func TestNoTwoTestsAreGivenOneAddress(t *testing.T) {
	given := map[string]bool{}
	for range 500 {
		address := freeAddress(t)
		if given[address] {
			t.Fatalf("%s was given twice, although whoever has it may be away for a moment", address)
		}
		given[address] = true
	}
}
