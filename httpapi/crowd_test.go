//go:build unix

package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
)

// readersVariable says how many readers follow in TestACrowdFollowsOneNode, and
// silentVariable for how long the slowest tenth of them reads nothing, such as 1m
// (`make crowd`); crowdVariable makes a process of this binary the crowd of such a test.
const (
	readersVariable = "FRESHET_TEST_READERS"
	silentVariable  = "FRESHET_TEST_READERS_SILENT"
	crowdVariable   = "FRESHET_TEST_CROWD"
)

// crowdSize is how many readers there are, as far as this process may have as
// many connections.
func crowdSize(t *testing.T) int {
	t.Helper()
	size := 10000
	switch {
	case os.Getenv(readersVariable) != "":
		var err error
		if size, err = strconv.Atoi(os.Getenv(readersVariable)); err != nil {
			t.Fatal(err)
		}
	case httpapi.RaceEnabled:
		size = 500
	case testing.Short():
		size = 500
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		size = min(size, int(min(limit.Cur, 1<<20))-500)
	}
	if size < 20 {
		t.Skipf("only %d connections may be open", size)
	}
	return size
}

// The slowest tenth of a crowd reads nothing for a time, in which versions keep
// coming. Half of them read on before the limit of a write is over, and find the
// newest version; the others read nothing to the end, and are cut off. Nobody else
// notices any of it.
//
// The limit is that of a node, unless a busy machine keeps readers waiting: shorter
// where there are few. For a silence that was asked for there is a run with a limit
// so long, too, that the whole tenth stays for all of it.
func TestACrowdFollowsOneNode(t *testing.T) {
	size := crowdSize(t)
	limit := 3*time.Second + time.Duration(size)*700*time.Microsecond
	if size >= 10000 {
		limit = httpapi.DefaultStreamWrite
	}
	text := os.Getenv(silentVariable)
	if text == "" {
		gathering{size: size, limit: limit}.run(t)
		return
	}
	silence, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("limit="+limit.String(), gathering{size: size, limit: limit, silence: silence}.run)
	t.Run("limit="+(2*silence).String(), gathering{size: size, limit: 2 * silence, silence: silence}.run)
}

// gathering is one run with a crowd.
type gathering struct {
	size    int
	silence time.Duration // of the slowest tenth at least; it is never shorter than three versions
	limit   time.Duration // of a write to a reader
}

const (
	versionEvery  = 2 * time.Second // where a silence was asked for
	versionWithin = 20 * time.Second
)

func (g gathering) slow() int   { return g.size / 10 }
func (g gathering) dozers() int { return g.slow() / 2 }

// awake is the last version that everybody reads.
func (g gathering) awake() int64 {
	if g.silence > 0 {
		return 16
	}
	return 4
}

// run has the readers in a process of their own, since both ends of all connections
// would be too many for one. The kernel's buffers for them are smaller than a version.
func (g gathering) run(t *testing.T) {
	p := &bulky{platform{dead: map[string]bool{}}}
	address, node, cuts := crowdNode(t, p, g)
	before := memoryInUse()
	crowd := startCrowd(t, address, g.size)
	crowd.expect(fmt.Sprintf("synced %d", g.size))
	clock := time.NewTicker(versionEvery)
	defer clock.Stop()
	next := func() {
		if g.silence > 0 {
			<-clock.C
		}
	}
	var awake, silent pace
	version := int64(2)
	for ; version <= g.awake(); version++ {
		awake.add(crowd.version(node, version, g.size, nil))
		next()
	}
	atRest := memoryInUse()

	crowd.say("silence")
	crowd.expect(fmt.Sprintf("silent %d", g.slow()))
	began := time.Now()
	var held int64
	for woken := false; !woken || time.Since(began) < g.silence; version++ {
		wakes := !woken && g.wakes(version, time.Since(began))
		silent.add(crowd.version(node, version, g.size-g.slow(), func() {
			if wakes {
				crowd.say(fmt.Sprintf("wake %d", version))
			}
		}))
		if version == g.awake()+2 {
			held = memoryInUse() - atRest
		}
		if wakes {
			woken = true
			t.Logf("%d readers read on after %s", g.dozers(), time.Since(began).Round(time.Millisecond))
			crowd.say("caught")
			crowd.expect(fmt.Sprintf("%d readers found version %d, told of 2 at most", g.dozers(), version))
		}
		next()
	}
	cuts.expect(t, g.slow()-g.dozers(), began, g.limit)
	crowd.say(fmt.Sprintf("last %d", version-1))
	crowd.expect(fmt.Sprintf("%d readers were cut off before version %d", g.slow()-g.dozers(), version-1))
	cuts.expect(t, 0, began, 0)

	t.Logf("while all of %d read: %s", g.size, awake)
	t.Logf("while %d of %d read nothing: %s", g.slow(), g.size, silent)
	perReader := (atRest - before) / int64(g.size)
	t.Logf("%d bytes of memory for each reader, %d for one that reads nothing", perReader, perReader+held/int64(g.slow()))
}

// wakes reports whether those who read nothing for a while read on as a version
// comes: the third that they miss, or the second where versions take so long that
// they would be cut off with the third.
func (g gathering) wakes(version int64, silent time.Duration) bool {
	switch missed := version - g.awake(); missed {
	case 1:
		return false
	case 2:
		return silent >= g.limit/3
	}
	return silent >= min(g.silence, g.limit/2)
}

// pace is how long versions took to reach half of the readers who read, and all.
type pace struct{ half, all []time.Duration }

func (p *pace) add(half, all time.Duration) {
	p.half, p.all = append(p.half, half), append(p.all, all)
}

// String tells the longest and the median of the times.
func (p pace) String() string {
	told := func(times []time.Duration) string {
		sorted := slices.Sorted(slices.Values(times))
		return fmt.Sprintf("%s (median %s)", sorted[len(sorted)-1].Round(time.Millisecond), sorted[len(sorted)/2].Round(time.Millisecond))
	}
	return fmt.Sprintf("%d versions, each with half of the readers within %s and with all within %s", len(p.all), told(p.half), told(p.all))
}

// version publishes a version and waits until so many have read it; published, if
// not nil, is called in between.
func (c *crowd) version(node *coordinator.Node, version int64, readers int, published func()) (half, all time.Duration) {
	c.test.Helper()
	began := time.Now()
	v, err := node.Refresh(c.test.Context(), access("shop"), coordinator.RefreshCall{Above: version - 1, Wait: time.Minute})
	if err != nil || v.Version() != version {
		c.test.Fatalf("version %d: %v", version, err)
	}
	if published != nil {
		published()
	}
	c.say(fmt.Sprintf("count %d %d", version, readers))
	c.expect(fmt.Sprintf("version %d: half", version))
	half = time.Since(began)
	c.expect(fmt.Sprintf("version %d: all %d", version, readers))
	all = time.Since(began)
	if all > versionWithin {
		c.test.Errorf("version %d was with all readers only after %s", version, all)
	}
	return half, all
}

// memoryInUse is what the heap and the stacks hold, after collections: what pools and
// finalizers keep goes with the second and the third.
func memoryInUse() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// crowd is the process with the readers; it is spoken to in lines.
type crowd struct {
	test  *testing.T
	in    io.Writer
	lines chan string
}

func startCrowd(t *testing.T, address string, size int) *crowd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBeTheCrowd$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", crowdVariable, address, size))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &crowd{test: t, in: in, lines: make(chan string, 16)}
	go func() {
		defer close(c.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			c.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = in.Close() // the crowd goes home
		_ = cmd.Wait()
	})
	return c
}

func (c *crowd) say(text string) { _, _ = fmt.Fprintln(c.in, text) }

// expect waits for a line.
func (c *crowd) expect(want string) {
	c.test.Helper()
	select {
	case got, ok := <-c.lines:
		if !ok || got != want {
			c.test.Fatalf("the crowd says %q, want %q", got, want)
		}
	case <-time.After(2 * time.Minute):
		c.test.Fatalf("the crowd does not say %q", want)
	}
}
