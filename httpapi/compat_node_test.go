package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/outbound"
	"freshet/coordinator/provider/sandbox"
	"freshet/coordinator/provider/wechat"
	"freshet/httpapi"
	"freshet/httpapi/client"
	"freshet/store/memory"
	"freshet/tracing"
)

// The registrations at the emulated platforms, and a client that may read their tokens.
const (
	stableID   = "wx00000000000stable"
	plainID    = "wx000000000000plain"
	oauthID    = "crm-client"
	realSecret = "canary-real-secret-of-the-platform"

	programName = "programs"
)

// drop is a running node with its drop-in surfaces, before emulated platforms.
type drop struct {
	*testing.T

	sandbox *sandbox.Sandbox
	node    *coordinator.Node
	api     *httpapi.API
	admin   *client.Client
	spans   *tracing.Recorder
	log     *safeText
	url     string // of the API
	wechat  string // of the surface at the root of its own listener
	key     string // of the programs
}

// serveDrop runs a real node on a memory store, with the apps shop (stable), till
// (plain) and crm (OAuth 2), until the test ends.
func serveDrop(t *testing.T) *drop {
	t.Helper()
	d := &drop{T: t, log: &safeText{}}
	d.open()
	d.run()
	d.apply()
	return d
}

// open builds node and API, and their listeners.
func (d *drop) open() {
	d.Helper()
	var err error
	d.sandbox, err = sandbox.New(sandbox.Config{
		Apps:         []sandbox.App{{AppID: stableID, Secret: realSecret}, {AppID: plainID, Secret: realSecret}},
		OAuthClients: []sandbox.OAuthClient{{ID: oauthID, Secret: realSecret}},
	})
	d.must(err)
	logger := slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	tracer, spans := tracing.NewRecorder()
	d.spans = spans
	carrier := tracer.Transport(outbound.NewTransport())
	d.node, err = coordinator.New(coordinator.Config{
		Name: "n1", Store: memory.New(memory.Config{}).Store(), Logger: logger, Tracer: tracer,
		Providers: map[string]coordinator.Provider{
			"wechat": wechat.New(wechat.Config{Logger: logger, Transport: carrier}), "oauth2": oauth2.New(oauth2.Config{Logger: logger, Transport: carrier}),
		},
		BootstrapKey: coordinator.NewSecret(bootstrapKey), Render: httpapi.Render,
	})
	d.must(err)
	d.api, err = httpapi.New(httpapi.Config{
		Node: d.node, Logger: logger, Tracer: tracer,
		Compat: httpapi.CompatConfig{Providers: []string{"wechat"}, Patience: 30 * time.Second}, // no test may depend on speed
	})
	d.must(err)
	d.url, d.wechat = d.listen(d.api.Handler()), d.listen(d.api.SurfaceHandler("wechat"))
	d.admin, err = client.New(client.Config{Addresses: []string{d.url}, Key: bootstrapKey})
	d.must(err)
}

func (d *drop) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *drop) listen(h http.Handler) string {
	server := httptest.NewServer(h)
	d.Cleanup(server.Close)
	return server.URL
}

func (d *drop) run() {
	ctx, stop := context.WithCancel(d.Context())
	done := make(chan error, 1)
	go func() { done <- d.node.Run(ctx) }()
	d.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			d.Error(err)
		}
	})
}

// apply applies the apps and the client, and waits for the tokens.
func (d *drop) apply() {
	d.Helper()
	platform := d.listen(d.sandbox)
	wx := func(appid, mode string) client.App {
		return client.App{
			Provider: "wechat", Upstream: platform, Options: map[string]string{"mode": mode},
			Credentials: client.Credentials{"appid": appid, "secret": realSecret},
			Tokens:      map[string]client.TokenSettings{"access_token": {}},
		}
	}
	crm := client.App{
		Provider: "oauth2", Upstream: platform + "/oauth/token",
		Credentials: client.Credentials{"client_id": oauthID, "client_secret": realSecret},
		Tokens:      map[string]client.TokenSettings{"access_token": {}},
	}
	apps := map[string]client.App{"shop": wx(stableID, "stable"), "till": wx(plainID, "plain"), "crm": crm}
	for name, app := range apps {
		d.put(name, app)
		d.first(name)
	}
	for _, name := range []string{"shop", "till"} {
		apps[name].Tokens["jsapi_ticket"] = client.TokenSettings{}
		d.put(name, apps[name])
		d.first(name + "/jsapi_ticket")
	}
	made, err := d.admin.AddClient(d.Context(), client.ClientBody{
		Name: programName, Can: client.Permissions{"read": {"shop/*", "till/*", "crm/*"}},
	})
	d.must(err)
	d.key = made.Key
}

// put applies an app once the node has read the cluster's state.
func (d *drop) put(name string, app client.App) {
	d.Helper()
	for {
		_, err := d.admin.PutApp(d.Context(), name, app, client.ApplyOptions{})
		if isProblem(err, client.CodeNotSynced) {
			continue
		}
		d.must(err)
		return
	}
}

// first waits for the first value of a token.
func (d *drop) first(name string) {
	d.Helper()
	_, err := d.admin.Token(d.Context(), name, client.TokenOptions{Wait: 30 * time.Second})
	d.must(err)
}

// held returns the value that the node holds of a token.
func (d *drop) held(name string) client.Token {
	d.Helper()
	token, err := d.admin.Token(d.Context(), name, client.TokenOptions{})
	d.must(err)
	return token
}
