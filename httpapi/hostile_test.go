package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
)

// listen serves an API on a socket, the way a node does, and returns its address.
func listen(t testing.TB, h http.Handler) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server("", h, 0, nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return listener.Addr().String()
}

// received is an answer read to its end.
type received struct {
	status int
	header http.Header
	body   string
}

// send writes bytes as they are and reads one answer.
func send(t *testing.T, address, raw string) received {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	go func() { _, _ = io.WriteString(conn, raw) }() // the answer may come before all is written
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the answer to %.80q: %v", raw, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the body of the answer to %.80q: %v", raw, err)
	}
	return received{resp.StatusCode, resp.Header, string(body)}
}

type hostileRequest struct {
	raw    string
	status int
}

// hostile are requests of the worst kind, with the status that refuses each.
func hostile() map[string]hostileRequest {
	const auth = "Host: x\r\nAuthorization: Bearer " + rootKey + "\r\n"
	post := func(path, contentType, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, auth, contentType, len(body), body)
	}
	return map[string]hostileRequest{
		"huge header":         {"GET /v1/tokens/shop HTTP/1.1\r\n" + auth + "X-Pad: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431},
		"huge key":            {"GET /v1/tokens/shop HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + strings.Repeat("a", 8<<10) + "\r\n\r\n", 401},
		"huge query":          {"GET /v1/tokens/shop?after=" + strings.Repeat("0", 5000) + " HTTP/1.1\r\n" + auth + "\r\n", 400},
		"no host":             {"GET /v1/tokens/shop HTTP/1.1\r\n\r\n", 400},
		"header injection":    {"GET /v1/tokens/shop%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\n" + auth + "\r\n", 400},
		"escaped slash":       {"GET /v1/tokens/shop%2Faccess_token HTTP/1.1\r\n" + auth + "\r\n", 400},
		"escaped twice":       {"GET /v1/tokens/%2573hop HTTP/1.1\r\n" + auth + "\r\n", 400},
		"plus":                {"GET /v1/tokens/sh+op HTTP/1.1\r\n" + auth + "\r\n", 400},
		"dots":                {"GET /v1/tokens/.. HTTP/1.1\r\n" + auth + "\r\n", 400},
		"escaped dots":        {"GET /v1/tokens/%2e%2e/status HTTP/1.1\r\n" + auth + "\r\n", 400},
		"climbing":            {"GET /v1/tokens/../apps/shop HTTP/1.1\r\n" + auth + "\r\n", 404},
		"double slash":        {"GET //v1/tokens/shop HTTP/1.1\r\n" + auth + "\r\n", 404},
		"inner slash":         {"GET /v1//tokens/shop HTTP/1.1\r\n" + auth + "\r\n", 404},
		"trailing slash":      {"GET /v1/apps/ HTTP/1.1\r\n" + auth + "\r\n", 404},
		"other case":          {"GET /V1/Tokens/shop HTTP/1.1\r\n" + auth + "\r\n", 404},
		"nul":                 {"GET /v1/tokens/shop%00 HTTP/1.1\r\n" + auth + "\r\n", 400},
		"not utf-8":           {"GET /v1/tokens/%ff HTTP/1.1\r\n" + auth + "\r\n", 400},
		"long name":           {"GET /v1/tokens/" + strings.Repeat("a", 200) + " HTTP/1.1\r\n" + auth + "\r\n", 400},
		"duplicate parameter": {"GET /v1/tokens/shop?after=1&after=2 HTTP/1.1\r\n" + auth + "\r\n", 400},
		"unknown parameter":   {"GET /v1/tokens/shop?aftre=1 HTTP/1.1\r\n" + auth + "\r\n", 400},
		"bad escape":          {"GET /v1/tokens/shop?after=%zz HTTP/1.1\r\n" + auth + "\r\n", 400},
		"semicolon":           {"GET /v1/tokens/shop?after=1;wait=2s HTTP/1.1\r\n" + auth + "\r\n", 400},
		"negative":            {"GET /v1/tokens/shop?after=-1 HTTP/1.1\r\n" + auth + "\r\n", 400},
		"overflow":            {"GET /v1/tokens/shop?after=99999999999999999999 HTTP/1.1\r\n" + auth + "\r\n", 400},
		"no unit":             {"GET /v1/tokens/shop?wait=30 HTTP/1.1\r\n" + auth + "\r\n", 400},
		"negative wait":       {"GET /v1/tokens/shop?wait=-1s HTTP/1.1\r\n" + auth + "\r\n", 400},
		"method":              {"BREW /v1/tokens/shop HTTP/1.1\r\n" + auth + "\r\n", 405},
		"trace":               {"TRACE /v1/tokens/shop HTTP/1.1\r\n" + auth + "\r\n", 405},
		"body too large":      {post("/v1/tokens/shop/access_token/report", "application/json", `{"code":"`+strings.Repeat("a", 70<<10)+`"}`), 413},
		"form":                {post("/v1/tokens/shop/access_token/report", "application/x-www-form-urlencoded", "version=7"), 415},
		"text":                {post("/v1/tokens/shop/access_token/report", "text/plain", `{"version":7}`), 415},
		"unknown field":       {post("/v1/tokens/shop/access_token/report", "application/json", `{"version":7,"vresion":8}`), 400},
		"field in other case": {post("/v1/tokens/shop/access_token/report", "application/json", `{"version":7,"Version":8}`), 400},
		"field twice":         {post("/v1/tokens/shop/access_token/report", "application/json", `{"version":7,"version":8}`), 400},
		"two bodies":          {post("/v1/tokens/shop/access_token/report", "application/json", `{"version":7}{"version":8}`), 400},
		"half a body":         {post("/v1/tokens/shop/access_token/report", "application/json", `{"version":`), 400},
		"a list":              {post("/v1/tokens/shop/access_token/report", "application/json", `[7]`), 400},
		"null":                {post("/v1/tokens/shop/access_token/report", "application/json", `null`), 400},
		"wrong type":          {post("/v1/tokens/shop/access_token/report", "application/json", `{"version":"7"}`), 400},
		"deep":                {post("/v1/tokens/shop/access_token/report", "application/json", `{"code":`+strings.Repeat("[", 10000)+`}`), 400},
		"no body":             {post("/v1/tokens/shop/access_token/report", "application/json", ""), 400},
		"code with newline":   {post("/v1/tokens/shop/access_token/report", "application/json", `{"version":7,"code":"a\nb"}`), 400},
		"pause with a body":   {post("/v1/pause", "application/json", `{"paused":false}`), 400},
	}
}

func TestHostileRequestsAreRefusedAndChangeNothing(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "the-value"))
	a, logged := newAPI(t, node)
	address := listen(t, a.Handler())
	for name, c := range hostile() {
		t.Run(name, func(t *testing.T) {
			got := send(t, address, c.raw)
			if got.status != c.status {
				t.Errorf("status %d, want %d: %s", got.status, c.status, got.body)
			}
			if got.header.Get("Set-Cookie") != "" || got.header.Get("Location") != "" {
				t.Errorf("headers %v", got.header)
			}
			if c.status == http.StatusMethodNotAllowed && got.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow %q", got.header.Get("Allow"))
			}
			if strings.Contains(got.body, "the-value") {
				t.Error("the answer holds the value")
			}
		})
	}
	if len(node.calls) > 0 {
		t.Errorf("hostile requests did %v", node.calls)
	}
	if strings.Contains(logged.String(), rootKey) {
		t.Error("the key was logged")
	}
}

func TestRefusalsNameWhatIsWrong(t *testing.T) {
	a, _ := newAPI(t, newFake().root())
	for _, c := range []struct{ method, target, body, want string }{
		{http.MethodGet, "/v1/tokens/shop?aftre=1", "", `"aftre"`},
		{http.MethodGet, "/v1/tokens/shop?wait=1s&wait=2s", "", `"wait" is given 2 times`},
		{http.MethodPut, "/v1/apps/shop", `{"provider":"wechat","secret":"s3cret"}`, `"secret"`},
		{http.MethodPut, "/v1/apps/shop", `{"refresh":{"windw":"33%"}}`, `"windw"`},
		{http.MethodPut, "/v1/apps/shop", `{"refresh":{"window":"133%"}}`, `"133%"`},
		{http.MethodPut, "/v1/apps/shop", `{"paused":"yes"}`, `"paused"`},
		{http.MethodPut, "/v1/apps/shop", `{"credentials":{"secret":5}}`, `"credentials"`},
		{http.MethodPut, "/v1/apps/shop", `{"labels":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, "nested deeper"},
		{http.MethodGet, "/v1/apps?limit=0", "", `limit="0"`},
		{http.MethodGet, "/v1/states?state=fine", "", `state="fine"`},
	} {
		p := refused(t, do(t, a.Handler(), ask{method: c.method, target: c.target, body: c.body}), 400, "invalid_request")
		if !strings.Contains(p.Detail, c.want) || strings.Contains(p.Detail, "s3cret") {
			t.Errorf("%s %s %s: %q does not name %s", c.method, c.target, c.body, p.Detail, c.want)
		}
	}
}

func TestTextsStayReadable(t *testing.T) {
	v := token("shop", 7, "v")
	v.State.Reason = "not_json: <html> & more"
	a, _ := newAPI(t, newFake().root().hold(v))
	if w := get(t, a.Handler(), "/v1/states/shop"); !strings.Contains(w.Body.String(), v.State.Reason) {
		t.Errorf("got %s", w.Body)
	}
}

func TestAPanicIsA500AndLogsNoHeaders(t *testing.T) {
	node := newFake().root()
	node.views[coordinator.Name{App: "shop", Token: "access_token"}] = nil // the fake dereferences it
	a, logged := newAPI(t, node)
	refused(t, get(t, a.Handler(), "/v1/states/shop"), 500, "internal_error")
	text := logged.String()
	if !strings.Contains(text, "handler panicked") || !strings.Contains(text, "/v1/states/{app}") {
		t.Errorf("log: %s", text)
	}
	if strings.Contains(text, rootKey) {
		t.Error("the key was logged")
	}
}

func TestABrokenAnswerDoesNotLookWhole(t *testing.T) {
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half of i")
		panic("mistake")
	})
	a, err := New(Config{Node: newFake(), Metrics: broken})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // net/http compares so
			t.Errorf("panic %v, want that which makes net/http close the connection", got)
		}
	}()
	get(t, a.OpsHandler(), "/metrics")
}

func TestAStoreThatHangsDoesNotHoldTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newFake().root()
		node.hangs = true
		a, _ := newAPI(t, node)
		began := time.Now()
		refused(t, do(t, a.Handler(), ask{method: http.MethodDelete, target: "/v1/apps/shop"}), 503, "store_unavailable")
		if took := time.Since(began); took != DefaultTimeLimit {
			t.Errorf("took %s", took)
		}
	})
}

func TestAClientThatGoesAwayFreesItsWaiter(t *testing.T) {
	node := newFake().root().hold(token("shop", 7, "v"))
	a, _ := newAPI(t, node)
	address := listen(t, a.Handler())
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET /v1/tokens/shop?after=7&wait=50s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\n\r\n")
	waitFor(t, node, 1)
	_ = conn.Close()
	waitFor(t, node, 0)
}

// waitFor waits until so many reads wait.
func waitFor(t *testing.T, node *fakeNode, readers int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		node.mu.Lock()
		waiting := node.waiting
		node.mu.Unlock()
		if waiting == readers {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d reads wait, want %d", waiting, readers)
		}
	}
}

func TestServerLimitsConnectionsButNotTheLongestWait(t *testing.T) {
	s := Server("127.0.0.1:0", http.NotFoundHandler(), 0, nil)
	if s.ReadHeaderTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 || s.ReadTimeout <= DefaultMaxWait || s.WriteTimeout <= DefaultMaxWait {
		t.Errorf("server %+v", s)
	}
}
