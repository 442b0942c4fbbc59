//go:build unix

package httpapi_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/store/memory"
)

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

// crowdNode is a node on a socket, and tells whom it cuts off.
func crowdNode(t *testing.T, p coordinator.Provider, g gathering) (address string, _ *coordinator.Node, _ *cuts) {
	t.Helper()
	node, err := coordinator.New(coordinator.Config{
		Name: "n1", Store: memory.New(memory.Config{}).Store(), Render: httpapi.Render,
		Providers: map[string]coordinator.Provider{"platform": p}, BootstrapKey: coordinator.NewSecret(bootstrapKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	cuts := &cuts{Handler: slog.DiscardHandler, closed: make(chan time.Time, g.size)}
	api, err := httpapi.New(httpapi.Config{Node: node, Logger: slog.New(cuts), ClientStreams: g.size, Streams: g.size, StreamWrite: g.limit})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.Server("", api.Handler(), 0, nil)
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state { //nolint:exhaustive // the others are of no interest
		case http.StateNew:
			cuts.open.Add(1)
		case http.StateClosed:
			cuts.closed <- time.Now()
			cuts.open.Done()
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ran, served := make(chan error, 1), make(chan struct{})
	go func() { ran <- node.Run(ctx) }()
	go func() { defer close(served); _ = server.Serve(narrow{listener}) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		cuts.open.Wait() // or their memory would count for the next crowd
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	applyShop(t, node)
	return listener.Addr().String(), node, cuts
}

// cuts are the connections that a node closed, and in its log why.
type cuts struct {
	slog.Handler

	closed chan time.Time
	open   sync.WaitGroup
	late   atomic.Int64 // readers that did not take an event in time
}

func (c *cuts) Enabled(context.Context, slog.Level) bool { return true }

func (c *cuts) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "a reader of a stream was cut off" {
		c.late.Add(1)
	}
	return nil
}

// expect waits until so many have been cut off since a silence began, none before
// the limit of a write.
func (c *cuts) expect(t *testing.T, want int, began time.Time, limit time.Duration) {
	t.Helper()
	var times []time.Duration
	over := time.After(limit + time.Minute)
	for len(times) < want {
		select {
		case at := <-c.closed:
			times = append(times, at.Sub(began))
		case <-over:
			t.Fatalf("%d readers that read nothing were cut off, want %d", len(times), want)
		}
	}
	if len(c.closed) > 0 {
		t.Errorf("%d more were cut off than the %d that read nothing", len(c.closed), want)
	}
	if want == 0 {
		return
	}
	slices.Sort(times)
	t.Logf("%d readers were cut off, %s to %s after they began to read nothing", want, times[0].Round(time.Millisecond), times[want-1].Round(time.Millisecond))
	if late := int(c.late.Load()); times[0] < limit || late != want {
		t.Errorf("the first was cut off after %s with a limit of %s, and the log tells of %d", times[0], limit, late)
	}
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
