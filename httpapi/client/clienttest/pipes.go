package clienttest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// pipes lead to the nodes in memory.
type pipes struct {
	transport *http.Transport

	mu    sync.Mutex
	hosts map[string]*pipeListener // :: host → where its connections go
}

func newPipes() *pipes {
	p := &pipes{hosts: map[string]*pipeListener{}}
	p.transport = &http.Transport{DialContext: p.dial}
	return p
}

func (p *pipes) client() *http.Client { return &http.Client{Transport: p.transport} }
func (p *pipes) closeIdle()           { p.transport.CloseIdleConnections() }

func (p *pipes) listen() *pipeListener {
	p.mu.Lock()
	defer p.mu.Unlock()
	host := fmt.Sprintf("node%d.test", len(p.hosts)+1)
	p.hosts[host] = &pipeListener{host: host, incoming: make(chan net.Conn), closed: make(chan struct{})}
	return p.hosts[host]
}

func (p *pipes) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, _ := strings.Cut(address, ":")
	p.mu.Lock()
	l := p.hosts[host]
	p.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError("no node is there")}
	if l == nil {
		return nil, refused
	}
	ours, theirs := net.Pipe()
	select {
	case l.incoming <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipeListener accepts connections within this process.
type pipeListener struct {
	host     string
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.incoming:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.host) }

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }
