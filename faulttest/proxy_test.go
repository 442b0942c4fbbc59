package faulttest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every line with the same line, and tells what it has heard.
type echo struct {
	listener net.Listener
	heard    chan string
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{listener: listener, heard: make(chan string, 100)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					e.heard <- lines.Text()
					_, _ = io.WriteString(conn, lines.Text()+"\n")
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return e
}

func startProxy(t *testing.T, server string) *Proxy {
	t.Helper()
	p, err := NewProxy(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func say(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// hear reads a line, or returns why there is none within the time.
func hear(conn net.Conn, within time.Duration) (string, error) {
	_ = conn.SetReadDeadline(time.Now().Add(within))
	var line []byte
	for one := make([]byte, 1); ; {
		if _, err := conn.Read(one); err != nil {
			return string(line), err
		}
		if one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[0])
	}
}

const (
	quiet = 100 * time.Millisecond
	soon  = 10 * time.Second
)

func TestSilenceOfOneDirectionLeavesTheOtherOpen(t *testing.T) {
	server := startEcho(t)
	for name, test := range map[string]struct {
		silent Direction
		heard  bool
	}{"to the server": {ToServer, false}, "to the client": {ToClient, true}} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, server.listener.Addr().String())
			conn := dial(t, p)
			p.Silence(test.silent)
			say(t, conn, name)
			if _, err := hear(conn, quiet); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("the client was answered: %v", err)
			}
			if heard := len(server.heard) == 1; heard != test.heard {
				t.Errorf("the server heard it: %t, want %t", heard, test.heard)
			}
			p.Mend()
			if got, err := hear(conn, soon); got != name || err != nil {
				t.Errorf("after mending the client hears %q, %v", got, err)
			}
			<-server.heard
		})
	}
}

func TestCutResetsAndRefusesUntilMended(t *testing.T) {
	server := startEcho(t)
	p := startProxy(t, server.listener.Addr().String())
	before := dial(t, p)
	say(t, before, "one")
	if _, err := hear(before, soon); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	for name, conn := range map[string]net.Conn{"an old": before, "a new": dial(t, p)} {
		if _, err := hear(conn, soon); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s connection goes on: %v", name, err)
		}
	}
	p.Mend()
	after := dial(t, p)
	say(t, after, "two")
	if got, err := hear(after, soon); got != "two" || err != nil {
		t.Errorf("after mending a new connection hears %q, %v", got, err)
	}
}

func TestDelayIsAddedToEachDirection(t *testing.T) {
	server := startEcho(t)
	p := startProxy(t, server.listener.Addr().String())
	conn := dial(t, p)
	p.Delay(ToServer, 60*time.Millisecond)
	p.Delay(ToClient, 40*time.Millisecond)
	began := time.Now()
	for range 3 {
		say(t, conn, "x")
	}
	for range 3 {
		if _, err := hear(conn, soon); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("the way there and back took %s", took)
	}
}
