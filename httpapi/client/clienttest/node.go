package clienttest

import (
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"
)

// Node is one node of a cluster.
type Node struct {
	cluster  *Cluster
	name     string
	address  string
	inMemory bool
	server   *http.Server

	// Guarded by the cluster's mu.
	draining bool
	frozen   *view // what it knows while it learns nothing; nil: all there is
}

// Handler serves a node, for a server of the test's own.
func (c *Cluster) Handler() http.Handler { return (&Node{cluster: c, name: "node"}).handler() }

// Start starts a node on a port of this machine, until the test ends.
func (c *Cluster) Start(tb testing.TB) *Node {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("starting a node: %v", err)
	}
	return c.serve(tb, &Node{name: listener.Addr().String(), address: "http://" + listener.Addr().String()}, listener)
}

// StartInMemory starts a node that only clients made from Config reach, without
// a socket, until the test ends.
func (c *Cluster) StartInMemory(tb testing.TB) *Node {
	tb.Helper()
	listener := c.pipes.listen()
	return c.serve(tb, &Node{name: listener.host, address: "http://" + listener.host, inMemory: true}, listener)
}

func (c *Cluster) serve(tb testing.TB, n *Node, listener net.Listener) *Node {
	tb.Helper()
	n.cluster = c
	n.server = &http.Server{
		Handler: n.handler(), ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), //nolint:forbidigo // net/http takes no other logger
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.server.Serve(listener)
	}()
	tb.Cleanup(func() {
		n.Stop()
		<-ended
		c.pipes.closeIdle()
	})
	return n
}

// Address returns where the node is, e.g. "http://127.0.0.1:7480".
func (n *Node) Address() string { return n.address }

// Stop ends the node at once: its streams break, and nobody reaches it any more.
func (n *Node) Stop() { _ = n.server.Close() }

// Drain makes the node say that it is going away, as one does that was told to stop.
func (n *Node) Drain() {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.draining = true
	n.cluster.move()
}

// Freeze lets the node learn nothing more, as one that lags behind the others.
func (n *Node) Freeze() {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	frozen := n.cluster.view()
	n.frozen = &frozen
}

// Thaw lets the node learn all that it missed.
func (n *Node) Thaw() {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.frozen = nil
	n.cluster.move()
}

// look returns what the node knows, and whether it is going away.
func (n *Node) look() (view, bool) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	v := n.cluster.view()
	if n.frozen != nil {
		v.position, v.tokens = n.frozen.position, n.frozen.tokens
	}
	return v, n.draining
}
