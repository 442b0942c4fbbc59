//go:build unix

package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// company is the readers of a crowd. It does what it is told on standard input,
// line by line, and its standard output is what TestACrowdFollowsOneNode waits for.
type company struct {
	address string
	size    int
	synced  chan struct{}
	seen    chan int // version, by each reader who has read all before
	slow    []*follower
	rouse   [2]chan struct{} // closed when dozers, when sleepers shall read on
	newest  int              // when dozers are roused
	caught  chan int         // by each dozer that has found the newest: of how many versions it was told
	last    chan int         // newest version of each sleeper
}

// kind of a reader.
type kind int

const (
	dozer   kind = iota // reads nothing for a while
	sleeper             // reads nothing
	quick
)

// TestBeTheCrowd is no test: it is the process of a crowd.
func TestBeTheCrowd(t *testing.T) {
	c := company{synced: make(chan struct{}), caught: make(chan int), last: make(chan int), rouse: [2]chan struct{}{make(chan struct{}), make(chan struct{})}}
	if _, err := fmt.Sscan(os.Getenv(crowdVariable), &c.address, &c.size); err != nil {
		t.Skip("only for TestACrowdFollowsOneNode")
	}
	c.seen = make(chan int, c.size)
	c.gather(t.Context())
	say("synced %d", c.size)
	for told := bufio.NewScanner(os.Stdin); told.Scan(); {
		verb, rest, _ := strings.Cut(told.Text(), " ")
		var version, readers int
		_, _ = fmt.Sscan(rest, &version, &readers)
		switch verb {
		case "count":
			c.count(t, version, readers)
		case "silence":
			for _, f := range c.slow {
				_ = f.SetReadDeadline(time.Unix(1, 0))
			}
			say("silent %d", len(c.slow))
		case "wake":
			c.newest = version
			close(c.rouse[dozer])
		case "caught":
			most := 0
			for range c.dozers() {
				most = max(most, <-c.caught)
			}
			say("%d readers found version %d, told of %d at most", c.dozers(), c.newest, most)
		case "last":
			close(c.rouse[sleeper])
			cut := 0
			for range len(c.slow) - c.dozers() {
				if <-c.last < version {
					cut++
				}
			}
			say("%d readers were cut off before version %d", cut, version)
		}
	}
	os.Exit(0) // the quick readers still follow
}

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

func (c *company) dozers() int { return c.size / 10 / 2 }

func (c *company) kindOf(i int) kind {
	switch {
	case i < c.dozers():
		return dozer
	case i < c.size/10:
		return sleeper
	}
	return quick
}

// gather connects the readers and waits until they are synced.
func (c *company) gather(ctx context.Context) {
	arriving := make(chan struct{}, 100) // connections at once that are not synced yet
	go func() {
		for i := range c.size {
			arriving <- struct{}{}
			f, err := c.connect(ctx, c.kindOf(i))
			if err != nil {
				say("%v", err)
				return
			}
			if f.kind != quick {
				c.slow = append(c.slow, f) // read when all are synced
			}
			go c.follow(f, arriving)
		}
	}()
	for range c.size {
		<-c.synced
	}
}

// count waits until so many readers have been told of a version.
func (c *company) count(t *testing.T, version, readers int) {
	t.Helper()
	for i := range readers {
		if got := <-c.seen; got != version {
			t.Fatalf("a reader was told version %d while others wait for %d", got, version)
		}
		if i == readers/2 {
			say("version %d: half", version)
		}
	}
	say("version %d: all %d", version, readers)
}

// follower is the connection of one reader. It stops reading when its deadline
// passes, which is how it is told to, until it is roused.
type follower struct {
	net.Conn

	kind  kind
	rouse <-chan struct{}
	slept bool
}

func (f *follower) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	<-f.rouse
	f.slept = true
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		return 0, err
	}
	return f.Conn.Read(p)
}

func (c *company) connect(ctx context.Context, kind kind) (*follower, error) {
	f := &follower{kind: kind}
	dialer := net.Dialer{}
	if kind != quick {
		dialer.Control = narrowed
		f.rouse = c.rouse[kind]
	}
	conn, err := dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	f.Conn = conn
	_, err = io.WriteString(conn, "GET /v1/stream?names=shop HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+bootstrapKey+"\r\n\r\n")
	return f, err
}

// follow is the life of one reader.
func (c *company) follow(f *follower, arriving <-chan struct{}) {
	synced := func() {
		<-arriving
		c.synced <- struct{}{}
	}
	told, caught := 0, false
	seen := func(version int) {
		switch {
		case f.slept:
			told++
			if f.kind == dozer && version >= c.newest && !caught {
				caught = true
				c.caught <- told
			}
		case version > 1:
			c.seen <- version
		}
	}
	newest := versions(bufio.NewReaderSize(f, 512), synced, seen)
	if f.kind == sleeper {
		c.last <- newest
		return
	}
	say("a reader who reads was cut off at version %d", newest)
}

// narrowed makes the buffer small that the kernel keeps for a reader.
func narrowed(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
}

// versions reads a stream to its end, tells of each version that has come whole, and
// returns the newest.
func versions(lines *bufio.Reader, synced func(), seen func(int)) (newest int) {
	begun := 0
	for {
		line, err := lines.ReadSlice('\n')
		if version, ok := versionIn(line); ok {
			begun = version
		}
		if err == nil && begun != newest {
			newest = begun
			seen(newest)
		}
		if bytes.HasPrefix(line, []byte("event: synced")) {
			synced()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return newest
		}
	}
}

// versionIn finds the version in the beginning of a line: that of "value-7-----…".
func versionIn(line []byte) (int, bool) {
	_, rest, found := bytes.Cut(line, []byte(`"value":"value-`))
	if !found {
		return 0, false
	}
	number, _, _ := bytes.Cut(rest, []byte("-"))
	version, err := strconv.Atoi(string(number))
	return version, err == nil
}
