package oauth2_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/outbound"
)

// leaks lists the canaries that a text holds, as they are or as requests hold them.
func leaks(text string) []string {
	var found []string
	pair := url.QueryEscape(testID) + ":" + url.QueryEscape(testSecret)
	for _, canary := range []string{
		testSecret, testRefresh, freshAccess, freshNext, base64.StdEncoding.EncodeToString([]byte(pair)),
	} {
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

// gossip repeats what it was told, in many places, and what it grants.
func gossip(status int, word string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		all := strings.Join([]string{
			testSecret, testRefresh, freshAccess, freshNext, r.Header.Get("Authorization"), string(body),
		}, " ")
		w.Header().Set("Location", "/"+url.PathEscape(all))
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"error": map[string]string{"": all}[word] + word, "error_description": all, "message": all, "scope": all, "token_type": all,
			"access_token": freshAccess + map[bool]string{true: " "}[status == 200], "refresh_token": freshNext, "expires_in": 60,
		})
	}
}

func TestNoSecretIsInErrorsLogsOrPrintedValues(t *testing.T) {
	upstreams := map[string]http.HandlerFunc{
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+testRefresh+freshAccess+"\r\n\r\n")
				_ = conn.Close()
			}
		},
	}
	for _, status := range []int{200, 302, 400, 401, 403, 429, 500} {
		for _, word := range []string{"invalid_grant", "", testSecret, testRefresh} {
			upstreams[fmt.Sprint(status, " ", word)] = gossip(status, word)
		}
	}
	for name, handler := range upstreams {
		for _, o := range []options{{}, {"auth": "post"}, {"auth": "post", "body": "json"}} {
			o["grant"] = "refresh_token"
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			call := callOf(t, testApp(serving(t, handler), o), testRefresh)
			yield, err := oauth2.New(oauth2.Config{Logger: logger}).Fetch(t.Context(), call)
			_ = upstreamError(t, err)
			if found := leaks(printed(err) + printed(yield) + printed(call) + log.String()); found != nil {
				t.Errorf("%s, %v: %q leaked in %v\n%s", name, o, found, err, log.String())
			}
			if log.Len() == 0 {
				t.Error("nothing was logged, so that this shows little")
			}
		}
	}
	if leaks("x "+testSecret) == nil || leaks(url.QueryEscape(testRefresh)) == nil {
		t.Error("this test cannot see a leak")
	}
}

func TestARequestNeverSentIsNotAmbiguous(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := "http://" + l.Addr().String() + "/token"
	_ = l.Close()
	noDNS := outbound.NewTransport()
	noDNS.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "name.invalid", IsNotFound: true}
	}
	for upstream, transport := range map[string]http.RoundTripper{
		refusing:                    outbound.NewTransport(),
		"http://name.invalid/token": noDNS,
		strings.Replace(answering(t, 200, "{}"), "http:", "https:", 1): outbound.NewTransport(),
	} {
		call := callOf(t, testApp(upstream, options{"grant": "refresh_token"}), testRefresh)
		_, err := oauth2.New(oauth2.Config{Transport: transport}).Fetch(t.Context(), call)
		if up := upstreamError(t, err); up.Class != retry || up.Code != outbound.CodeConnect || up.Ambiguous {
			t.Errorf("%s: %+v; want a connect error that is not ambiguous", upstream, up)
		}
	}
}

func TestCallsThatCannotBeMadeCostNoRequest(t *testing.T) {
	upstream := serving(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	good := callOf(t, testApp(upstream, nil), "")
	for name, test := range map[string]struct {
		change func(call *coordinator.Call)
		class  coordinator.Class
	}{
		"bad settings":  {func(c *coordinator.Call) { c.App.Options = options{"auth": "x"} }, config},
		"unknown group": {func(c *coordinator.Call) { c.Group.Name = "graph" }, coordinator.ClassCaller},
		"no tokens":     {func(c *coordinator.Call) { c.Group.Tokens = nil }, coordinator.ClassCaller},
		"no grant":      {func(c *coordinator.Call) { c.App.Options = options{"grant": "refresh_token"} }, reauthorize},
		"given up":      {nil, retry},
	} {
		call, ctx := good, t.Context()
		if test.change != nil {
			test.change(&call)
		} else {
			canceled, cancel := context.WithCancel(ctx)
			cancel()
			ctx = canceled
		}
		_, err := oauth2.New(oauth2.Config{}).Fetch(ctx, call)
		if up := upstreamError(t, err); up.Class != test.class || up.Ambiguous {
			t.Errorf("%s: %+v, want %s", name, up, test.class)
		}
	}
}
