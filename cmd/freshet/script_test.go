package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts tells stories of the program as a person meets it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"loadenv":  loadEnv,
			"reaches":  reaches,
			"freeport": freePort,
			"awaits":   awaits,
			"envsubst": envSubst,
		},
	})
}

// exits CODE COMMAND… runs a command that must end with this code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// loadenv FILE waits for a file of variables and sets them.
func loadEnv(ts *testscript.TestScript, _ bool, args []string) {
	var text []byte
	await(ts, args[0], func() bool {
		var err error
		text, err = os.ReadFile(ts.MkAbs(args[0]))
		return err == nil
	})
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		ts.Setenv(name, value)
	}
}

// reaches URL waits until something answers there.
func reaches(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, args[0], func() bool {
		response, err := http.Get(args[0]) //nolint:noctx // a script has no context
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	})
}

// handedOut are the ports that tests were given, each once.
var handedOut sync.Map //nolint:gochecknoglobals // tests run at the same time, in one process

// freeport NAME sets a variable to an address on this machine that is free. The
// system hands out ports above 32767 by itself, also one just found free.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(5000))
		if _, given := handedOut.LoadOrStore(address, true); given {
			continue
		}
		listener, err := net.Listen("tcp", address) //nolint:noctx // a script has no context
		if err != nil {
			continue
		}
		ts.Setenv(args[0], address)
		ts.Check(listener.Close())
		return
	}
	ts.Fatalf("no free port found")
}

// envsubst FILE puts the values of variables into a file.
func envSubst(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func await(ts *testscript.TestScript, what string, there func() bool) {
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !there() {
		select {
		case <-ticker.C:
		case <-deadline:
			ts.Fatalf("waited a minute for %s", what)
		}
	}
}

// awaits FILE PATTERN waits until a file holds something.
func awaits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: awaits FILE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	await(ts, args[1]+" in "+args[0], func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && pattern.Match(text)
	})
}
