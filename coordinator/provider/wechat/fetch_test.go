package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// seen is a request as the platform meets it.
type seen struct {
	Method, Path, Type, Agent string
	Query                     url.Values
	Body                      map[string]any
	Length                    int64
	Encoding                  []string
}

func TestRequestsHaveThePlatformsShape(t *testing.T) {
	requests := make(chan seen, 1)
	upstream := serving(t, func(w http.ResponseWriter, r *http.Request) {
		s := seen{
			Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Agent: r.UserAgent(),
			Type: r.Header.Get("Content-Type"), Length: r.ContentLength, Encoding: r.TransferEncoding,
		}
		if body, _ := io.ReadAll(r.Body); len(body) > 0 {
			_ = json.Unmarshal(body, &s.Body)
			s.Length = 0 // told by the body
		}
		requests <- s
		_, _ = io.WriteString(w, `{"errcode":0,"access_token":"v","ticket":"v","expires_in":7200}`)
	})
	stable, plain := testApp(upstream, modeStable), testApp(upstream, modePlain)
	forced := callOf(t, stable, AccessToken, "")
	forced.Force = true
	client := map[string]any{"grant_type": "client_credential", "appid": testAppID, "secret": testSecret}
	forcing := map[string]any{"force_refresh": true}
	maps.Copy(forcing, client)
	tests := []struct {
		name string
		call coordinator.Call
		want seen
	}{
		{"stable", callOf(t, stable, AccessToken, ""), seen{Method: "POST", Path: "/cgi-bin/stable_token", Body: client}},
		{"forced", forced, seen{Method: "POST", Path: "/cgi-bin/stable_token", Body: forcing}},
		{"plain", callOf(t, plain, AccessToken, ""), seen{
			Method: "GET", Path: "/cgi-bin/token",
			Query: url.Values{"grant_type": {"client_credential"}, "appid": {testAppID}, "secret": {testSecret}},
		}},
		{"jsapi", callOf(t, stable, JSAPITicket, testToken), seen{
			Method: "GET", Path: "/cgi-bin/ticket/getticket",
			Query: url.Values{"access_token": {testToken}, "type": {"jsapi"}},
		}},
		{"wx_card", callOf(t, plain, WxCardTicket, testToken), seen{
			Method: "GET", Path: "/cgi-bin/ticket/getticket",
			Query: url.Values{"access_token": {testToken}, "type": {"wx_card"}},
		}},
	}
	p := New(Config{UserAgent: "freshet/test"})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			grant, err := p.Fetch(t.Context(), test.call)
			if err != nil {
				t.Fatal(err)
			}
			value := grant.Values[test.call.Group.Name]
			if len(grant.Values) != 1 || value.Value.Reveal() != "v" || value.Lifetime != 2*time.Hour {
				t.Errorf("granted %+v, want v for 2 h", grant)
			}
			test.want.Agent = "freshet/test"
			if test.want.Query == nil {
				test.want.Query = url.Values{}
				test.want.Type = "application/json"
			}
			if diff := cmp.Diff(test.want, <-requests); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("probe", func(t *testing.T) {
		if got := verdict(t, p, callOf(t, plain, AccessToken, testToken)); got != alive {
			t.Errorf("probe: %s, want alive", got)
		}
		want := seen{
			Method: "POST", Path: "/cgi-bin/openapi/quota/get", Agent: "freshet/test", Type: "application/json",
			Query: url.Values{"access_token": {testToken}}, Body: map[string]any{"cgi_path": "/cgi-bin/token"},
		}
		if diff := cmp.Diff(want, <-requests); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	})
}

// hijacked answers with raw bytes and closes.
func hijacked(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, raw)
		_ = conn.Close()
	}
}

func status(code int, header, value string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(header, value)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"access_token":"`+freshValue+`","expires_in":7200}`)
	}
}

// hostile are answers nobody should send, and the code of the error they make.
func hostile() map[string]struct {
	handler http.HandlerFunc
	code    string
} {
	type row = struct {
		handler http.HandlerFunc
		code    string
	}
	said := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	fresh := `{"access_token":"` + freshValue + `","ticket":"` + freshValue + `","expires_in":`
	return map[string]row{
		"bad gateway":         {status(502, "X", "x"), "http_502"},
		"unavailable":         {status(503, "Retry-After", "7"), "http_503"},
		"too many":            {status(429, "Retry-After", "7"), "http_429"},
		"redirect":            {status(302, "Location", "/elsewhere"), "http_302"},
		"created":             {status(201, "X", "x"), "http_201"},
		"html":                {said("<html>" + freshValue), "not_json"},
		"empty":               {said(""), "empty"},
		"cut":                 {hijacked("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + fresh), "truncated"},
		"huge":                {said(fresh + `7200,"x":"` + strings.Repeat("x", 1<<20) + `"}`), "too_large"},
		"just too large":      {said(fresh + "7200}" + strings.Repeat(" ", maxBody)), "too_large"},
		"closed at once":      {hijacked(""), "connection_lost"},
		"no HTTP":             {hijacked(fresh + "7200}\r\n\r\n"), "connection_lost"},
		"bad header":          {hijacked("HTTP/1.1 200 OK\r\n" + freshValue + "\r\n\r\n"), "connection_lost"},
		"half a status line":  {hijacked("HTTP/1.1 20"), "connection_lost"},
		"huge header":         {hijacked("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n" + success), "connection_lost"},
		"no lifetime":         {said(strings.TrimSuffix(fresh, `,"expires_in":`) + "}"), "bad_lifetime"},
		"zero lifetime":       {said(fresh + "0}"), "bad_lifetime"},
		"absurd lifetime":     {said(fresh + "1e15}"), "bad_lifetime"},
		"errcode of no sense": {said(fresh + `7200,"errcode":"` + freshValue + `"}`), "bad_errcode"},
	}
}

func TestHostileAnswersCostOneRequestAndAreAmbiguous(t *testing.T) {
	for name, test := range hostile() {
		t.Run(name, func(t *testing.T) {
			var arrived atomic.Int64
			upstream := serving(t, func(w http.ResponseWriter, r *http.Request) {
				arrived.Add(1)
				test.handler(w, r)
			})
			count := &counter{RoundTripper: outbound.NewTransport()}
			p := New(Config{Transport: count})
			calls := everyCall(t, upstream)
			for what, call := range calls {
				before := arrived.Load()
				_, err := p.Fetch(t.Context(), call)
				up := upstreamError(t, err)
				if up.Class != retry || up.Code != test.code || !up.Ambiguous || up.Egress || up.Token != "" {
					t.Errorf("%s: %+v; want %s, ambiguous", what, up, test.code)
				}
				if n := arrived.Load() - before; n != 1 {
					t.Errorf("%s: %d requests arrived, want 1", what, n)
				}
			}
			if n := count.n.Load(); n != int64(len(calls)) {
				t.Errorf("%d requests sent, want %d", n, len(calls))
			}
		})
	}
}

// everyCall is one call of each kind there is.
func everyCall(t *testing.T, upstream string) map[string]coordinator.Call {
	t.Helper()
	stable := testApp(upstream, modeStable)
	forced := callOf(t, stable, AccessToken, "")
	forced.Force = true
	return map[string]coordinator.Call{
		"stable": callOf(t, stable, AccessToken, ""), "forced": forced,
		"plain":  callOf(t, testApp(upstream, modePlain), AccessToken, ""),
		"ticket": callOf(t, stable, JSAPITicket, testToken),
	}
}

func TestOfAnEndlessAnswerLittleIsRead(t *testing.T) {
	endless := &endlessBody{}
	transport := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: endless}, nil
	})
	_, err := New(Config{Transport: transport}).Fetch(t.Context(), callOf(t, testApp("", modeStable), AccessToken, ""))
	if up := upstreamError(t, err); up.Code != "too_large" || endless.read > maxBody+1 || !endless.closed {
		t.Errorf("%+v after %d bytes, closed %v; want too_large, %d bytes, closed", up, endless.read, endless.closed, maxBody+1)
	}
}

// endlessBody ends after a mebibyte, for the sake of a reader that does not stop.
type endlessBody struct {
	read   int
	closed bool
}

func (b *endlessBody) Read(p []byte) (int, error) {
	if b.read > 1<<20 {
		return 0, io.EOF
	}
	b.read += len(p)
	return len(p), nil
}

func (b *endlessBody) Close() error {
	b.closed = true
	return nil
}

func TestAKeptConnectionThatBreaksIsNotTriedAgain(t *testing.T) {
	for name := range everyCall(t, "") {
		t.Run(name, func(t *testing.T) {
			var arrived atomic.Int64
			upstream := serving(t, func(w http.ResponseWriter, _ *http.Request) {
				if arrived.Add(1) > 1 {
					panic(http.ErrAbortHandler) // net/http's client would send a GET again now
				}
				_, _ = io.WriteString(w, `{"access_token":"v","ticket":"v","expires_in":7200}`)
			})
			p := New(Config{})
			call := everyCall(t, upstream)[name]
			if _, err := p.Fetch(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			_, err := p.Fetch(t.Context(), call)
			if up := upstreamError(t, err); up.Code != outbound.CodeLost || !up.Ambiguous {
				t.Errorf("%+v; want an ambiguous connection_lost", up)
			}
			if n := arrived.Load(); n != 2 {
				t.Errorf("%d requests arrived, want 2", n)
			}
		})
	}
}

func TestARequestNeverSentIsNotAmbiguous(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "http://" + l.Addr().String()
	_ = l.Close()
	speaksHTTP := strings.Replace(answering(t, "{}"), "http:", "https:", 1)
	dialError := roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	})
	for name, test := range map[string]struct {
		upstream  string
		transport http.RoundTripper
	}{
		"nobody listens":               {refusing, nil},
		"no such host":                 {"http://name.invalid", noDNS()},
		"no TLS":                       {speaksHTTP, nil},
		"a transport without a tracer": {DefaultUpstream, dialError},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Config{Transport: test.transport}).
				Fetch(t.Context(), callOf(t, testApp(test.upstream, modePlain), AccessToken, ""))
			if up := upstreamError(t, err); up.Class != retry || up.Code != outbound.CodeConnect || up.Ambiguous {
				t.Errorf("%+v; want a connect error that is not ambiguous", up)
			}
		})
	}
}

func noDNS() http.RoundTripper {
	t := outbound.NewTransport()
	t.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "name.invalid", IsNotFound: true}
	}
	return t
}

func TestSilenceEndsWithTheDeadline(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	trickling := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	dialling := outbound.NewTransport()
	dialling.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, test := range map[string]struct {
		handler   http.HandlerFunc
		transport http.RoundTripper
		ambiguous bool
	}{
		"no answer":         {silent, nil, true},
		"no end":            {trickling, nil, true},
		"no connection yet": {silent, dialling, false},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := serving(t, test.handler)
			p := New(Config{Transport: test.transport})
			call := callOf(t, testApp(upstream, modePlain), AccessToken, "")
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := p.Fetch(ctx, call)
			if up := upstreamError(t, err); up.Class != retry || up.Code != outbound.CodeTimeout || up.Ambiguous != test.ambiguous {
				t.Errorf("%+v; want a timeout, ambiguous %v", up, test.ambiguous)
			}
			given, giveUp := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, giveUp)
			_, err = p.Fetch(given, call)
			if up := upstreamError(t, err); up.Class != retry || up.Code != outbound.CodeCanceled || up.Ambiguous != test.ambiguous {
				t.Errorf("%+v; want canceled, ambiguous %v", up, test.ambiguous)
			}
		})
	}
}

func TestAGatewaysRetryAfterIsHeard(t *testing.T) {
	upstream := serving(t, status(503, "Retry-After", "7"))
	_, err := New(Config{}).Fetch(t.Context(), callOf(t, testApp(upstream, modePlain), AccessToken, ""))
	if up := upstreamError(t, err); up.RetryAfter != 7*time.Second {
		t.Errorf("retry after %v, want 7s", up.RetryAfter)
	}
}

func TestCallsThatCannotBeMadeCostNoRequest(t *testing.T) {
	app := testApp(DefaultUpstream, modeStable)
	unsettled := callOf(t, app, AccessToken, "")
	unsettled.App.Upstream = "nowhere"
	strange := callOf(t, app, AccessToken, "")
	strange.Group.Name = "component_access_token"
	count := &counter{}
	p := New(Config{Transport: count})
	for want, call := range map[string]coordinator.Call{
		"invalid_settings": unsettled,
		"unknown_group":    strange,
		"no_access_token":  callOf(t, app, JSAPITicket, ""),
	} {
		_, err := p.Fetch(t.Context(), call)
		if up := upstreamError(t, err); up.Reason != want || up.Ambiguous {
			t.Errorf("%+v; want %s", up, want)
		}
	}
	if n := count.n.Load(); n != 0 {
		t.Errorf("%d requests sent, want none", n)
	}
}
