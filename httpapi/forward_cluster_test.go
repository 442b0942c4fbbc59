package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/sandbox"
	"freshet/coordinator/provider/wechat"
	"freshet/httpapi"
	"freshet/httpapi/client"
	"freshet/store/memory"
	"freshet/tracing"
)

const (
	canary       = "canary-value-" // begins every value of the sandbox
	sandboxAppID = "wx0000000000000001"
)

// town is a cluster of three nodes and the emulated platforms, all on sockets.
type town struct {
	platforms *sandbox.Sandbox
	upstream  string
	urls      []string // of the nodes
	log       *safeText
	spans     *tracing.Recorder
	admin     *client.Client
}

// build runs a town until the test ends, with the apps shop (WeChat) and crm
// (OAuth 2), each with a first value.
func build(t *testing.T) *town {
	t.Helper()
	platforms, err := sandbox.New(sandbox.Config{
		TokenPrefix:  canary,
		Apps:         []sandbox.App{{AppID: sandboxAppID, Secret: appSecret}},
		OAuthClients: []sandbox.OAuthClient{{ID: "crm", Secret: appSecret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platforms)
	t.Cleanup(server.Close)
	w := &town{platforms: platforms, upstream: server.URL, log: &safeText{}}
	var tracer *tracing.Tracer
	tracer, w.spans = tracing.NewRecorder()
	cluster := memory.New(memory.Config{})
	for _, name := range []string{"n1", "n2", "n3"} {
		w.urls = append(w.urls, w.run(t, name, cluster, tracer))
	}
	w.admin, err = client.New(client.Config{Addresses: w.urls[:1], Key: bootstrapKey})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(t, "shop", client.App{
		Provider: "wechat", Upstream: w.upstream, Options: map[string]string{"mode": "plain"},
		Credentials: client.Credentials{"appid": sandboxAppID, "secret": appSecret},
		Tokens:      map[string]client.TokenSettings{"access_token": {}},
	})
	w.apply(t, "crm", client.App{
		Provider: "oauth2", Upstream: w.upstream + "/oauth/token", Options: map[string]string{"api": w.upstream + "/oauth"},
		Credentials: client.Credentials{"client_id": "crm", "client_secret": appSecret},
		Tokens:      map[string]client.TokenSettings{"access_token": {}, "graph": {Options: map[string]string{"scope": "graph"}}},
	})
	return w
}

// run runs one node and returns the address of its API.
func (w *town) run(t *testing.T, name string, cluster *memory.Cluster, tracer *tracing.Tracer) string {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	node, err := coordinator.New(coordinator.Config{
		Name: name, Store: cluster.Store(), Logger: logger, Tracer: tracer,
		Providers: map[string]coordinator.Provider{
			"wechat": wechat.New(wechat.Config{Logger: logger}),
			"oauth2": oauth2.New(oauth2.Config{Logger: logger}),
		},
		BootstrapKey: coordinator.NewSecret(bootstrapKey), Render: httpapi.Render,
	})
	if err != nil {
		t.Fatal(err)
	}
	api, err := httpapi.New(httpapi.Config{Node: node, Logger: logger, Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.Handler())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

// apply makes an app known, and waits until every node has its values.
func (w *town) apply(t *testing.T, name string, app client.App) {
	t.Helper()
	for {
		_, err := w.admin.PutApp(t.Context(), name, app, client.ApplyOptions{})
		if err == nil {
			break
		}
		if !isProblem(err, client.CodeNotSynced) {
			t.Fatal(err)
		}
	}
	for _, url := range w.urls {
		c, err := client.New(client.Config{Addresses: []string{url}, Key: bootstrapKey})
		if err != nil {
			t.Fatal(err)
		}
		for token := range app.Tokens {
			w.await(t, c, name+"/"+token)
		}
	}
}

func (w *town) await(t *testing.T, c *client.Client, name string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		_, err := c.Token(t.Context(), name, client.TokenOptions{Wait: 30 * time.Second})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// reply is what a call through a node brought.
type reply struct {
	status int
	header http.Header
	body   string
}

func (w *town) call(t *testing.T, node int, method, path, body string, header http.Header) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.urls[node]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	r.Header.Set("Authorization", "Bearer "+bootstrapKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func TestAKilledTokenHealsForFiftyCallersWithOneRefresh(t *testing.T) {
	w := build(t)
	for _, c := range []struct {
		app, method, path, want string
		minted                  func() int
		kill                    func()
	}{
		{
			"shop", http.MethodPost, "/proxy/shop/cgi-bin/message/custom/send", `{"errcode":0,"errmsg":"ok"}`,
			func() int { return w.platforms.Oracle().Apps[sandboxAppID].Issued[sandbox.LinePlain] },
			func() { _, _ = w.platforms.Kill(sandboxAppID, sandbox.LinePlain) },
		},
		{
			"crm", http.MethodGet, "/proxy/crm/userinfo", `"sub"`,
			func() int { return w.platforms.Oracle().Apps["crm"].OAuth.Issued },
			func() {
				for _, live := range w.platforms.Oracle().Apps["crm"].OAuth.Live {
					if live.Scope == "" {
						w.platforms.KillToken(live.Value)
					}
				}
			},
		},
	} {
		if got := w.call(t, 1, c.method, c.path, "{}", nil); got.status != http.StatusOK || !strings.Contains(got.body, c.want) {
			t.Fatalf("%s before: %+v", c.app, got)
		}
		before := c.minted()
		c.kill()
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				got := w.call(t, i%3, c.method, c.path, fmt.Sprintf(`{"call":%d}`, i), nil)
				if got.status != http.StatusOK || !strings.Contains(got.body, c.want) {
					t.Errorf("%s: caller %d: %+v", c.app, i, got)
				}
			})
		}
		group.Wait()
		if got := c.minted() - before; got != 1 {
			t.Errorf("%s: %d refreshes, want 1", c.app, got)
		}
	}
	w.findNoSecret(t)
}

func TestAnotherTokenIsNamedByAHeader(t *testing.T) {
	w := build(t)
	usual := w.call(t, 0, http.MethodGet, "/proxy/crm/userinfo", "", nil)
	other := w.call(t, 0, http.MethodGet, "/proxy/crm/userinfo", "", http.Header{"Freshet-Token": {"graph"}})
	if usual.status != http.StatusOK || other.status != http.StatusOK || usual.body == other.body || !strings.Contains(other.body, "graph") {
		t.Errorf("usual %+v\nother %+v", usual, other)
	}
	for token, want := range map[string]int{"nothere": 404, "no/name": 400, "": 200} {
		if got := w.call(t, 0, http.MethodGet, "/proxy/crm/userinfo", "", http.Header{"Freshet-Token": {token}}); got.status != want {
			t.Errorf("token %q: %+v", token, got)
		}
	}
	got := w.call(t, 0, http.MethodGet, "/proxy/shop/cgi-bin/user/info", "", http.Header{"Freshet-Token": {"jsapi_ticket"}})
	if got.status != http.StatusBadRequest || got.header.Get("Freshet-Problem") != client.CodeInvalidRequest {
		t.Errorf("a ticket is no credential: %+v", got)
	}
}

// findNoSecret looks for values, keys and credentials where nobody may find them.
func (w *town) findNoSecret(t *testing.T) {
	t.Helper()
	for _, secret := range []string{canary, appSecret, bootstrapKey} {
		if text := w.log.String(); strings.Contains(text, secret) {
			t.Errorf("%s stands in the log:\n%.2000s", secret, text[strings.Index(text, secret)-200:])
		}
		for _, span := range w.spans.Spans() {
			if text := fmt.Sprintf("%+v", span); strings.Contains(text, secret) {
				t.Errorf("%s stands in a span: %s", secret, text)
			}
		}
	}
}
