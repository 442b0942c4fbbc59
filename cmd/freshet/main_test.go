package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// reexec is the variable that makes this test binary another program. Tests
// start it so, with the race detector in it where they have one.
const reexec = "TEST_REEXEC_AS"

// TestMain runs the tests, with "freshet" as a command of the scripts, unless this process was started as freshet or as a
// member of an etcd cluster.
func TestMain(m *testing.M) {
	switch program := os.Getenv(reexec); program {
	case "":
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
