package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// reexec is the variable that makes this test binary another program. Tests
// start it so, with the race detector in it where they have one.
const reexec = "TEST_REEXEC_AS"

// waiting is how many tests that mostly wait run at once, however few cores there are.
const waiting = "6"

// atExit makes processes with the race detector in them end when they end. They
// would sleep for a second first, in case a goroutine that has outlived main races:
// a second for each command of a script. Nodes wait for theirs themselves.
const atExit = "atexit_sleep_ms=0"

// TestMain runs the tests, with "freshet" as a command of the scripts, unless this process was started as freshet or as a
// member of an etcd cluster.
func TestMain(m *testing.M) {
	switch program := os.Getenv(reexec); program {
	case "":
		_ = flag.Set("test.parallel", waiting) // the command line has the last word
		_ = os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" "+atExit))
		testscript.Main(m, map[string]func(){"freshet": main})
	case "freshet":
		if err := wearClock(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitUsage)
		}
		main()
	case "etcd":
		os.Exit(etcdMain(os.Args[1:]))
	default:
		fmt.Fprintf(os.Stderr, "%s=%s names no program\n", reexec, program)
		os.Exit(exitUsage)
	}
}
