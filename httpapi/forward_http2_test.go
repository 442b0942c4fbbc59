package httpapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/wechat"
)

// secured is a relay whose platform speaks TLS and offers HTTP/2, as most do, and
// whose clients speak HTTP/2 to us.
type secured struct {
	*relay

	url    string
	client *http.Client
}

// platformOverTLS lets a platform speak TLS and offer HTTP/2. It is reached by the
// transport of production, which also knows the authority of the test.
func platformOverTLS(t testing.TB, platform http.Handler) (url.URL, http.RoundTripper) {
	t.Helper()
	upstream := httptest.NewUnstartedServer(platform)
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	base, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport, ok := forwardTransport(patienceOfTests).(*http.Transport)
	if !ok {
		t.Fatal("calls are carried by another kind of transport")
	}
	known := x509.NewCertPool()
	known.AddCert(upstream.Certificate())
	transport.TLSClientConfig = &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12}
	t.Cleanup(transport.CloseIdleConnections)
	return *base, transport
}

// relayOverTLS is relayTo over TLS on both sides.
func relayOverTLS(t testing.TB, platform http.Handler) *secured {
	t.Helper()
	base, transport := platformOverTLS(t, platform)
	s := &secured{relay: relayTo(t, platform, func(c *Config, i *coordinator.Injection) { i.Base, c.Forward.Transport = base, transport })}
	s.url, s.client = overHTTP2(t, s.api.Handler())
	return s
}

// overHTTP2 serves a handler over TLS to a client that speaks HTTP/2.
func overHTTP2(t testing.TB, h http.Handler) (string, *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, server.Client()
}

// ask begins a call over HTTP/2; reused says whether a kept connection carried it.
func (s *secured) ask(t testing.TB, method, path string, body io.Reader) (resp *http.Response, reused bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
	t.Cleanup(cancel)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
	q, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+rootKey)
	resp, err = s.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.ProtoMajor != 2 {
		t.Errorf("%s was answered over %s", path, resp.Proto)
	}
	return resp, reused
}

// The platform is asked over HTTP/1.1 although it offers HTTP/2: only so can a
// connection be upgraded.
func TestADeadValueHealsOverTLSAndHTTP2(t *testing.T) {
	platform := &platformOf{alive: freshValue, answer: func(w http.ResponseWriter, q *http.Request) { _, _ = io.WriteString(w, q.Proto) }}
	s := relayOverTLS(t, platform)
	s.replaces()
	for name, body := range map[string]io.Reader{
		"of a length": strings.NewReader("the body"), "of none": io.MultiReader(strings.NewReader("the "), strings.NewReader("body")),
	} {
		s.node.hold(token("shop", 7, deadValue))
		resp, _ := s.ask(t, http.MethodPost, "/proxy/shop/pay", body)
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || string(text) != "HTTP/1.1" || resp.Header.Get("Freshet-Replayed") != "true" {
			t.Errorf("%s: %s %q %v, %v", name, resp.Status, text, resp.Header, err)
		}
		sent := platform.sent()
		if len(sent) < 2 {
			t.Fatalf("%s: %d calls", name, len(sent))
		}
		for _, call := range sent[len(sent)-2:] {
			if call.body != "the body" {
				t.Errorf("%s: sent %+v", name, call)
			}
		}
	}
}

// conversing is a platform that answers each line of a body before the next comes.
func conversing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		heard := bufio.NewReader(q.Body)
		for {
			line, err := heard.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "you said "+line)
			_ = http.NewResponseController(w).Flush()
		}
	})
}

// Both directions are streamed. Over HTTP/2 a call whose body is still on its way
// when its answer begins is no reason to close the connection, which carries others.
func TestBothDirectionsAreStreamedOverHTTP2(t *testing.T) {
	s := relayOverTLS(t, conversing())
	for i := range 2 {
		body, say := io.Pipe()
		go func() { _, _ = io.WriteString(say, "line 0\n") }()
		resp, reused := s.ask(t, http.MethodPost, "/proxy/shop/x", body)
		if reused != (i == 1) {
			t.Errorf("call %d: a kept connection %t", i, reused)
		}
		heard := bufio.NewReader(resp.Body)
		for n := range 3 {
			if line, err := heard.ReadString('\n'); err != nil || line != fmt.Sprintf("you said line %d\n", n) {
				t.Fatalf("%q, %v", line, err)
			}
			_, _ = fmt.Fprintf(say, "line %d\n", n+1)
		}
		_ = say.Close()
		if rest, err := io.ReadAll(heard); err != nil || string(rest) != "you said line 3\n" {
			t.Errorf("the end is %q, %v", rest, err)
		}
		_ = resp.Body.Close()
	}
	eventually(t, s.idle)
}

// spoken is a platform that answers every call with bytes as they are.
func spoken(raw string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, q.Body)
		_, _ = both.WriteString(raw)
		_ = both.Flush()
		_ = conn.Close()
	})
}

// Trailers are headers that come late: what would not pass before a body does not
// pass behind it, announced or not.
func TestTrailersAreFitToPass(t *testing.T) {
	const trailers = "X-Sum: 4\r\nX-Echo: you sent " + deadValue + "\r\nSet-Cookie: canary=1\r\nFreshet-Problem: forged\r\n" +
		"Alt-Svc: canary\r\nKeep-Alive: canary\r\nProxy-Authenticate: canary\r\nUpgrade: canary\r\nContent-Length: 5\r\n\r\n"
	for name, header := range map[string]string{
		"announced":                     "Trailer: X-Sum, X-Echo, Set-Cookie, Freshet-Problem, Alt-Svc, Keep-Alive, Proxy-Authenticate, Upgrade\r\nContent-Type: image/png\r\n",
		"not announced":                 "Content-Type: image/png\r\n",
		"of a body that is looked into": "Content-Type: text/plain\r\n",
	} {
		platform := spoken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + header + "\r\n4\r\nbody\r\n0\r\n" + trailers)
		s := relayOverTLS(t, platform)
		over1 := s.open(t, http.MethodGet, "/proxy/shop/x", nil, nil)
		defer func() { _ = over1.Body.Close() }()
		over2, _ := s.ask(t, http.MethodGet, "/proxy/shop/x", nil)
		defer func() { _ = over2.Body.Close() }()
		for version, resp := range map[string]*http.Response{"HTTP/1.1": over1, "HTTP/2": over2} {
			if promised := len(resp.Trailer); name == "announced" && promised != 2 {
				t.Errorf("%s: %d trailers are announced, want 2", version, promised)
			}
			if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "body" {
				t.Errorf("%s, %s: %q, %v", name, version, text, err)
			}
			if got := resp.Trailer; len(got) != 2 || got.Get("X-Sum") != "4" || got.Get("X-Echo") != "you sent "+hidden {
				t.Errorf("%s, %s: trailers %v", name, version, got)
			}
		}
	}
}

// Over HTTP/2 there is nothing to upgrade: an answer that switches protocols is
// the platform's mistake, and the connection carries the next call.
func TestAnUpgradeIsRefusedOverHTTP2(t *testing.T) {
	s := relayOverTLS(t, spoken("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
	for i := range 2 {
		resp, reused := s.ask(t, http.MethodGet, "/proxy/shop/socket", nil)
		if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Freshet-Problem") == "" || reused != (i == 1) {
			t.Errorf("call %d: %s %v, a kept connection %t", i, resp.Status, resp.Header, reused)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/proxy/shop/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Upgrade", "websocket")
	if resp, err := s.client.Do(q); err == nil {
		_ = resp.Body.Close()
		t.Errorf("a wish to upgrade was answered with %s", resp.Status)
	}
	eventually(t, s.idle)
}

// What a client gives up over HTTP/2 is given up at the platform.
func TestACallGivenUpOverHTTP2EndsAtThePlatform(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	s := relayOverTLS(t, http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		close(begun)
		<-q.Context().Done()
		close(ended)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/proxy/shop/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+rootKey)
	go func() {
		<-begun
		cancel()
	}()
	resp, err := s.client.Do(q)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	select {
	case <-ended:
	case <-time.After(patienceOfTests):
		t.Fatal("the platform still works on it")
	}
	eventually(t, s.idle)
}

// The surface for WeChat's SDKs forwards alike: a value that the platform calls
// dead in a body of 200 is replaced within the call.
func TestWeChatsCallsHealOverTLSAndHTTP2(t *testing.T) {
	platform := &platformOf{open: true, answer: func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json; encoding=utf-8")
		w.Header().Set("Trailer", "X-Sum")
		defer w.Header().Set("X-Sum", "4")
		defer w.Header().Set(http.TrailerPrefix+"Freshet-Problem", "forged")
		if q.URL.Query().Get("access_token") == deadValue {
			_, _ = io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
			return
		}
		_, _ = io.WriteString(w, `{"errcode":0}`)
	}}
	base, transport := platformOverTLS(t, platform)
	node := newWechatNode()
	node.hold(token("shop", 7, deadValue))
	node.values[deadValue] = []coordinator.Name{{App: "shop", Token: "access_token"}}
	node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
	node.onReport = func() { node.publish(token("shop", 8, freshValue)) }
	injection, err := wechat.New(wechat.Config{}).Injection(node.apps["shop"])
	if err != nil {
		t.Fatal(err)
	}
	injection.Base = base
	node.injections = map[string]coordinator.Injection{"shop": injection}
	at, c := overHTTP2(t, newCompat(t, node, func(c *Config) { c.Forward.Transport = transport }))
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/compat/wechat/cgi-bin/menu?access_token="+deadValue, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.ProtoMajor != 2 || string(text) != `{"errcode":0}` || resp.Header.Get("Freshet-Replayed") != "true" {
		t.Errorf("%s %q %v, %v", resp.Proto, text, resp.Header, err)
	}
	if len(resp.Trailer) != 1 || resp.Trailer.Get("X-Sum") != "4" {
		t.Errorf("trailers %v", resp.Trailer)
	}
	var sent []string
	for _, call := range platform.sent() {
		sent = append(sent, call.target+" "+call.body)
	}
	want := []string{"/cgi-bin/menu?access_token=" + deadValue + " {}", "/cgi-bin/menu?access_token=" + freshValue + " {}"}
	if !slices.Equal(sent, want) {
		t.Errorf("sent %q", sent)
	}
}
