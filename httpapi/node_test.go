package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/static"
	"freshet/httpapi"
	"freshet/httpapi/client"
	"freshet/store/memory"
)

const (
	bootstrapKey = "canary-bootstrap-key"
	appSecret    = "canary-app-secret"
)

// platform is a provider whose values are numbered, and which says itself
// whether a value lives.
type platform struct {
	mu    sync.Mutex
	calls int
	dead  map[string]bool // :: value → the platform refuses it
	again time.Duration   // not zero: it answers the last value, which lives so long
}

var _ coordinator.Prober = (*platform)(nil)

func (p *platform) Check(app coordinator.App) error {
	if app.Credentials["secret"].IsZero() {
		return errors.New("credential \"secret\" is missing")
	}
	return nil
}

func (p *platform) Groups(app coordinator.App) []coordinator.Group {
	var groups []coordinator.Group
	for _, name := range app.TokenNames() {
		groups = append(groups, coordinator.Group{Name: name.Token, Tokens: []string{name.Token}})
	}
	return groups
}

func (p *platform) Identity(app coordinator.App) string { return "platform/" + app.Name }
func (p *platform) Upstream(coordinator.App) string     { return "platform" }

func (p *platform) Fetch(_ context.Context, call coordinator.Call) (coordinator.Yield, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lifetime := 2 * time.Hour
	if p.again > 0 {
		lifetime = p.again
	} else {
		p.calls++
	}
	value := coordinator.NewSecret(fmt.Sprintf("value-%d", p.calls))
	return coordinator.Yield{Values: map[string]coordinator.Value{
		call.Group.Tokens[0]: {Value: value, Lifetime: lifetime, Type: "Bearer"},
	}}, nil
}

func (p *platform) Probe(_ context.Context, call coordinator.Call) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead[call.Tokens[call.Group.Tokens[0]].Reveal()], nil
}

// repeat makes it answer the last value from now on, which lives so long.
func (p *platform) repeat(lifetime time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.again = lifetime
}

func (p *platform) kill(value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead[value] = true
}

// served is one running node and its API on a socket.
type served struct {
	node     *coordinator.Node
	store    *memory.Store
	platform *platform
	handler  http.Handler
	url      string
	log      *safeText
}

// serve runs a real node on a memory store until the test ends.
func serve(t testing.TB) *served {
	t.Helper()
	s := &served{platform: &platform{dead: map[string]bool{}}, store: memory.New(memory.Config{}).Store(), log: &safeText{}}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, measured := t.(*testing.B); measured {
		logger = slog.New(slog.DiscardHandler)
	}
	var err error
	s.node, err = coordinator.New(coordinator.Config{
		Name: "n1", Store: s.store, Logger: logger,
		Providers:    map[string]coordinator.Provider{"platform": s.platform, "static": static.New()},
		BootstrapKey: coordinator.NewSecret(bootstrapKey), Render: httpapi.Render,
	})
	if err != nil {
		t.Fatal(err)
	}
	api, err := httpapi.New(httpapi.Config{Node: s.node, Logger: logger, Build: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s.handler = api.Handler()
	server := httptest.NewServer(s.handler)
	s.url = server.URL
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.node.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *served) client(t testing.TB, key string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addresses: []string{s.url}, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// safeText collects what is logged.
type safeText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *safeText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *safeText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func shopApp() client.App {
	return client.App{Provider: "platform", Credentials: client.Credentials{"secret": appSecret}, Labels: map[string]string{"team": "retail"}}
}

// ready applies the shop app once the node has read the cluster's state, and
// returns its first value.
func (s *served) ready(t testing.TB, admin *client.Client) client.Token {
	t.Helper()
	for {
		_, err := admin.PutApp(t.Context(), "shop", shopApp(), client.ApplyOptions{})
		if isProblem(err, client.CodeNotSynced) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	token, err := admin.Token(t.Context(), "shop", client.TokenOptions{Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func isProblem(err error, code string) bool {
	p, ok := errors.AsType[*client.Problem](err)
	return ok && p.Code == code
}

func TestANodeIsServedFromApplyToReport(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	first := s.ready(t, admin)
	if first.Value != "value-1" || first.Version != 1 || first.State != "fresh" || first.Node != "n1" || first.Fingerprint == "" {
		t.Errorf("first %v value %q fingerprint %q", first, first.Value, first.Fingerprint)
	}

	alive, err := admin.Report(t.Context(), "shop", client.ReportBody{Version: 1, Code: "40001"})
	if err != nil || alive.Verdict != client.VerdictAlive {
		t.Errorf("report of a living value: %+v, %v", alive, err)
	}
	s.platform.kill("value-1")
	dead, err := admin.Report(t.Context(), "shop", client.ReportBody{Fingerprint: first.Fingerprint})
	if err != nil || dead.After != 1 || dead.Verdict != client.VerdictRefreshing && dead.Verdict != client.VerdictReplaced {
		t.Errorf("report of a dead value: %+v, %v", dead, err)
	}
	second, err := admin.Token(t.Context(), "shop", client.TokenOptions{After: dead.After, Wait: 30 * time.Second})
	if err != nil || second.Value != "value-2" || second.Version != 2 {
		t.Errorf("after the report: %v, %v", second, err)
	}

	refreshed, err := admin.Refresh(t.Context(), "shop/access_token", client.RefreshBody{AfterVersion: 2, Wait: client.Duration(30 * time.Second)})
	if err != nil || !refreshed.Done() || refreshed.Version != 3 {
		t.Errorf("refresh: %+v, %v", refreshed, err)
	}
	if text := s.log.String(); strings.Contains(text, bootstrapKey) || strings.Contains(text, appSecret) || strings.Contains(text, "value-1") {
		t.Errorf("a secret was logged:\n%s", text)
	}
}

func TestAppsAndClientsAreAdministeredOnANode(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	s.ready(t, admin)
	ctx := t.Context()

	same, err := admin.PutApp(ctx, "shop", shopApp(), client.ApplyOptions{})
	if err != nil || same.Change != client.ChangeUnchanged {
		t.Errorf("applied again: %+v, %v", same.Change, err)
	}
	keeps := shopApp()
	keeps.Credentials = nil
	if kept, err := admin.PutApp(ctx, "shop", keeps, client.ApplyOptions{DryRun: true}); err != nil || kept.Change != client.ChangeUnchanged || len(kept.App.CredentialsSet) != 1 {
		t.Errorf("without credentials: %+v, %v", kept, err)
	}
	if _, err := admin.PutApp(ctx, "crm", client.App{Provider: "platform"}, client.ApplyOptions{}); !isProblem(err, client.CodeInvalidRequest) {
		t.Errorf("an app that cannot work: %v", err)
	}
	list, err := admin.Apps(ctx, client.AppsOptions{Label: "team=retail"})
	if err != nil || len(list.Apps) != 1 || list.Apps[0].Owner != "api:bootstrap" || list.Apps[0].Refresh.Timeout == 0 {
		t.Errorf("apps %+v, %v", list, err)
	}

	key, err := admin.AddClient(ctx, client.ClientBody{Name: "orders", Can: client.Permissions{"read": {"shop/*"}}})
	if err != nil {
		t.Fatal(err)
	}
	orders := s.client(t, key.Key)
	if got, err := orders.Token(ctx, "shop", client.TokenOptions{}); err != nil || got.Value == "" {
		t.Errorf("the new client reads: %v, %v", got, err)
	}
	for name, err := range map[string]error{
		"another app": third(orders.Token(ctx, "crm", client.TokenOptions{})),
		"refresh":     third(orders.Refresh(ctx, "shop", client.RefreshBody{})),
		"states":      third(orders.States(ctx, client.StatesOptions{})),
		"delete":      orders.DeleteApp(ctx, "shop"),
	} {
		if !isProblem(err, client.CodeForbidden) {
			t.Errorf("%s by a client that may not: %v", name, err)
		}
	}
	if err := admin.DeleteClient(ctx, "orders"); err != nil {
		t.Error(err)
	}
	if _, err := orders.Token(ctx, "shop", client.TokenOptions{}); !isProblem(err, client.CodeUnauthenticated) {
		t.Errorf("the key of a client that is gone: %v", err)
	}
}

func third[T any](_ T, err error) error { return err }

func TestPauseStatesAndStatusOfANode(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	s.ready(t, admin)
	ctx := t.Context()

	if err := admin.PauseApp(ctx, "shop", true); err != nil {
		t.Fatal(err)
	}
	if state, err := admin.State(ctx, "shop"); err != nil || state.State != "paused" || state.Version != 1 {
		t.Errorf("paused: %+v, %v", state, err)
	}
	if err := admin.PauseApp(ctx, "shop", false); err != nil {
		t.Fatal(err)
	}
	states, err := admin.States(ctx, client.StatesOptions{State: "fresh"})
	if err != nil || len(states.States) != 1 || len(states.States[0].Outcomes) == 0 {
		t.Errorf("states %+v, %v", states, err)
	}
	status, err := admin.Status(ctx)
	if err != nil || status.Refresher != "n1" || status.Epoch == 0 || status.Tokens != 1 || status.States["fresh"] != 1 {
		t.Errorf("status %+v, %v", status, err)
	}
	nodes, err := admin.Nodes(ctx)
	if err != nil || len(nodes) != 1 || !nodes[0].Refresher {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
	if err := admin.DeleteApp(ctx, "shop"); err != nil {
		t.Error(err)
	}
	if err := admin.DeleteApp(ctx, "nothere"); !isProblem(err, client.CodeUnknownApp) {
		t.Errorf("deleting what is not there: %v", err)
	}
}

func TestWatchFollowsANodeUntilItDrains(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	s.ready(t, admin)
	var versions []int64
	for token, err := range admin.Watch(t.Context(), "shop", 0) {
		if err != nil {
			if !isProblem(err, client.CodeDraining) {
				t.Error(err)
			}
			break
		}
		versions = append(versions, token.Version)
		if token.Version < 3 {
			if _, err := admin.Refresh(t.Context(), "shop", client.RefreshBody{AfterVersion: token.Version}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s.node.Drain()
	}
	if len(versions) != 3 || versions[0] != 1 || versions[2] != 3 {
		t.Errorf("versions %v", versions)
	}
}

func TestClientThatExistsIsAConflict(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	c := client.ClientBody{Name: "orders", Can: map[string][]string{"read": {"shop/*"}}}
	if _, err := admin.AddClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_, err := admin.AddClient(t.Context(), c)
	problem, ok := errors.AsType[*client.Problem](err)
	if !ok || problem.Status != http.StatusConflict || problem.Code != client.CodeConflict {
		t.Errorf("%v", err)
	}
}

func TestTheClientReadsManyTokensAtOnce(t *testing.T) {
	s := serve(t)
	admin := s.client(t, bootstrapKey)
	s.ready(t, admin)
	got, err := admin.Tokens(t.Context(), []string{"nothere", "shop"}, client.TokensOptions{MinTTL: time.Minute})
	if err != nil || len(got) != 2 || got[0].Token != nil || got[0].Problem == nil || got[0].Problem.Code != client.CodeUnknownToken {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[1].Token == nil || got[1].Token.Value != "value-1" || got[1].Problem != nil || got[1].Name != "shop/access_token" {
		t.Errorf("%+v", got[1])
	}
	for _, names := range [][]string{nil, {"shop", "shop"}} {
		if _, err := admin.Tokens(t.Context(), names, client.TokensOptions{}); err == nil {
			t.Errorf("%q is read", names)
		}
	}
}
