package httpapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"freshet/coordinator"
)

// patienceOfTests is how long a test waits for what must come.
const patienceOfTests = 30 * time.Second

func TestACallIsCarriedWithTheValuePutIn(t *testing.T) {
	platform := &platformOf{alive: deadValue, answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}}
	r := relayTo(t, platform, nil)
	got := r.call(t, http.MethodPatch, "/proxy/shop/v2/a%2Fb/%E4%BD%A0?q=a+b&empty=&q=%2e", strings.NewReader("the body"), http.Header{"X-Mine": {"kept"}})
	if got.status != http.StatusTeapot || got.body != "short and stout" || got.header.Get("X-Answer") != "yes" {
		t.Errorf("answer %+v", got)
	}
	if got.header.Get("Freshet-Version") != "7" || got.header.Get("Freshet-Node") != "n1" || got.header.Get("Freshet-Problem") != "" {
		t.Errorf("headers %v", got.header)
	}
	sent := platform.sent()
	if len(sent) != 1 {
		t.Fatalf("%d calls", len(sent))
	}
	if s := sent[0]; s.method != http.MethodPatch || s.target != "/v2/a%2Fb/%E4%BD%A0?q=a+b&empty=&q=%2e" || s.body != "the body" || s.header.Get("X-Mine") != "kept" {
		t.Errorf("sent %+v", s)
	}
}

func TestADeadValueHealsWithinTheCall(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		platform := &platformOf{alive: freshValue}
		r := relayTo(t, platform, nil).replaces()
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader("the body")
		}
		got := r.call(t, method, "/proxy/shop/x", body, nil)
		if got.status != http.StatusOK || got.body != "done" || got.header.Get("Freshet-Version") != "8" || got.header.Get("Freshet-Replayed") != "true" {
			t.Errorf("%s: %+v", method, got)
		}
		sent := platform.sent()
		if len(sent) != 2 || sent[1].body != sent[0].body || sent[1].header.Get("Authorization") != "Bearer "+freshValue {
			t.Errorf("%s: sent %+v", method, sent)
		}
		want := []coordinator.ReportCall{{Version: 7, Code: "401"}}
		if len(r.node.reported) != 1 || r.node.reported[0] != want[0] {
			t.Errorf("%s: reported %+v", method, r.node.reported)
		}
	}
}

// TestAReplayIsNotSkippedWhereSomebodyElseRefreshed is the well-known mistake: the
// value is new already when the refusal arrives, so nothing seems to be left to do.
func TestAReplayIsNotSkippedWhereSomebodyElseRefreshed(t *testing.T) {
	var r *relay
	platform := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Authorization") == "Bearer "+freshValue {
			_, _ = io.WriteString(w, "done")
			return
		}
		r.node.publish(token("shop", 8, freshValue)) // while the call was on its way
		w.WriteHeader(http.StatusUnauthorized)
	})
	r = relayTo(t, platform, nil)
	if got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil); got.status != http.StatusOK || got.body != "done" {
		t.Errorf("answer %+v", got)
	}
	if len(r.node.reported) != 0 {
		t.Errorf("reported %+v, though a newer value was there", r.node.reported)
	}
}

func TestADeadAnswerPassesWhereNothingNewComes(t *testing.T) {
	for name, prepare := range map[string]func(r *relay){
		"the platform says it lives": func(r *relay) { r.node.report.Answer = coordinator.AnswerAlive },
		"throttled":                  func(r *relay) { r.node.report.Answer = coordinator.AnswerThrottled },
		"the same value again":       func(r *relay) { r.node.onReport = func() { r.node.publish(token("shop", 8, deadValue)) } },
		"not in time":                func(*relay) {},
		"the report fails":           func(r *relay) { r.node.err = coordinator.ErrAmbiguous },
	} {
		platform := &platformOf{alive: freshValue}
		r := relayTo(t, platform, func(c *Config, _ *coordinator.Injection) { c.Forward.Heal = 20 * time.Millisecond })
		prepare(r)
		got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil)
		if got.status != http.StatusUnauthorized || got.body != "who is this\n" || got.header.Get("Freshet-Problem") != "" {
			t.Errorf("%s: %+v", name, got)
		}
		if n := len(platform.sent()); n != 1 {
			t.Errorf("%s: %d calls", name, n)
		}
	}
}

func TestACallIsMadeOnceMoreAndNotTwice(t *testing.T) {
	platform := &platformOf{alive: "something else"}
	r := relayTo(t, platform, nil).replaces()
	if got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil); got.status != http.StatusUnauthorized {
		t.Errorf("answer %+v", got)
	}
	if n := len(platform.sent()); n != 2 {
		t.Errorf("%d calls", n)
	}
}

func TestOnlyABodyThatWasKeptIsSentAgain(t *testing.T) {
	const most = 64 << 10
	for name, c := range map[string]struct {
		body     io.Reader
		replayed bool
	}{
		"just short enough":        {strings.NewReader(strings.Repeat("a", most)), true},
		"too long by its word":     {strings.NewReader(strings.Repeat("a", most+1)), false},
		"of no length, short":      {io.MultiReader(strings.NewReader(strings.Repeat("a", most))), true},
		"of no length, too long":   {io.MultiReader(strings.NewReader(strings.Repeat("a", most+1))), false},
		"of no length and nothing": {io.MultiReader(strings.NewReader("")), true},
	} {
		platform := &platformOf{alive: freshValue}
		r := relayTo(t, platform, func(c *Config, _ *coordinator.Injection) { c.Forward.Keep = most }).replaces()
		got := r.call(t, http.MethodPost, "/proxy/shop/x", c.body, nil)
		if replayed := got.status == http.StatusOK; replayed != c.replayed {
			t.Errorf("%s: status %d, want a replay: %t", name, got.status, c.replayed)
		}
		sent := platform.sent()
		if len(r.node.reported) != 1 || sent[0].body != sent[len(sent)-1].body || c.replayed != (len(sent) == 2) {
			t.Errorf("%s: %d reports, %d calls", name, len(r.node.reported), len(sent))
		}
		if left := r.api.forwards.room.left.Load(); left != most*forwardRoom {
			t.Errorf("%s: %d bytes of the room are not given back", name, most*forwardRoom-left)
		}
	}
}

// TestAPlatformThatRefusesWithoutListening answers before it has read the body.
func TestAPlatformThatRefusesWithoutListening(t *testing.T) {
	const length = 1 << 20
	platform := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Authorization") != "Bearer "+freshValue {
			w.Header().Set("Connection", "close") // or net/http would listen all the same
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		n, _ := io.Copy(io.Discard, q.Body)
		_, _ = fmt.Fprint(w, n)
	})
	r := relayTo(t, platform, nil).replaces()
	got := r.call(t, http.MethodPost, "/proxy/shop/x", bytes.NewReader(make([]byte, length)), nil)
	if got.status != http.StatusOK || got.body != strconv.Itoa(length) {
		t.Errorf("answer %+v", got)
	}
}

func TestNoRoomMeansNoReplayAndNoRefusal(t *testing.T) {
	platform := &platformOf{alive: freshValue}
	r := relayTo(t, platform, nil).replaces()
	r.api.forwards.room.left.Store(3)
	if got := r.call(t, http.MethodPost, "/proxy/shop/x", strings.NewReader("long"), nil); got.status != http.StatusUnauthorized || len(platform.sent()) != 1 {
		t.Errorf("answer %+v after %d calls", got, len(platform.sent()))
	}
	if got := r.call(t, http.MethodPost, "/proxy/shop/x", strings.NewReader("long"), nil); got.status != http.StatusOK {
		t.Errorf("with the next value: %+v", got)
	}
}

func TestNothingIsRepeatedAfterABrokenConnection(t *testing.T) {
	var calls atomic.Int64
	platform := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	})
	r := relayTo(t, platform, nil)
	got := r.call(t, http.MethodPost, "/proxy/shop/x", strings.NewReader("pay"), nil)
	if got.status != http.StatusBadGateway || got.header.Get("Freshet-Problem") != "upstream_lost" || calls.Load() != 1 {
		t.Errorf("%d calls, answer %+v", calls.Load(), got)
	}
}

func TestAPlatformThatCannotBeReachedIsSaidSo(t *testing.T) {
	const nobody = "127.0.0.1:1" // no test can be given this port
	r := relayTo(t, http.NotFoundHandler(), func(_ *Config, i *coordinator.Injection) { i.Base.Host = nobody })
	got := r.call(t, http.MethodPost, "/proxy/shop/x", strings.NewReader("pay"), nil)
	if got.status != http.StatusBadGateway || got.header.Get("Freshet-Problem") != "upstream_unreachable" || got.header.Get("Retry-After") == "" {
		t.Errorf("answer %+v", got)
	}
	if strings.Contains(got.body, nobody) {
		t.Errorf("the problem tells of our inside: %s", got.body)
	}
}

// zipped encodes a body.
func zipped(coding, text string) []byte {
	var out bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&out)
	if coding == "deflate" {
		z = zlib.NewWriter(&out)
	}
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return out.Bytes()
}

func TestARefusalInTheBodyIsNoticed(t *testing.T) {
	const refusal = `{"errcode":40001,"errmsg":"invalid credential"}`
	long := `{"errmsg":"` + strings.Repeat("a", coordinator.DeadBody) + `","errcode":40001}`
	for name, c := range map[string]struct {
		header  map[string]string
		body    []byte
		noticed bool
	}{
		"plain":                 {map[string]string{"Content-Type": "application/json; encoding=utf-8"}, []byte(refusal), true},
		"an odd type":           {map[string]string{"Content-Type": "text/plain"}, []byte(refusal), true},
		"no type":               {map[string]string{"Content-Type": ""}, []byte(" \n" + refusal), true},
		"gzip":                  {map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, zipped("gzip", refusal), true},
		"deflate":               {map[string]string{"Content-Type": "application/json", "Content-Encoding": "deflate"}, zipped("deflate", refusal), true},
		"not gzip, but says so": {map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, []byte(refusal), false},
		"another coding":        {map[string]string{"Content-Type": "application/json", "Content-Encoding": "br"}, []byte(refusal), false},
		"a picture":             {map[string]string{"Content-Type": "image/png"}, []byte(refusal), false},
		"a stream of events":    {map[string]string{"Content-Type": "text/event-stream"}, []byte(refusal), false},
		"a list":                {map[string]string{"Content-Type": "application/json"}, []byte("[" + refusal + "]"), false},
		"too long":              {map[string]string{"Content-Type": "application/json"}, []byte(long), false},
		"long in little":        {map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, zipped("gzip", long), false},
		"nothing":               {map[string]string{"Content-Type": "application/json"}, nil, false},
	} {
		for _, chunked := range []bool{false, true} {
			platform := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.Header.Get("Authorization") == "Bearer "+freshValue {
					_, _ = io.WriteString(w, "done")
					return
				}
				for name, value := range c.header {
					w.Header()[name] = []string{value}
				}
				if chunked {
					w.(http.Flusher).Flush()
				}
				_, _ = w.Write(c.body)
			})
			r := relayTo(t, platform, nil).replaces()
			got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, http.Header{"Accept-Encoding": {"gzip, deflate, br"}})
			want := string(c.body)
			if c.noticed {
				want = "done"
			}
			if got.status != http.StatusOK || got.body != want || (len(r.node.reported) == 1) != c.noticed {
				t.Errorf("%s, chunked %t: %d bytes, status %d, %d reports", name, chunked, len(got.body), got.status, len(r.node.reported))
			}
		}
	}
}

func TestALivingAnswerPassesByteForByte(t *testing.T) {
	long := `{"errcode":0,"list":"` + strings.Repeat("long ", 1<<16) + `"}`
	for _, coding := range []string{"gzip", "deflate"} {
		body := zipped(coding, long)
		r := relayTo(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", coding)
			_, _ = w.Write(body)
		}), nil)
		got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, http.Header{"Accept-Encoding": {coding}})
		if got.body != string(body) || got.header.Get("Content-Encoding") != coding {
			t.Errorf("%s: %d bytes of %d, %v", coding, len(got.body), len(body), got.header)
		}
	}
}

// TestAnAnswerArrivesPieceByPiece sends each piece only when the one before arrived.
func TestAnAnswerArrivesPieceByPiece(t *testing.T) {
	for _, media := range []string{"text/event-stream", "application/x-ndjson", "application/json", "text/plain", "application/octet-stream"} {
		arrived := make(chan struct{})
		r := relayTo(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			for i := range 5 {
				_, _ = fmt.Fprintf(w, "{\"piece\":%d}\n", i)
				w.(http.Flusher).Flush()
				<-arrived
			}
		}), nil)
		resp := r.open(t, http.MethodGet, "/proxy/shop/x", nil, nil)
		lines := bufio.NewReader(resp.Body)
		for i := range 5 {
			line, err := lines.ReadString('\n')
			if err != nil || line != fmt.Sprintf("{\"piece\":%d}\n", i) {
				t.Fatalf("%s: piece %d: %q, %v", media, i, line, err)
			}
			arrived <- struct{}{}
		}
		_ = resp.Body.Close()
	}
}

// TestBothSidesSpeakInTurn has an answer begin while the request goes on.
func TestBothSidesSpeakInTurn(t *testing.T) {
	r := relayTo(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(err)
		}
		for lines := bufio.NewScanner(q.Body); lines.Scan(); {
			_, _ = fmt.Fprintf(w, "you said %s\n", lines.Text())
			w.(http.Flusher).Flush()
		}
	}), nil)
	body, say := io.Pipe()
	defer func() { _ = say.Close() }()
	go func() { _, _ = io.WriteString(say, "line 0\n") }()
	resp := r.open(t, http.MethodPost, "/proxy/shop/x", body, http.Header{"Content-Type": {"text/plain"}})
	defer func() { _ = resp.Body.Close() }()
	heard := bufio.NewReader(resp.Body)
	for i := range 3 {
		if line, err := heard.ReadString('\n'); err != nil || line != fmt.Sprintf("you said line %d\n", i) {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = fmt.Fprintf(say, "line %d\n", i+1)
	}
}

func TestTrailersArrive(t *testing.T) {
	r := relayTo(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "4")
	}), nil)
	resp := r.open(t, http.MethodGet, "/proxy/shop/x", nil, nil)
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadAll(resp.Body); err != nil || resp.Trailer.Get("X-Sum") != "4" {
		t.Errorf("trailer %v, %v", resp.Trailer, err)
	}
}

// echoing is a platform that switches protocols for a living value, and then sends
// back each line it is sent.
func echoing(alive string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Authorization") != "Bearer "+alive {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + q.Header.Get("Upgrade") + "\r\nSet-Cookie: a=b\r\n\r\n")
		_ = both.Flush()
		for {
			line, err := both.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = both.WriteString("you said " + line)
			_ = both.Flush()
		}
	})
}

func TestAnUpgradedConnectionPasses(t *testing.T) {
	r := relayTo(t, echoing(freshValue), nil).replaces() // refused at first, and healed
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
	_, _ = io.WriteString(conn, "GET /proxy/shop/socket HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Set-Cookie") != "" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	for i := range 3 {
		_, _ = fmt.Fprintf(conn, "line %d\n", i)
		if line, err := answers.ReadString('\n'); err != nil || line != "you said line "+strconv.Itoa(i)+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
}
