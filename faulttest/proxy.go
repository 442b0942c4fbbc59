package faulttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction is one of the two in which bytes go through a Proxy.
type Direction int

// The directions.
const (
	ToServer Direction = iota
	ToClient
)

// Proxy is the only way from one client to one server: TCP on loopback, each
// direction of which can be disturbed by itself. It is safe for concurrent use.
type Proxy struct {
	server   string
	listener net.Listener
	done     sync.WaitGroup

	mu      sync.Mutex
	cut     bool
	lanes   [2]lane
	changed chan struct{} // closed by each change
	conns   map[net.Conn]struct{}
	closed  bool
}

// lane is how bytes of one direction are treated.
type lane struct {
	silent bool
	delay  time.Duration
}

// NewProxy listens on a free port of loopback and passes on to server, host:port.
func NewProxy(ctx context.Context, server string) (*Proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for a proxy: %w", err)
	}
	p := &Proxy{server: server, listener: listener, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	p.done.Go(func() { p.accept(context.WithoutCancel(ctx)) })
	return p, nil
}

// Address is where the client finds the server, host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Close ends all connections and waits until nothing is under way.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.change(func() {
		p.closed = true
		p.dropLocked()
	})
	p.done.Wait()
}

// Cut resets all connections and refuses new ones, until Mend.
func (p *Proxy) Cut() {
	p.change(func() {
		p.cut = true
		p.dropLocked()
	})
}

// Silence holds back what goes in one direction until Mend. No end is told, as
// where a network loses every packet; what was held back arrives after it, as TCP
// sends it again.
func (p *Proxy) Silence(d Direction) { p.change(func() { p.lanes[d].silent = true }) }

// Delay lets all that goes in one direction arrive so much later, until Mend.
func (p *Proxy) Delay(d Direction, by time.Duration) { p.change(func() { p.lanes[d].delay = by }) }

// Mend ends every disturbance.
func (p *Proxy) Mend() { p.change(func() { p.cut, p.lanes = false, [2]lane{} }) }

func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) dropLocked() {
	for conn := range p.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not an orderly end
		}
		_ = conn.Close()
	}
	clear(p.conns)
}

func (p *Proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.done.Go(func() { p.carry(ctx, conn) })
		}
	}
}

// keep remembers a connection for Cut; false where there must be none.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.closed {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

// carry passes bytes both ways until one side ends.
func (p *Proxy) carry(ctx context.Context, client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	dialer := net.Dialer{Timeout: 5 * time.Second}
	server, err := dialer.DialContext(ctx, "tcp", p.server)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	var both sync.WaitGroup
	both.Go(func() { p.pass(ToServer, client, server) })
	both.Go(func() { p.pass(ToClient, server, client) })
	both.Wait()
}

// chunk is what was read at once, and when it may arrive.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pass carries one direction. Reading goes on while a chunk waits for its delay,
// so that a delay does not become a narrow pipe.
func (p *Proxy) pass(d Direction, from, to net.Conn) {
	defer p.drop(from)
	defer p.drop(to)
	chunks := make(chan chunk, 1024)
	var writing sync.WaitGroup
	writing.Go(func() {
		defer p.drop(from)
		for c := range chunks {
			if !p.wait(d, c.due) {
				continue // drained, so that the reader is never held up
			}
			if _, err := to.Write(c.bytes); err != nil {
				_ = from.Close()
			}
		}
	})
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			chunks <- chunk{buffer[:n], time.Now().Add(p.delayOf(d))}
		}
		if err != nil {
			break
		}
	}
	close(chunks)
	writing.Wait()
}

func (p *Proxy) delayOf(d Direction) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes[d].delay
}

// wait returns once bytes may go on: true where the connection may still live.
func (p *Proxy) wait(d Direction, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for arrived := false; ; {
		p.mu.Lock()
		changed, silent, ended := p.changed, p.lanes[d].silent, p.cut || p.closed
		p.mu.Unlock()
		switch {
		case ended:
			return false
		case arrived && !silent:
			return true
		}
		select {
		case <-timer.C:
			arrived = true
		case <-changed:
		}
	}
}
