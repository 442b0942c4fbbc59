package store

import (
	"context"
	"net"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fate is what becomes of one transaction.
type fate int

const (
	spared  fate = iota
	lost         // committed, but the answer does not come
	dropped      // never committed, and no answer comes
)

var errNoAnswer = status.Error(codes.Unavailable, "transport is closing")

// faults decides over the transactions of a client.
type faults struct {
	mu      sync.Mutex
	next    fate
	times   int
	chosen  func(then []clientv3.Op) bool // nil: every one that writes
	suffers int
	between func() // happens once, when an answer is lost
}

// fail lets the next so many chosen transactions meet a fate.
func (f *faults) fail(next fate, times int, chosen func(then []clientv3.Op) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next, f.times, f.chosen, f.suffers = next, times, chosen, 0
}

// meanwhile does something once after an answer was lost, before it is sent again.
func (f *faults) meanwhile(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.between = sync.OnceFunc(do)
}

func (f *faults) happens() {
	f.mu.Lock()
	do := f.between
	f.mu.Unlock()
	if do != nil {
		do()
	}
}

func (f *faults) suffered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.suffers
}

func (f *faults) take(then []clientv3.Op) fate {
	f.mu.Lock()
	defer f.mu.Unlock()
	chosen := len(then) > 0 && !then[0].IsGet()
	if f.chosen != nil {
		chosen = f.chosen(then)
	}
	if f.times == 0 || !chosen {
		return spared
	}
	f.times--
	f.suffers++
	return f.next
}

// spoil puts the faults into a client.
func (f *faults) spoil(c *clientv3.Client) { c.KV = faultyKV{c.KV, f} }

type faultyKV struct {
	clientv3.KV
	faults *faults
}

func (kv faultyKV) Txn(ctx context.Context) clientv3.Txn {
	return &faultyTxn{inner: kv.KV.Txn(ctx), faults: kv.faults}
}

type faultyTxn struct {
	inner  clientv3.Txn
	then   []clientv3.Op
	faults *faults
}

func (t *faultyTxn) If(cs ...clientv3.Cmp) clientv3.Txn {
	t.inner = t.inner.If(cs...)
	return t
}

func (t *faultyTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	t.inner, t.then = t.inner.Then(ops...), ops
	return t
}

func (t *faultyTxn) Else(ops ...clientv3.Op) clientv3.Txn {
	t.inner = t.inner.Else(ops...)
	return t
}

func (t *faultyTxn) Commit() (*clientv3.TxnResponse, error) {
	switch t.faults.take(t.then) {
	case lost:
		if _, err := t.inner.Commit(); err != nil {
			return nil, err
		}
		t.faults.happens()
		return nil, errNoAnswer
	case dropped:
		t.faults.happens()
		return nil, errNoAnswer
	case spared:
	}
	return t.inner.Commit()
}

// deletes chooses transactions that delete a key, and only that.
func deletes(then []clientv3.Op) bool { return len(then) == 1 && then[0].IsDelete() }

// proxy passes TCP connections on to etcd, until it is told otherwise.
type proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	held  chan struct{} // closed: bytes flow; else they wait
	cut   bool          // new connections are closed at once
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	l := listen(t)
	p := &proxy{listener: l, target: etcd(t).Endpoint()[len("http://"):], conns: map[net.Conn]bool{}, held: make(chan struct{})}
	close(p.held)
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.release()
		p.sever(true)
		p.wg.Wait()
	})
	return p
}

// listen opens a free port.
func listen(t *testing.T) net.Listener {
	t.Helper()
	var c net.ListenConfig
	l, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

func (p *proxy) endpoint() string { return "http://" + p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(in) })
	}
}

func (p *proxy) serve(in net.Conn) {
	defer in.Close()
	var dialer net.Dialer
	out, err := dialer.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer out.Close()
	if !p.add(in, out) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.pass(out, in) })
	p.pass(in, out)
	wg.Wait()
	p.remove(in, out)
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.cut
}

func (p *proxy) remove(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// pass copies one direction; while the proxy holds, what was read waits.
func (p *proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		held := p.held
		p.mu.Unlock()
		<-held
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold swallows everything in both directions, and leaves connections open.
func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = make(chan struct{})
}

// release delivers what was held.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.held:
	default:
		close(p.held)
	}
}

// sever closes all connections, and those to come until it is called with false.
func (p *proxy) sever(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for c := range p.conns {
		_ = c.Close()
	}
}
