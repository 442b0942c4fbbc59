//go:build unix

package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/store/memory"
)

// readersVariable says how many readers follow in TestACrowdFollowsOneNode;
// crowdVariable makes a process of this binary the crowd of such a test.
const (
	readersVariable = "FRESHET_TEST_READERS"
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
	if size < 10 {
		t.Skipf("only %d connections may be open", size)
	}
	return size
}

// Readers are in a process of their own, since both ends of all connections
// would be too many for one. The last tenth of them reads nothing once it is
// synced, and its kernel buffers are small.
func TestACrowdFollowsOneNode(t *testing.T) {
	size := crowdSize(t)
	p := &bulky{platform{dead: map[string]bool{}}}
	address, node, closed := crowdNode(t, p, size)
	before := memoryInUse()
	crowd := startCrowd(t, address, size)
	crowd.expect(fmt.Sprintf("synced %d", size))
	perReader := (memoryInUse() - before) / int64(size)

	for version := int64(2); version <= 5; version++ {
		began := time.Now()
		v, err := node.Refresh(t.Context(), access("shop"), coordinator.RefreshCall{Above: version - 1, Wait: time.Minute})
		if err != nil || v.Version() != version {
			t.Fatalf("version %d: %v", version, err)
		}
		crowd.expect(fmt.Sprintf("version %d: %d", version, size-size/10))
		t.Logf("version %d was with %d readers after %s", version, size-size/10, time.Since(began).Round(time.Millisecond))
	}
	for cut := range size / 10 {
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Fatalf("%d readers that read nothing were cut off, want %d", cut, size/10)
		}
	}
	crowd.say("slow ones read now")
	crowd.expect(fmt.Sprintf("cut off before version 5: %d", size/10))
	t.Logf("%d readers, %d bytes of memory for each", size, perReader)
}

// bulky is a platform whose values are long, so that kernel buffers fill up.
type bulky struct{ platform }

func (p *bulky) Fetch(ctx context.Context, call coordinator.Call) (coordinator.Yield, error) {
	yield, err := p.platform.Fetch(ctx, call)
	for name, value := range yield.Values {
		value.Value = coordinator.NewSecret(value.Value.Reveal() + strings.Repeat("-", 16<<10))
		yield.Values[name] = value
	}
	return yield, err
}

// crowdNode is a node on a socket that soon cuts off whom it waits for, though
// not those whom a busy machine keeps waiting; it tells of each connection that is
// closed.
func crowdNode(t *testing.T, p coordinator.Provider, size int) (address string, _ *coordinator.Node, closed <-chan struct{}) {
	t.Helper()
	node, err := coordinator.New(coordinator.Config{
		Name: "n1", Store: memory.New(memory.Config{}).Store(), Render: httpapi.Render,
		Providers: map[string]coordinator.Provider{"platform": p}, BootstrapKey: coordinator.NewSecret(bootstrapKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	api, err := httpapi.New(httpapi.Config{Node: node, ClientStreams: size, Streams: size, StreamWrite: 3*time.Second + time.Duration(size)*500*time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.Server("", api.Handler(), 0, nil)
	ended := make(chan struct{}, size)
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			ended <- struct{}{}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ran, served := make(chan error, 1), make(chan struct{})
	go func() { ran <- node.Run(ctx) }()
	go func() { defer close(served); _ = server.Serve(narrow{listener}) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	applyShop(t, node)
	return listener.Addr().String(), node, ended
}

func applyShop(t *testing.T, node *coordinator.Node) {
	t.Helper()
	app := coordinator.App{
		Name: "shop", Provider: "platform", Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret(appSecret)},
		Tokens: map[string]coordinator.TokenSettings{coordinator.DefaultToken: {}},
	}
	for !node.Health().Synced {
		<-node.Moved()
	}
	if _, err := node.Apply(t.Context(), app, coordinator.Applying{}); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Read(t.Context(), access("shop"), coordinator.Want{Wait: time.Minute}); err != nil {
		t.Fatal(err)
	}
}

// narrow is a listener whose connections have small kernel buffers.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// memoryInUse is what the heap and the stacks hold, after a collection.
func memoryInUse() int64 {
	runtime.GC()
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
