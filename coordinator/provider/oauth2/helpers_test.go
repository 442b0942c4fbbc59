package oauth2_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
)

const (
	testID      = "crm:client"
	testSecret  = "canary+secret/%=7d1f"
	testRefresh = "canary-refresh_held-55aa"
	freshAccess = "canary-access_fresh-c3c3"
	freshNext   = "canary-refresh_next-d4d4"
)

type options = map[string]string

// testApp is a resolved app that keeps an access token.
func testApp(upstream string, o options) coordinator.App {
	app := coordinator.App{
		Name: "crm", Provider: "oauth2", Upstream: upstream, Options: o,
		Tokens: map[string]coordinator.TokenSettings{oauth2.AccessToken: {}},
		Credentials: map[string]coordinator.Secret{
			"client_id": coordinator.NewSecret(testID), "client_secret": coordinator.NewSecret(testSecret),
		},
	}
	if o["auth"] == "none" {
		delete(app.Credentials, "client_secret")
	}
	return app
}

// granted is the app with a refresh token, as Check sees it.
func granted(app coordinator.App) coordinator.App {
	app.Credentials = maps.Clone(app.Credentials)
	app.Credentials["refresh_token"] = coordinator.NewSecret(testRefresh)
	return app
}

// callOf is a call for the access token.
func callOf(t *testing.T, app coordinator.App, refresh string) coordinator.Call {
	t.Helper()
	for _, g := range oauth2.New(oauth2.Config{}).Groups(app) {
		if g.Name == oauth2.AccessToken {
			return coordinator.Call{App: app, Group: g, Refresh: coordinator.NewSecret(refresh)}
		}
	}
	t.Fatal("no group of the access token")
	return coordinator.Call{}
}

// fetch makes a call of the access token's group over sockets.
func fetch(t *testing.T, app coordinator.App, refresh string) (coordinator.Yield, error) {
	t.Helper()
	return oauth2.New(oauth2.Config{}).Fetch(t.Context(), callOf(t, app, refresh))
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

func serving(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/oauth/token"
}

// answering serves one answer to every request.
func answering(t *testing.T, status int, body string, header ...string) string {
	t.Helper()
	return serving(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
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
