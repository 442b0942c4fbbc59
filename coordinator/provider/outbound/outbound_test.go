package outbound_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func send(t *testing.T, transport roundTrip) *coordinator.UpstreamError {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://login.example.com/token", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := outbound.Send(transport, r, "s3cret")
	if err == nil {
		_ = resp.Body.Close()
	}
	up, ok := errors.AsType[*coordinator.UpstreamError](err)
	if !ok {
		t.Fatalf("error %v is no *UpstreamError", err)
	}
	return up
}

// TestOnlyAProofSaysNotDelivered plays the transport's part.
func TestOnlyAProofSaysNotDelivered(t *testing.T) {
	got := func(r *http.Request) { httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{}) }
	get := func(r *http.Request) { httptrace.ContextClientTrace(r.Context()).GetConn("x") }
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, test := range map[string]struct {
		transport roundTrip
		ambiguous bool
	}{
		"no connection was asked for":                   {func(*http.Request) (*http.Response, error) { return nil, io.EOF }, true},
		"dialling failed, says one that traces nothing": {func(*http.Request) (*http.Response, error) { return nil, refused }, false},
		"a connection was asked for and never had": {func(r *http.Request) (*http.Response, error) {
			get(r)
			return nil, io.EOF
		}, false},
		"a connection was had": {func(r *http.Request) (*http.Response, error) {
			get(r)
			got(r)
			return nil, syscall.ECONNRESET
		}, true},
		"a kept connection was dead before anything was written, and no other could be had": {func(r *http.Request) (*http.Response, error) {
			get(r)
			got(r)
			get(r)
			return nil, refused
		}, false},
	} {
		if up := send(t, test.transport); up.Ambiguous != test.ambiguous || up.Class != coordinator.ClassRetry {
			t.Errorf("%s: %+v, want ambiguous %t", name, up, test.ambiguous)
		}
	}
}

func TestErrorsOfTheWayHoldNoSecret(t *testing.T) {
	up := send(t, func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: errors.New("proxy says s3cret")}
	})
	if strings.Contains(up.Error(), "s3cret") || !strings.Contains(up.Message, "[redacted]") {
		t.Errorf("error %q", up)
	}
}

// TestADeadKeptConnectionSendsAPostOnce uses net/http's own transport.
func TestADeadKeptConnectionSendsAPostOnce(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	requests := make(chan string, 8)
	go answerOnceEach(l, requests)
	transport := outbound.NewTransport()
	post := func() error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String(), strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := outbound.Send(transport, r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = outbound.Read(t.Context(), resp, 10)
		return err
	}
	if err := post(); err != nil {
		t.Fatal(err)
	}
	up, ok := errors.AsType[*coordinator.UpstreamError](post()) // on the kept connection, which breaks after it was read
	if !ok || !up.Ambiguous || up.Code != outbound.CodeLost {
		t.Errorf("error %+v, want an ambiguous lost connection", up)
	}
	if n := len(requests); n != 2 {
		t.Errorf("%d requests arrived, want 2: none may be repeated", n)
	}
}

// answerOnceEach answers the first request of each connection and hangs up on the second.
func answerOnceEach(l net.Listener, requests chan<- string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		buffer := make([]byte, 4096)
		for i := range 2 {
			n, err := conn.Read(buffer)
			if err != nil {
				break
			}
			requests <- string(buffer[:n])
			if i == 0 {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			}
		}
		_ = conn.Close()
	}
}

func TestTheTransportHasNoSurprises(t *testing.T) {
	transport := outbound.NewTransport()
	if transport.Proxy != nil || !transport.DisableCompression || transport.Protocols.HTTP2() {
		t.Errorf("transport %+v: want no proxy, no compression, no HTTP/2", transport)
	}
}

func TestRetryAfterIsSecondsOrADateAndCapped(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "x": 0, "1e3": 0, "86400": time.Hour, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat):    time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat):   0,
		now.Add(48 * time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		if got := outbound.RetryAfter(header, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", header, got, want)
		}
	}
}

func TestTheLongerOfTwoSecretsIsHiddenWhole(t *testing.T) {
	if got := outbound.Clean("x abcdef y a%2Fb", "abc", "abcdef", "a/b"); got != "x [redacted] y [redacted]" {
		t.Errorf("clean: %q", got)
	}
}
