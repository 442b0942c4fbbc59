package wechat

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"freshet/coordinator"
)

const (
	testAppID  = "wx0000000000000001"
	testSecret = "canary-secret+/=7d1f"
	testToken  = "canary-token_held-55aa"
	freshValue = "canary-token_fresh-c3c3"
)

// testApp is a resolved app that keeps every token.
func testApp(upstream string, m mode) coordinator.App {
	return coordinator.App{
		Name: "shop", Provider: "wechat", Upstream: upstream,
		Options: map[string]string{"mode": string(m)},
		Tokens:  map[string]coordinator.TokenSettings{AccessToken: {}, JSAPITicket: {}, WxCardTicket: {}},
		Credentials: map[string]coordinator.Secret{
			"appid": coordinator.NewSecret(testAppID), "secret": coordinator.NewSecret(testSecret),
		},
	}
}

// callOf is a call for one of the app's groups, handed a token.
func callOf(t *testing.T, app coordinator.App, group, token string) coordinator.Call {
	t.Helper()
	for _, g := range New(Config{}).Groups(app) {
		if g.Name == group {
			return coordinator.Call{
				App: app, Group: g,
				Tokens: map[string]coordinator.Secret{AccessToken: coordinator.NewSecret(token)},
			}
		}
	}
	t.Fatalf("no group %q", group)
	return coordinator.Call{}
}

// counter counts what is handed to the transport below it.
type counter struct {
	http.RoundTripper
	n atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// upstreamError returns err as what every error must be.
func upstreamError(t *testing.T, err error) *coordinator.UpstreamError {
	t.Helper()
	up, ok := errors.AsType[*coordinator.UpstreamError](err)
	if !ok {
		t.Fatalf("error %v is no *UpstreamError", err)
	}
	return up
}

// answering serves one body to every request.
func answering(t *testing.T, body string) string {
	t.Helper()
	return serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
}

func serving(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
