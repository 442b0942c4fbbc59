package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// large is a body that nobody should hold in memory.
const large = 32 << 20

// zeros is so much of nothing.
func zeros(n int64) io.Reader { return io.LimitReader(endless{}, n) }

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLargeBodiesAreNotHeldInMemory(t *testing.T) {
	platform := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n, _ := io.Copy(io.Discard, q.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, "%020d", n)
		_, _ = io.Copy(w, zeros(large))
	})
	r := relayTo(t, platform, nil)
	for name, length := range map[string]int64{"of a length": large, "of none": -1} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.address+"/proxy/shop/x", zeros(large))
		if err != nil {
			t.Fatal(err)
		}
		q.ContentLength = length
		q.Header.Set("Authorization", "Bearer "+rootKey)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		arrived := make([]byte, 20)
		_, _ = io.ReadFull(resp.Body, arrived)
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		runtime.ReadMemStats(&after)
		if err != nil || string(arrived) != fmt.Sprintf("%020d", large) || n != large {
			t.Errorf("%s: the platform read %s bytes, we %d: %v", name, arrived, n, err)
		}
		// Everything that was allocated, by both servers and the test too, not what is left of it.
		if spent := after.TotalAlloc - before.TotalAlloc; spent > large/4 {
			t.Errorf("%s: %d bytes were allocated for %d that passed", name, spent, 2*large)
		}
	}
}

// closedAtItsEnd is a body that net/http closes as soon as it has ended, since the
// answer begins.
type closedAtItsEnd struct{ left int }

func (c *closedAtItsEnd) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	n := min(c.left, len(p))
	if c.left -= n; c.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

// A platform that answers as it has the last byte must not be taken for one to
// which the body could not be sent: that would break its answer off.
func TestABodyThatHasEndedIsNotAskedAgain(t *testing.T) {
	for _, most := range []int64{0, 1 << 20} {
		progress := newProgress(httptest.NewRecorder(), time.Minute, func(error) {})
		b := &keptBody{source: &closedAtItsEnd{left: 1000}, progress: progress, room: newRoom(0), most: most, going: true}
		n, err := io.Copy(io.Discard, b)
		if again, failed := io.Copy(io.Discard, b); n != 1000 || err != nil || again != 0 || failed != nil || b.half() {
			t.Errorf("%d bytes, %v; then %d, %v; half %v", n, err, again, failed, b.half())
		}
		progress.end()
	}
}

func TestACallInWhichNothingMovesIsGivenUp(t *testing.T) {
	const short = 100 * time.Millisecond
	stands := func(q *http.Request) { <-q.Context().Done() }
	bounds := func(c *Config, _ *coordinator.Injection) { c.Forward.Idle = short }
	begun := func(c *Config, _ *coordinator.Injection) { c.Forward.Idle = 20 * short } // where something must move before
	t.Run("no answer", func(t *testing.T) {
		r := relayTo(t, http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { stands(q) }), bounds)
		got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil)
		if got.status != http.StatusGatewayTimeout || got.header.Get("Freshet-Problem") != client.CodeUpstreamTimeout {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no answer in time", func(t *testing.T) {
		r := relayTo(t, http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { stands(q) }),
			func(c *Config, _ *coordinator.Injection) { c.Forward.Timeout = short })
		got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil)
		if got.status != http.StatusGatewayTimeout || got.header.Get("Freshet-Problem") != client.CodeUpstreamTimeout {
			t.Errorf("%+v", got)
		}
	})
	t.Run("half an answer", func(t *testing.T) {
		r := relayTo(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.WriteString(w, "half of i")
			w.(http.Flusher).Flush()
			stands(q)
		}), begun)
		resp := r.open(t, http.MethodGet, "/proxy/shop/x", nil, nil)
		defer func() { _ = resp.Body.Close() }()
		if text, err := io.ReadAll(resp.Body); err == nil || string(text) != "half of i" {
			t.Errorf("%q, %v: half of an answer looks whole", text, err)
		}
	})
}

func TestAClientInWhichNothingMovesIsGivenUp(t *testing.T) {
	const short = 100 * time.Millisecond
	bounds := func(c *Config, _ *coordinator.Injection) { c.Forward.Idle = short }
	begun := func(c *Config, _ *coordinator.Injection) { c.Forward.Idle = 20 * short } // where something must move before
	t.Run("half a request", func(t *testing.T) {
		r := relayTo(t, recording(nil), bounds)
		conn := dial(t, r.address)
		_, _ = io.WriteString(conn, "POST /proxy/shop/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\nContent-Length: 100\r\n\r\nhalf")
		if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 504 ") {
			t.Errorf("%q, %v", text, err)
		}
		eventually(t, r.idle)
	})
	t.Run("a client that does not read", func(t *testing.T) {
		r := relayTo(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, endless{}) }), begun)
		conn := dial(t, r.address)
		_, _ = io.WriteString(conn, "GET /proxy/shop/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, r.idle)
	})
	t.Run("an upgraded connection", func(t *testing.T) {
		r := relayTo(t, echoing(deadValue), begun)
		conn := dial(t, r.address)
		_, _ = io.WriteString(conn, "GET /proxy/shop/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		answers := bufio.NewReader(conn)
		if line, err := answers.ReadString('\n'); err != nil || line != "HTTP/1.1 101 Switching Protocols\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := io.Copy(io.Discard, answers); err != nil {
			t.Errorf("the connection stays: %v", err)
		}
		eventually(t, r.idle)
	})
}

// Over HTTP/2 a time limit of writing that has passed ends a call at once, answered or not.
func TestACallInWhichNothingMovesIsAnsweredOverHTTP2(t *testing.T) {
	silent := http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	r := relayTo(t, silent, func(c *Config, _ *coordinator.Injection) { c.Forward.Idle = 100 * time.Millisecond })
	server := httptest.NewUnstartedServer(r.api.Handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/proxy/shop/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+rootKey)
	resp, err := server.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("%s %s, want 2 and 504", resp.Proto, resp.Status)
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
	return conn
}

func TestACallThatMovesIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		p := newProgress(httptest.NewRecorder(), time.Minute, stop)
		body := p.watch(io.NopCloser(bytes.NewReader(make([]byte, 100))), func() {})
		for range 100 {
			time.Sleep(59 * time.Second)
			if _, err := body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if ctx.Err() != nil {
			t.Errorf("given up: %v", context.Cause(ctx))
		}
		time.Sleep(61 * time.Second)
		if !errors.Is(context.Cause(ctx), errStalled) {
			t.Errorf("not given up: %v", context.Cause(ctx))
		}
		p.end()
	})
}

// TestWhatIsLeftOfABodyIsNoRequest has the platform answer before it has read the
// body, in which something stands that looks like a request.
func TestWhatIsLeftOfABodyIsNoRequest(t *testing.T) {
	for name, platform := range map[string]http.HandlerFunc{
		"an answer": func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusForbidden)
		},
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		for framing, begin := range map[string]string{"Content-Length: 2000000": "", "Transfer-Encoding: chunked": "ffff\r\n"} {
			r := relayTo(t, platform, func(c *Config, _ *coordinator.Injection) { c.Forward.Idle = 300 * time.Millisecond })
			conn := dial(t, r.address)
			_, _ = io.WriteString(conn, "POST /proxy/shop/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\n"+framing+"\r\n\r\n"+begin)
			answers := bufio.NewReader(conn)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, framing, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if !resp.Close || resp.StatusCode < 400 {
				t.Errorf("%s, %s: status %d, the connection stays", name, framing, resp.StatusCode)
			}
			_, _ = io.WriteString(conn, "GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\n\r\n")
			_ = conn.(*net.TCPConn).CloseWrite()
			if more, _ := io.ReadAll(answers); len(more) > 0 {
				t.Errorf("%s, %s: a second answer: %.80q", name, framing, more)
			}
		}
	}
}

// TestAStreamOutlivesTheServersTimeLimits has limits shorter than the stream: it
// ends when the test has seen that they have passed.
func TestAStreamOutlivesTheServersTimeLimits(t *testing.T) {
	let := make(chan struct{})
	r := relayTo(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "begin ")
		w.(http.Flusher).Flush()
		<-let
		_, _ = io.WriteString(w, "end")
	}), nil)
	server := httptest.NewUnstartedServer(r.api.Handler())
	server.Config.ReadTimeout, server.Config.WriteTimeout = 2*time.Second, 2*time.Second
	server.Start()
	defer server.Close()
	r.address = server.Listener.Addr().String()
	resp := r.open(t, http.MethodGet, "/proxy/shop/x", nil, nil)
	defer func() { _ = resp.Body.Close() }()
	<-time.After(2200 * time.Millisecond)
	close(let)
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "begin end" {
		t.Errorf("%q, %v", text, err)
	}
}
