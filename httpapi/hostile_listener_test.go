package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
)

// hostileLines are requests that break HTTP itself, or try to make somebody else
// of the sender. Zero: the connection may be closed without a word.
func hostileLines() map[string]hostileRequest {
	const auth = "Authorization: Bearer " + rootKey + "\r\n"
	const host = "Host: x\r\n" + auth
	return map[string]hostileRequest{
		"two hosts":              {"GET /v1/tokens/shop HTTP/1.1\r\nHost: y\r\n" + host + "\r\n", 400},
		"two lengths":            {"POST /v1/pause HTTP/1.1\r\n" + host + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400},
		"a length below zero":    {"POST /v1/pause HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
		"a length beyond all":    {"POST /v1/apps/shop/pause HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
		"an odd transfer coding": {"POST /v1/pause HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		"a bad chunk": {
			"POST /v1/tokens/shop/access_token/report HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", 400,
		},
		"a huge chunk": {
			"POST /v1/tokens/shop/access_token/report HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" +
				strings.Repeat("a", 100<<10), 413,
		},
		"no version":             {"GET /v1/tokens/shop\r\n" + host + "\r\n", 400},
		"a version to come":      {"GET /v1/tokens/shop HTTP/9.9\r\n" + host + "\r\n", 505},
		"nothing of HTTP":        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		"a space in the target":  {"GET /v1/tokens/shop x HTTP/1.1\r\n" + host + "\r\n", 400},
		"a bare line feed":       {"GET /v1/tokens/shop HTTP/1.1\r\n" + host + "X-A: b\rX-C: d\r\n\r\n", 400},
		"a header without colon": {"GET /v1/tokens/shop HTTP/1.1\r\n" + host + "X-A\r\n\r\n", 400},
		"a header with a space":  {"GET /v1/tokens/shop HTTP/1.1\r\n" + host + "X A: b\r\n\r\n", 400},
		"a header with a nul":    {"GET /v1/tokens/shop HTTP/1.1\r\n" + host + "X-A: b\x00\r\n\r\n", 400},
		"many headers":           {"GET /v1/tokens/shop HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 10000) + "\r\n", 431},
		"a long line":            {"GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\n" + host + "\r\n", 431},
		"a long method":          {strings.Repeat("A", 10<<10) + " /v1/tokens/shop HTTP/1.1\r\n" + host + "\r\n", 405},
		"an asterisk":            {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 200}, // net/http itself, without a word of ours
		"a tunnel":               {"CONNECT evil.example:443 HTTP/1.1\r\n" + host + "\r\n", 404},
		"a proxy's line":         {"GET http://evil.example/ HTTP/1.1\r\n" + host + "\r\n", 404},
		"another's method":       {"POST /v1/apps/shop HTTP/1.1\r\n" + host + "X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n", 405},
		"another's path":         {"GET /v1/nothere HTTP/1.1\r\n" + host + "X-Original-URL: /v1/tokens/shop\r\nX-Rewrite-URL: /v1/tokens/shop\r\n\r\n", 404},
		"another's address": {
			"GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-User: root\r\n\r\n", 401,
		},
		"a key in a cookie":   {"GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nCookie: Authorization=Bearer " + rootKey + "\r\n\r\n", 401},
		"a key in a query":    {"GET /v1/tokens/shop?authorization=" + rootKey + " HTTP/1.1\r\nHost: x\r\n\r\n", 401},
		"two keys":            {"GET /v1/tokens/shop HTTP/1.1\r\n" + host + auth + "\r\n", 401},
		"proxied unknown":     {"GET /proxy/nothere/x HTTP/1.1\r\n" + host + "\r\n", 404},
		"proxied without key": {"GET /proxy/shop/x HTTP/1.1\r\nHost: x\r\n\r\n", 401},
		"proxied nothing":     {"GET /proxy/shop HTTP/1.1\r\n" + host + "\r\n", 404},
		"proxied odd name":    {"GET /proxy/sh%2Fop/x HTTP/1.1\r\n" + host + "\r\n", 400},
	}
}

func TestWhatBreaksHTTPIsRefusedAndChangesNothing(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "the-value"))
	a, logged := newAPI(t, node)
	address := listen(t, a.Handler())
	for name, c := range hostileLines() {
		got := send(t, address, c.raw)
		if got.status != c.status || strings.Contains(got.body, "the-value") || got.header.Get("Location") != "" {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.status, got.body)
		}
	}
	if len(node.calls) > 0 {
		t.Errorf("hostile requests did %v", node.calls)
	}
	if strings.Contains(logged.String(), rootKey) {
		t.Error("the key was logged")
	}
}

// TestIdleConnectionsCostLittleAndDisturbNobody opens thousands of connections that
// say nothing. The race detector makes each of them dear: it gets a tenth.
func TestIdleConnectionsCostLittleAndDisturbNobody(t *testing.T) {
	connections := 10000
	if raceEnabled {
		connections = 1000
	}
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	address := listen(t, a.Handler())
	before := inUse()
	opened, closeAll := openElsewhere(t, address, connections)
	defer closeAll()
	if opened != connections {
		t.Logf("%d connections instead of %d: the process may not open more files", opened, connections)
	}
	if got := send(t, address, "GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\n\r\n"); got.status != http.StatusOK {
		t.Errorf("beside them: %+v", got)
	}
	const most = 32 << 10
	if each := (inUse() - before) / int64(opened); each > most {
		t.Errorf("%d connections take %d bytes each, want at most %d", opened, each, most)
	}
}

const idleVariable = "FRESHET_TEST_IDLE" // "address connections", for the process that opens them

// openElsewhere opens connections from a process of its own: one may not have
// enough files for both ends. It returns how many could be opened.
func openElsewhere(t *testing.T, address string, connections int) (opened int, closeAll func()) {
	t.Helper()
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpensIdleConnections$")
	other.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", idleVariable, address, connections))
	in, errIn := other.StdinPipe()
	out, errOut := other.StdoutPipe()
	if err := errors.Join(errIn, errOut, other.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanln(out, &opened); err != nil || opened < 100 {
		t.Fatalf("%d connections were opened: %v", opened, err)
	}
	return opened, func() { _ = in.Close(); _ = other.Wait() }
}

// TestOpensIdleConnections is that other process; elsewhere it does nothing.
func TestOpensIdleConnections(t *testing.T) {
	var address string
	var connections int
	if n, _ := fmt.Sscan(os.Getenv(idleVariable), &address, &connections); n != 2 {
		return
	}
	var idle []net.Conn
	for range connections {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			break
		}
		idle = append(idle, conn)
	}
	_, _ = fmt.Fprintln(os.Stdout, len(idle))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// inUse is how much memory is in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestSlowSendersAreCutOff sends a request byte by byte, without end.
func TestSlowSendersAreCutOff(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "the-value"))
	node.injections = map[string]coordinator.Injection{}
	a, _ := newAPI(t, node)
	const limit = 300 * time.Millisecond
	server := Server("", a.Handler(), 0, nil)
	server.ReadHeaderTimeout, server.ReadTimeout = limit, 2*limit
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	defer func() { _ = server.Close(); <-done }()
	for name, begin := range map[string]string{
		"in the header": "GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"in the body": "POST /v1/tokens/shop/access_token/report HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + rootKey +
			"\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
	} {
		conn := dial(t, listener.Addr().String())
		_, _ = io.WriteString(conn, begin)
		drips(t, name, conn)
	}
	if len(node.calls) > 0 {
		t.Errorf("slow requests did %v", node.calls)
	}
}

// drips writes until the other side has closed the connection.
func drips(t *testing.T, name string, conn net.Conn) {
	t.Helper()
	closed := make(chan struct{})
	go func() { defer close(closed); _, _ = io.Copy(io.Discard, bufio.NewReader(conn)) }()
	deadline := time.After(patienceOfTests)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-closed:
			return
		case <-tick.C:
			_, _ = io.WriteString(conn, "a")
		case <-deadline:
			t.Fatalf("%s: a slow sender is heard for ever", name)
		}
	}
}
