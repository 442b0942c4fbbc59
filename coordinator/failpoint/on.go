//go:build failpoint && unix

package failpoint

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// order is what shall happen at a point.
type order struct {
	do    func()
	after atomic.Int64 // hits that are still to pass
}

var orders = sync.OnceValue(func() map[Point]*order { //nolint:gochecknoglobals // of the process, like the variable
	found, err := parse(os.Getenv("FRESHET_FAILPOINT"))
	if err != nil {
		panic(err) // a test that orders what is not there must not go on
	}
	return found
})

// Hit says that a point is reached.
func Hit(p Point) {
	if o := orders()[p]; o != nil && o.after.Add(-1) == 0 {
		o.do()
	}
}

func parse(text string) (map[Point]*order, error) {
	found := map[Point]*order{}
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		fields := append(strings.Split(entry, ":"), "1")
		if len(fields) < 3 {
			return nil, fmt.Errorf("failpoint %q: want point:action[:nth]", entry)
		}
		do, err := action(fields[1])
		if err != nil {
			return nil, fmt.Errorf("failpoint %q: %w", entry, err)
		}
		nth, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("failpoint %q: %w", entry, err)
		}
		o := &order{do: do}
		o.after.Store(nth)
		found[Point(fields[0])] = o
	}
	return found, nil
}

func action(name string) (func(), error) {
	if text, ok := strings.CutPrefix(name, "pause="); ok {
		d, err := time.ParseDuration(text)
		return func() { <-time.After(d) }, err
	}
	switch name {
	case "kill":
		return func() {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it is delivered
		}, nil
	case "stop":
		return stop, nil
	}
	return nil, fmt.Errorf("no action %q: want kill, stop or pause=DURATION", name)
}

// stop stops this process, and returns when it goes on: the signal takes effect
// a little later than it is sent.
func stop() {
	goesOn := make(chan os.Signal, 1)
	signal.Notify(goesOn, syscall.SIGCONT)
	defer signal.Stop(goesOn)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-goesOn
}
