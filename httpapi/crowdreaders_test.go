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
	"syscall"
	"testing"
)

// company is the readers of a crowd. It talks on standard output: the only
// lines there are what TestACrowdFollowsOneNode waits for.
type company struct {
	address string
	quick   int
	slow    int
	awake   chan struct{} // closed when the slow ones shall read on
	synced  chan struct{}
	seen    chan int // version, by each quick reader
	last    chan int // newest version of each slow reader
}

// TestBeTheCrowd is no test: it is the process of a crowd.
func TestBeTheCrowd(t *testing.T) {
	c := company{awake: make(chan struct{}), synced: make(chan struct{}), seen: make(chan int), last: make(chan int)}
	var size int
	if _, err := fmt.Sscan(os.Getenv(crowdVariable), &c.address, &size); err != nil {
		t.Skip("only for TestACrowdFollowsOneNode")
	}
	c.slow = size / 10
	c.quick = size - c.slow
	told := bufio.NewScanner(os.Stdin)
	arriving := make(chan struct{}, 100) // connections at once that are not synced yet
	go func() {
		for i := range size {
			arriving <- struct{}{}
			go c.follow(t.Context(), i < c.slow, arriving)
		}
	}()
	for range size {
		<-c.synced
	}
	say("synced %d", size)
	for version := 2; version <= 5; version++ {
		for range c.quick {
			if got := <-c.seen; got != version {
				t.Fatalf("a reader was told version %d while others wait for %d", got, version)
			}
		}
		say("version %d: %d", version, c.quick)
	}
	told.Scan()
	close(c.awake)
	cut := 0
	for range c.slow {
		if <-c.last < 5 {
			cut++
		}
	}
	say("cut off before version 5: %d", cut)
	told.Scan()
	os.Exit(0) // the quick readers still follow
}

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

// follow is the life of one reader.
func (c *company) follow(ctx context.Context, slow bool, arriving <-chan struct{}) {
	dialer := net.Dialer{}
	if slow {
		dialer.Control = narrowed
	}
	conn, err := dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		say("%v", err)
		return
	}
	_, _ = io.WriteString(conn, "GET /v1/stream?names=shop HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+bootstrapKey+"\r\n\r\n")
	lines := bufio.NewReaderSize(conn, 512)
	synced := func() {
		<-arriving
		c.synced <- struct{}{}
		if slow {
			<-c.awake
		}
	}
	seen := func(version int) {
		if !slow && version > 1 {
			c.seen <- version
		}
	}
	if newest := versions(lines, synced, seen); slow {
		c.last <- newest
	}
}

// narrowed makes the buffer small that the kernel keeps for a reader.
func narrowed(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
}

// versions reads a stream to its end and returns the newest version that came whole.
func versions(lines *bufio.Reader, synced func(), seen func(int)) (newest int) {
	begun := 0
	for {
		line, err := lines.ReadSlice('\n')
		if version, ok := versionIn(line); ok {
			begun = version
			seen(version)
		}
		if err == nil {
			newest = begun
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
