package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"freshet/coordinator/provider/sandbox"
)

// serve puts a sandbox on a socket and returns it with a caller.
func serve(t *testing.T) (*sandbox.Sandbox, caller) {
	t.Helper()
	sb := open(t, nil)
	server := httptest.NewServer(sb)
	t.Cleanup(server.Close)
	return sb, caller{t: t, client: server.Client(), base: server.URL}
}

// awaitInFlight returns when so many token calls are on their way.
func awaitInFlight(sb *sandbox.Sandbox, want int) {
	for sb.Oracle().Apps[appid].Minting.InFlight != want {
		runtime.Gosched()
	}
}

func TestResetOverASocketBreaksTheConnection(t *testing.T) {
	sb, c := serve(t)
	wantCode(t, c.plain(), 0) // the connection is now one that was used before
	fail(t, sb, sandbox.Fault{Do: sandbox.Reset, When: sandbox.After})
	err := c.breaks()
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF) { // net/http drops the former
		t.Errorf("error %v, want a broken connection", err)
	}
	if got := issued(sb); got != 2 {
		t.Errorf("%d tokens issued, want 2: net/http must not have repeated the call", got)
	}
}

func TestResetOverASocketIsOneOnTheWire(t *testing.T) {
	sb, c := serve(t)
	fail(t, sb, sandbox.Fault{Do: sandbox.Reset})
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /cgi-bin/token HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) || len(got) == 0 {
		t.Errorf("read %q, then %v; want the start of an answer, then a reset", got, err)
	}
}

func TestFaultsOverTLS(t *testing.T) {
	sb := open(t, nil)
	server := httptest.NewUnstartedServer(sb)
	server.EnableHTTP2 = true // where no connection can be hijacked
	server.StartTLS()
	t.Cleanup(server.Close)
	c := caller{t: t, client: server.Client(), base: server.URL}
	for _, do := range []sandbox.Action{sandbox.Reset, sandbox.Truncate} {
		fail(t, sb, sandbox.Fault{Do: do, Count: 1})
		response, err := c.send("GET", plainPath("client_credential", appid, secret), "")
		if err == nil {
			_, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer came whole", do)
		}
	}
	wantCode(t, c.plain(), 0)
}

func TestTruncatedBodyOverASocket(t *testing.T) {
	sb, c := serve(t)
	fail(t, sb, sandbox.Fault{Do: sandbox.Truncate, When: sandbox.After})
	response, err := c.send("GET", plainPath("client_credential", appid, secret), "")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading ended with %v, want an unexpected end", err)
	}
}

func TestHugeBodyOverASocketIsStreamed(t *testing.T) {
	sb, c := serve(t)
	fail(t, sb, sandbox.Fault{Do: sandbox.Huge})
	response, err := c.send("GET", plainPath("client_credential", appid, secret), "")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); n != 64<<20 || err != nil {
		t.Errorf("%d bytes, %v; want 64 MiB", n, err)
	}
}

func TestHangOverASocketEndsWhenTheCallerLeaves(t *testing.T) {
	sb, c := serve(t)
	fail(t, sb, sandbox.Fault{Do: sandbox.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", c.base+plainPath("client_credential", appid, secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		response, err := c.client.Do(r)
		if err == nil {
			_ = response.Body.Close()
		}
		failed <- err
	}()
	awaitInFlight(sb, 1)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the cancellation", err)
	}
	awaitInFlight(sb, 0)
}

func TestHangOverASocketEndsWhenCleared(t *testing.T) {
	sb, c := serve(t)
	fail(t, sb, sandbox.Fault{Do: sandbox.Hang})
	failed := make(chan error)
	go func() { failed <- c.breaks() }()
	awaitInFlight(sb, 1)
	sb.ClearFaults("")
	if err := <-failed; err == nil {
		t.Error("the hung call did not fail")
	}
	wantCode(t, c.plain(), 0)
}
