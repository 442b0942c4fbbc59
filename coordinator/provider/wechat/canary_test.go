package wechat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// leaks lists the canaries that a text holds, as they are or as in a query.
func leaks(text string) []string {
	var found []string
	for _, canary := range []string{testSecret, testToken, freshValue} {
		if strings.Contains(text, canary) || strings.Contains(text, url.QueryEscape(canary)) {
			found = append(found, canary)
		}
	}
	return found
}

// printed is everything that can be made of a value by printing it.
func printed(v any) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v %+v %#v %s %q\n", v, v, v, v, v)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
	if encoded, err := json.Marshal(v); err == nil {
		b.Write(encoded)
	}
	return b.String()
}

// gossips are upstreams that repeat what they were told, and what they grant.
func gossips() map[string]http.HandlerFunc {
	all := testSecret + " " + testToken + " " + freshValue
	quoted := url.QueryEscape(testSecret) + " " + url.QueryEscape(testToken)
	said := func(code int64) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{
				"errcode": code, "errmsg": all + quoted, "access_token": freshValue, "ticket": freshValue,
			})
		}
	}
	all404 := func(w http.ResponseWriter, r *http.Request) { http.Error(w, all+r.URL.String(), http.StatusNotFound) }
	return map[string]http.HandlerFunc{
		"errcode -1": said(-1), "errcode 40001": said(40001), "errcode 40164": said(40164), "unknown": said(987654),
		"status":    all404,
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/"+all, http.StatusFound) },
		"no HTTP":   hijacked(all + "\r\n\r\n"),
		"header":    hijacked("HTTP/1.1 200 OK\r\n" + testToken + freshValue + "\r\n\r\n"),
		"length":    hijacked("HTTP/1.1 200 OK\r\nContent-Length: " + freshValue + "\r\n\r\n"),
		"no JSON":   hijacked("HTTP/1.1 200 OK\r\n\r\n" + all),
		"lifetime":  hijacked("HTTP/1.1 200 OK\r\n\r\n" + `{"access_token":"` + freshValue + `","expires_in":"` + freshValue + `"}`),
		"bad value": hijacked("HTTP/1.1 200 OK\r\n\r\n" + `{"access_token":"` + freshValue + ` ","ticket":"` + freshValue + ` "}`),
		"success":   hijacked("HTTP/1.1 200 OK\r\n\r\n" + success),
	}
}

func TestNoSecretIsInErrorsLogsOrPrintedValues(t *testing.T) {
	for name, handler := range gossips() {
		t.Run(name, func(t *testing.T) {
			tellTale(t, serving(t, handler), nil)
		})
	}
	t.Run("transport that quotes the URL", func(t *testing.T) {
		tellTale(t, "", roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("wrapped: %w", &url.Error{Op: "Get", URL: r.URL.String(), Err: errors.New("refused " + r.URL.RawQuery)})
		}))
	})
	t.Run("transport that quotes the URL and tells of connections", func(t *testing.T) {
		inner := outbound.NewTransport()
		tellTale(t, "http://127.0.0.1:1", roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := inner.RoundTrip(r)
			return resp, fmt.Errorf("%s: %w", r.URL, err)
		}))
	})
}

// tellTale makes every call and looks for canaries in all that comes of it.
func tellTale(t *testing.T, upstream string, transport http.RoundTripper) {
	t.Helper()
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := New(Config{Transport: transport, Logger: logger})
	for what, call := range everyCall(t, upstream) {
		call.Tokens = map[string]coordinator.Secret{AccessToken: coordinator.NewSecret(testToken)}
		if call.App.Options["mode"] == "stable" && upstream != "" {
			call.App.Options["backup_hosts"] = strings.TrimPrefix(upstream, "http://")
		}
		grant, err := p.Fetch(t.Context(), call)
		_, probeErr := p.Probe(t.Context(), call)
		text := printed(grant) + printed(err) + printed(probeErr) + printed(call) + p.Identity(call.App)
		if up, ok := errors.AsType[*coordinator.UpstreamError](err); ok {
			text += printed(*up)
		}
		if found := leaks(text); found != nil {
			t.Errorf("%s: %q is printed; the error is %v, of the probe %v", what, found, err, probeErr)
		}
	}
	if found := leaks(logged.String()); found != nil || logged.Len() == 0 {
		t.Errorf("%q in the log:\n%s", found, logged.String())
	}
}

func TestTheTestSeesALeak(t *testing.T) {
	for _, text := range []string{"a" + testToken, "secret=" + url.QueryEscape(testSecret)} {
		if leaks(text) == nil {
			t.Errorf("no leak seen in %q", text)
		}
	}
	if leaks(printed(errors.New(freshValue))) == nil {
		t.Error("no leak seen in a printed error")
	}
}

func TestTheURLOfACallIsInNoError(t *testing.T) {
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
		return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: refused}
	})
	call := callOf(t, testApp("", modePlain), AccessToken, "")
	_, err := New(Config{Transport: transport}).Fetch(t.Context(), call)
	if up := upstreamError(t, err); up.Message != "no connection: dial tcp: refused" {
		t.Errorf("message %q, want the dialler's words alone", up.Message)
	}
}
