package store

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"freshet/store/devetcd"
	"freshet/store/seal"
)

// server is the one etcd that all tests share, each under a prefix of its own;
// it is started by the first test that needs it, and listens for those that
// need a network to break.
var server shared //nolint:gochecknoglobals // one for all tests, ended by TestMain

type shared struct {
	once sync.Once
	dir  string
	etcd *devetcd.Etcd
	err  error
}

func (s *shared) start() (*devetcd.Etcd, error) {
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "freshet-store-test-"); s.err != nil {
			return
		}
		s.etcd, s.err = devetcd.Start(context.Background(), devetcd.Config{Dir: s.dir, Fast: true, Listen: "127.0.0.1:0"})
	})
	return s.etcd, s.err
}

func (s *shared) stop() {
	if s.etcd != nil {
		_ = s.etcd.Close()
	}
	_ = os.RemoveAll(s.dir)
}

// waiting is how many tests that mostly wait run at once, however few cores there are.
const waiting = "3"

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", waiting) // the command line has the last word
	code := m.Run()
	server.stop()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// etcd returns the shared server.
func etcd(t *testing.T) *devetcd.Etcd {
	t.Helper()
	e, err := server.start()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// testTTL is the shortest session there is.
const testTTL = MinSessionTTL

// prefixOf is a prefix for one run of one test.
func prefixOf(t *testing.T) string {
	prefix, known := prefixes.LoadOrStore(t, "/"+rand.Text())
	if !known {
		t.Cleanup(func() { prefixes.Delete(t) })
	}
	return prefix.(string)
}

var prefixes sync.Map //nolint:gochecknoglobals // :: *testing.T → prefix

// open returns a store on the shared server, without a socket.
func open(t *testing.T, change ...func(*Config)) *Store {
	t.Helper()
	c := Config{Prefix: prefixOf(t), SessionTTL: testTTL, Client: etcd(t).Client, Logger: testLog(t)}
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.silence, s.infoEvery, s.pageSize = 2*time.Second, 100*time.Millisecond, 1000
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

// sealedBy makes a store seal.
func sealedBy(ring *seal.Keyring) func(*Config) { return func(c *Config) { c.Seal = ring } }

// newRing is a keyring without a file.
func newRing(t *testing.T) *seal.Keyring {
	t.Helper()
	ring, err := seal.Generate()
	must(t, err)
	return ring
}

// spoilt makes a store use clients that something was done to.
func spoilt(spoil func(*clientv3.Client)) func(*Config) {
	return func(c *Config) {
		good := c.Client
		c.Client = func() (*clientv3.Client, error) {
			client, err := good()
			if err == nil {
				spoil(client)
			}
			return client, err
		}
	}
}

// over makes a store reach etcd over TCP at an address.
func over(endpoint string) func(*Config) {
	return func(c *Config) { c.Client, c.Endpoints = nil, []string{endpoint} }
}

// raw returns a client beside all stores, without a socket.
func raw(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := etcd(t).Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dialled returns a client over TCP, as the library makes it.
func dialled(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := Config{Endpoints: []string{endpoint}, Logger: testLog(t)}.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// soon is a context for what must happen.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func testLog(t *testing.T) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	return slog.New(slog.DiscardHandler)
}
