package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/httpapi/client"
	"freshet/store/memory"
)

// pipes is a listener whose connections are in memory and hold nothing back: a
// write waits for its reader. In a bubble their deadlines are of virtual time.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.dialed <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// streaming is a cluster of nodes with their APIs, in a bubble.
type streaming struct {
	*testing.T
	memory *memory.Cluster
	change func(*httpapi.Config)
}

// station is one of its nodes.
type station struct {
	*coordinator.Node
	test   *streaming
	store  *memory.Store
	http   *http.Client
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	closes []func()
}

// inBubble runs a test of streams in virtual time.
func inBubble(t *testing.T, test func(s *streaming)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(&streaming{T: t, memory: memory.New(memory.Config{}), change: func(*httpapi.Config) {}})
	})
}

// join starts a node. It ends with the test.
func (s *streaming) join(name string, change ...func(*coordinator.Config)) *station {
	s.Helper()
	n := &station{test: s, store: s.memory.Store()}
	nodeConfig := coordinator.Config{
		Name: name, Store: n.store, Providers: map[string]coordinator.Provider{"platform": &platform{dead: map[string]bool{}}},
		BootstrapKey: coordinator.NewSecret(bootstrapKey), Render: httpapi.Render,
	}
	for _, f := range change {
		f(&nodeConfig)
	}
	var err error
	n.Node, err = coordinator.New(nodeConfig)
	if err != nil {
		s.Fatal(err)
	}
	config := httpapi.Config{Node: n.Node}
	s.change(&config)
	api, err := httpapi.New(config)
	if err != nil {
		s.Fatal(err)
	}
	listener := newPipes()
	server := httpapi.Server("", api.Handler(), 0, nil)
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // as over TLS, for those that speak it at once
	ctx, stop := context.WithCancel(s.Context())
	ran, served := make(chan error, 1), make(chan struct{})
	go func() { ran <- n.Run(ctx) }()
	go func() { defer close(served); _ = server.Serve(listener) }()
	transport := &http.Transport{DialContext: listener.dial, DisableKeepAlives: true}
	n.http = &http.Client{Transport: transport}
	n.dial = listener.dial
	s.Cleanup(func() {
		for _, leave := range n.closes {
			leave()
		}
		stop()
		if err := <-ran; err != nil {
			s.Error(err)
		}
		_ = server.Close()
		<-served
		synctest.Wait()
	})
	synctest.Wait()
	return n
}

// overHTTP2 makes those who ask from now on speak HTTP/2.
func (n *station) overHTTP2() {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{DialContext: n.dial, Protocols: &protocols}
	n.http = &http.Client{Transport: transport}
	n.closes = append(n.closes, transport.CloseIdleConnections)
}

// apply gives the cluster an app and waits for its first value.
func (n *station) apply(app string) {
	n.test.Helper()
	_, err := n.Apply(n.test.Context(), coordinator.App{
		Name: app, Provider: "platform", Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret(appSecret)},
		Tokens: map[string]coordinator.TokenSettings{coordinator.DefaultToken: {}},
	}, coordinator.Applying{})
	n.test.must(err)
	_, err = n.Read(n.test.Context(), access(app), coordinator.Want{Wait: time.Minute})
	n.test.must(err)
}

// refresh lets an app have a newer value.
func (n *station) refresh(app string) {
	n.test.Helper()
	_, err := n.Refresh(n.test.Context(), access(app), coordinator.RefreshCall{Wait: time.Minute})
	n.test.must(err)
	synctest.Wait()
}

func access(app string) coordinator.Name {
	return coordinator.Name{App: app, Token: coordinator.DefaultToken}
}

// client writes a client that may read what the globs name; an existing one of
// that revision is changed.
func (n *station) client(revision int64, expires time.Time, globs ...string) coordinator.Client {
	n.test.Helper()
	n.test.must(n.store.PutClient(n.test.Context(), coordinator.Client{
		Name: "orders", Digest: coordinator.DigestOf(coordinator.NewSecret(ordersKey)), Revision: revision, Expires: expires,
		Can: map[coordinator.Verb][]string{coordinator.VerbRead: globs},
	}, nil))
	synctest.Wait()
	for _, c := range n.Clients() {
		if c.Name == "orders" {
			return c
		}
	}
	n.test.Fatal("the client is not there")
	return coordinator.Client{}
}

const ordersKey = "orders-client-key"

func (s *streaming) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// reader is one who follows.
type reader struct {
	test  *streaming
	lines *bufio.Scanner
	body  io.Closer
	beats int
	last  string // id of the last event
}

type event struct{ id, name, data string }

// opened is an answer whose body is still to be read; it is closed with the test.
type opened struct {
	status int
	header http.Header
	body   io.ReadCloser
}

// rest reads an answer to its end.
func (o opened) rest() string {
	rest, _ := io.ReadAll(io.LimitReader(o.body, 1<<16))
	return string(rest)
}

// ask sends a request for a stream.
func (n *station) ask(key, query, lastID string) opened {
	n.test.Helper()
	req, err := http.NewRequestWithContext(n.test.Context(), http.MethodGet, "http://node/v1/stream"+query, nil)
	n.test.must(err)
	req.Header.Set("Authorization", "Bearer "+key)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := n.http.Do(req) //nolint:bodyclose // closed with the test, or by its reader
	n.test.must(err)
	n.closes = append(n.closes, func() { _ = resp.Body.Close() })
	return opened{resp.StatusCode, resp.Header, resp.Body}
}

// follow opens a stream, which must succeed, and reads its first line.
func (n *station) follow(key, query, lastID string) *reader {
	n.test.Helper()
	resp := n.ask(key, query, lastID)
	if resp.status != http.StatusOK || resp.header.Get("Content-Type") != "text/event-stream" ||
		resp.header.Get("Cache-Control") != "no-store" || resp.header.Get("X-Accel-Buffering") != "no" {
		n.test.Fatalf("status %d, headers %v: %s", resp.status, resp.header, resp.rest())
	}
	r := &reader{test: n.test, lines: bufio.NewScanner(resp.body), body: resp.body, last: lastID}
	if !r.lines.Scan() || !strings.HasPrefix(r.lines.Text(), "retry: ") {
		n.test.Fatalf("first line %q, want retry: …", r.lines.Text())
	}
	return r
}

// next reads one event; the zero event: the stream has ended.
func (r *reader) next() event {
	r.test.Helper()
	// A test that waits for what never comes ends, in virtual time.
	defer time.AfterFunc(6*time.Hour, func() { _ = r.body.Close() }).Stop()
	var e event
	for r.lines.Scan() {
		field, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch {
		case field == "" && value == "beat":
			r.beats++
		case field == "id":
			e.id = value
		case field == "event":
			e.name = value
		case field == "data":
			e.data = value
		case r.lines.Text() == "" && e != event{}:
			r.last = e.id
			return e
		case r.lines.Text() != "":
			r.test.Errorf("unexpected line %q", r.lines.Text())
		}
	}
	return event{}
}

// until reads events up to one of a name, and returns those before it, in short.
func (r *reader) until(name string) (before []string, last event) {
	r.test.Helper()
	for {
		e := r.next()
		if e.name == name {
			return before, e
		}
		if e == (event{}) {
			r.test.Fatalf("the stream ended after %q, without an event %q: %v", before, name, r.lines.Err())
		}
		before = append(before, r.short(e))
	}
}

// short is an event as tests compare it.
func (r *reader) short(e event) string {
	var body struct {
		App, Token, State, Value, Reason string
		Version                          int64
	}
	if err := json.Unmarshal([]byte(e.data), &body); err != nil {
		r.test.Errorf("data of event %q: %v: %s", e.name, err, e.data)
	}
	switch e.name {
	case client.EventToken:
		return "token " + body.App + " " + body.Value
	case client.EventState:
		if body.Value != "" {
			r.test.Errorf("a state has a value: %s", e.data)
		}
		return "state " + body.App + " " + body.State
	}
	return strings.TrimSpace(e.name + " " + body.App + body.Reason)
}

// is checks the next event.
func (r *reader) is(want string) {
	r.test.Helper()
	if e := r.next(); r.short(e) != want {
		r.test.Errorf("got event %q (%s), want %q", r.short(e), e.data, want)
	}
}

// synced reads what comes before the reader is synced.
func (r *reader) synced(resumed bool, want ...string) {
	r.test.Helper()
	got, e := r.until(client.EventSynced)
	var said client.StreamSynced
	r.test.must(json.Unmarshal([]byte(e.data), &said))
	if said.Resumed != resumed || strings.Join(sorted(got), ", ") != strings.Join(sorted(want), ", ") {
		r.test.Errorf("told %q, then %s; want %q, resumed %t", got, e.data, want, resumed)
	}
}

// leave closes the reader's connection.
func (r *reader) leave() {
	_ = r.body.Close()
	synctest.Wait()
}

// ended checks that the stream is over.
func (r *reader) ended() {
	r.test.Helper()
	if e := r.next(); e != (event{}) || r.lines.Err() != nil && !errors.Is(r.lines.Err(), io.ErrUnexpectedEOF) {
		r.test.Errorf("the stream goes on with %q, error %v", e, r.lines.Err())
	}
}
