package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

const shopBody = `{"provider":"wechat","upstream":"https://api.example.com","credentials":{"appid":"wx1","secret":"s3cret-value"},
 "options":{"mode":"stable"},"tokens":{"access_token":{},"jsapi_ticket":{"window":"25%","scope":"a b"}},
 "refresh":{"window":"33%","retry":"5s..5m","timeout":"10s","budget":"500/day"},"labels":{"team":"retail"},"paused":true}`

func TestAppIsAppliedAsItsBodySays(t *testing.T) {
	node := newFake().root()
	a, logged := newAPI(t, node)
	w := do(t, a.Handler(), ask{method: http.MethodPut, target: "/v1/apps/shop", body: shopBody})
	if w.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	want := coordinator.App{
		Name: "shop", Provider: "wechat", Upstream: "https://api.example.com", Options: map[string]string{"mode": "stable"},
		Tokens: map[string]coordinator.TokenSettings{
			"access_token": {},
			"jsapi_ticket": {Window: coordinator.Window{Share: 0.25}, Options: map[string]string{"scope": "a b"}},
		},
		Refresh: coordinator.RefreshSettings{
			Window: coordinator.Window{Share: 0.33}, RetryMin: 5 * time.Second, RetryMax: 5 * time.Minute, Timeout: 10 * time.Second, Budget: 500,
		},
		Labels: map[string]string{"team": "retail"}, Paused: true, Owner: "api:root",
		Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret("wx1"), "secret": coordinator.NewSecret("s3cret-value")},
	}
	if diff := cmp.Diff(want, node.applied[0], cmp.Comparer(coordinator.Secret.Equal)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	for _, target := range []string{"/v1/apps/shop", "/v1/apps"} {
		w := get(t, a.Handler(), target)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "s3cret-value") || strings.Contains(w.Body.String(), "wx1") {
			t.Errorf("GET %s: status %d, body %s", target, w.Code, w.Body)
		}
	}
	if strings.Contains(w.Body.String()+logged.String(), "s3cret-value") {
		t.Error("a credential was answered or logged")
	}
}

func TestAppShowsWhatIsInEffectAndWhatWasSaid(t *testing.T) {
	node := newFake().root()
	node.apps["corp"] = coordinator.App{Name: "corp", Provider: "wecom", Credentials: map[string]coordinator.Secret{"corpid": coordinator.NewSecret("c")}}
	node.apps["agent"] = coordinator.App{
		Name: "agent", Parent: "corp", Owner: "file:apps.yaml", Revision: 12, Tokens: map[string]coordinator.TokenSettings{"access_token": {}},
		Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret("s")},
	}
	a, _ := newAPI(t, node)
	got := decode[client.AppInfo](t, get(t, a.Handler(), "/v1/apps/agent"))
	want := client.AppInfo{
		Name: "agent",
		App: client.App{
			Provider: "wecom", Parent: "corp", Tokens: map[string]client.TokenSettings{"access_token": {}},
			Refresh: client.RefreshSettings{
				Window: client.Window{Share: 0.3333}, Retry: client.Retry{Min: 5 * time.Second, Max: 5 * time.Minute}, Timeout: client.Duration(10 * time.Second),
			},
		},
		CredentialsSet: []string{"corpid", "secret"},
		Applied:        client.App{Parent: "corp", Tokens: map[string]client.TokenSettings{"access_token": {}}},
		Owner:          "file:apps.yaml", Revision: 12,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDryRunAppliesNothing(t *testing.T) {
	node := newFake().root()
	a, _ := newAPI(t, node)
	w := do(t, a.Handler(), ask{method: http.MethodPut, target: "/v1/apps/shop?dry_run=1", body: shopBody})
	got := decode[client.AppChange](t, w)
	if w.Code != http.StatusOK || !got.DryRun || got.Change != client.ChangeCreated || got.App.Name != "shop" {
		t.Errorf("status %d, %+v", w.Code, got)
	}
	if len(node.apps) > 0 || len(node.calls) > 0 {
		t.Errorf("it did %v", node.calls)
	}
	if diff := cmp.Diff([]string{"appid", "secret"}, got.App.CredentialsSet); diff != "" {
		t.Errorf("credentials_set (-want +got):\n%s", diff)
	}
}

func TestCredentialsNotMentionedStayAsTheyAre(t *testing.T) {
	app, err := AppFromWire("shop", client.App{Provider: "wechat"})
	if err != nil || app.Credentials != nil {
		t.Errorf("credentials %v, error %v", app.Credentials, err)
	}
}

func TestAppFromWireRefusesMistakes(t *testing.T) {
	for name, w := range map[string]client.App{
		"parent":     {Parent: "a/b"},
		"token name": {Tokens: map[string]client.TokenSettings{"a/b": {}}},
		"credential": {Credentials: client.Credentials{"secret": ""}},
	} {
		if _, err := AppFromWire("shop", w); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := AppFromWire("a/b", client.App{}); !errors.Is(err, coordinator.ErrInvalid) {
		t.Errorf("name: %v", err)
	}
}

func TestListsArePagedFilteredAndPermitted(t *testing.T) {
	node := newFake().root()
	for i := range 7 {
		name := fmt.Sprintf("app%d", i)
		node.apps[name] = coordinator.App{Name: name, Labels: map[string]string{"team": []string{"retail", "ops"}[i%2]}}
		node.hold(token(name, 1, "v"))
	}
	node.apps["other"] = coordinator.App{Name: "other"}
	node.person("k", map[coordinator.Verb][]string{coordinator.VerbView: {"app1/*", "app3/*"}})
	a, _ := newAPI(t, node)
	for _, c := range []struct{ key, target, want, cursor string }{
		{"", "/v1/apps?limit=3", "app0 app1 app2", "app2"},
		{"", "/v1/apps?limit=3&cursor=app5", "app6 other", ""},
		{"", "/v1/apps?limit=3&cursor=app55", "app6 other", ""},
		{"", "/v1/apps?prefix=o", "other", ""},
		{"", "/v1/apps?label=team=ops&limit=2", "app1 app3", "app3"},
		{"", "/v1/apps?label=team", "app0 app1 app2 app3 app4 app5 app6", ""},
		{"", "/v1/apps?label=team=ops,none", "", ""},
		{"k", "/v1/apps?limit=1", "app1", "app1"},
		{"k", "/v1/apps?limit=2", "app1 app3", ""},
	} {
		list := decode[client.AppList](t, do(t, a.Handler(), ask{method: http.MethodGet, target: c.target, key: c.key}))
		var names []string
		for _, app := range list.Apps {
			names = append(names, app.Name)
		}
		if got := strings.Join(names, " "); got != c.want || list.NextCursor != c.cursor {
			t.Errorf("%s: %q then %q, want %q then %q", c.target, got, list.NextCursor, c.want, c.cursor)
		}
	}
	states := decode[client.StateList](t, do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/states?state=fresh", key: "k"}))
	if len(states.States) != 2 || states.States[0].App != "app1" || states.States[1].App != "app3" {
		t.Errorf("states %+v", states)
	}
	if w := get(t, a.Handler(), "/v1/states?state=expired"); !strings.Contains(w.Body.String(), `"states":[]`) {
		t.Errorf("no states: %s", w.Body)
	}
}

func TestPauseResumeAndDeleteReachTheNode(t *testing.T) {
	node := newFake().root()
	a, _ := newAPI(t, node)
	for _, target := range []string{"POST /v1/apps/shop/pause", "POST /v1/apps/shop/resume", "POST /v1/pause", "POST /v1/resume", "DELETE /v1/apps/shop"} {
		method, path, _ := strings.Cut(target, " ")
		if w := do(t, a.Handler(), ask{method: method, target: path}); w.Code != http.StatusNoContent {
			t.Errorf("%s: status %d", target, w.Code)
		}
	}
	want := []string{"pause shop on", "pause shop off", "pause cluster by api:root on", "pause cluster by api:root off", "remove shop"}
	if diff := cmp.Diff(want, node.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	node.err = coordinator.ErrUnknownApp
	refused(t, do(t, a.Handler(), ask{method: http.MethodDelete, target: "/v1/apps/shop"}), 404, "unknown_app")
}

func TestMistakesFoundByTheNodeAreToldAsTheyAre(t *testing.T) {
	node := newFake().root()
	node.err = coordinator.Invalidf("app %q: provider %q is not known", "shop", "wechta")
	a, _ := newAPI(t, node)
	for _, target := range []string{"/v1/apps/shop", "/v1/apps/shop?dry_run=1"} {
		p := refused(t, do(t, a.Handler(), ask{method: http.MethodPut, target: target, body: shopBody}), 400, "invalid_request")
		if p.Detail != `app "shop": provider "wechta" is not known` {
			t.Errorf("detail %q", p.Detail)
		}
	}
}

func TestClientKeyIsShownOnceAndNeverItsDigest(t *testing.T) {
	node := newFake().root()
	a, logged := newAPI(t, node)
	body := `{"name":"orders","can":{"read":["shop/*"]},"note":"for orders","expires_at":"2999-01-01T00:00:00Z"}`
	w := do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/clients", body: body})
	made := decode[client.ClientKey](t, w)
	if w.Code != http.StatusCreated || made.Client != "orders" || len(made.Key) < 40 {
		t.Fatalf("status %d, client %q, key of %d", w.Code, made.Client, len(made.Key))
	}
	kept := node.people["digest of orders"]
	if kept.Digest != coordinator.DigestOf(coordinator.NewSecret(made.Key)) || kept.Owner != "api:root" {
		t.Errorf("kept %+v", kept)
	}
	for _, target := range []string{"/v1/clients", "/v1/clients/orders"} {
		w := get(t, a.Handler(), target)
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), made.Key) || strings.Contains(strings.ToLower(w.Body.String()), "digest") {
			t.Errorf("GET %s: status %d, %s", target, w.Code, w.Body)
		}
	}
	got := decode[client.ClientInfo](t, get(t, a.Handler(), "/v1/clients/orders"))
	if diff := cmp.Diff(client.Permissions{"read": {"shop/*"}}, got.Can); diff != "" || got.Note != "for orders" || got.ExpiresAt.Year() != 2999 {
		t.Errorf("%+v %s", got, diff)
	}
	if strings.Contains(logged.String(), made.Key) {
		t.Error("the key was logged")
	}
	refused(t, get(t, a.Handler(), "/v1/clients/nobody"), 404, "unknown_client")
	if w := do(t, a.Handler(), ask{method: http.MethodDelete, target: "/v1/clients/orders"}); w.Code != http.StatusNoContent {
		t.Errorf("DELETE: status %d", w.Code)
	}
}

func TestClientMistakesAreRefused(t *testing.T) {
	node := newFake().root()
	a, _ := newAPI(t, node)
	for _, body := range []string{
		`{}`, `{"name":"orders"}`, `{"can":{"read":["**"]}}`, `{"name":"o","can":{"read":["**"]},"expires_at":"2001-01-01T00:00:00Z"}`,
		`{"name":"o","can":{"read":"**"}}`, `{"name":"o","can":{"read":["**"]},"key":"mine"}`,
		`{"name":"o","can":{"read":["**"]},"note":"` + strings.Repeat("n", 600) + `"}`,
	} {
		refused(t, do(t, a.Handler(), ask{method: http.MethodPost, target: "/v1/clients", body: body}), 400, "invalid_request")
	}
	if len(node.calls) > 0 {
		t.Errorf("did %v", node.calls)
	}
}

func TestStatusAndNodesSayWhoRefreshes(t *testing.T) {
	node := newFake().root()
	node.status = coordinator.ClusterStatus{
		Node: "n1", Refresher: "n2", Epoch: 12, Nodes: 2, Apps: 3, Tokens: 4, Revision: 99, OutageTolerance: 90 * time.Second,
		States: map[coordinator.Status]int{coordinator.StatusFresh: 4}, Health: coordinator.Health{Synced: true, Age: 1500 * time.Millisecond},
	}
	node.nodes = []coordinator.NodeInfo{{Name: "n1"}, {Name: "n2", Refresher: true, Address: "10.0.0.2:7480"}}
	a, _ := newAPI(t, node)
	got := decode[client.Status](t, get(t, a.Handler(), "/v1/status"))
	want := client.Status{
		Node: "n1", Refresher: "n2", Epoch: 12, Nodes: 2, Apps: 3, Tokens: 4, Revision: 99, States: map[string]int{"fresh": 4},
		OutageToleranceSeconds: new(90.0), WatchAgeSeconds: 1.5, Synced: true, Source: "cluster", Build: "test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	nodes := decode[client.NodeList](t, get(t, a.Handler(), "/v1/nodes")).Nodes
	if len(nodes) != 2 || nodes[0].Refresher || !nodes[1].Refresher || nodes[1].Address != "10.0.0.2:7480" {
		t.Errorf("nodes %+v", nodes)
	}
	node.status.OutageTolerance = -1
	if w := get(t, a.Handler(), "/v1/status"); !strings.Contains(w.Body.String(), `"outage_tolerance_seconds":null`) {
		t.Errorf("without a living token: %s", w.Body)
	}
}

func TestSealsNameEveryKeyAndWhoLacksIt(t *testing.T) {
	node := newFake().root()
	node.seals = coordinator.Seals{Primary: 2, Records: map[int]int{0: 3, 1: 5, 2: 0}}
	node.nodes = []coordinator.NodeInfo{{Name: "n1", SealKeys: []int{1, 2, 3}}, {Name: "n2", SealKeys: []int{1}}}
	a, _ := newAPI(t, node)
	want := client.Seals{Unsealed: 3, Keys: []client.SealKey{
		{ID: 1, Records: 5, MissingOn: []string{}},
		{ID: 2, Primary: true, MissingOn: []string{"n2"}},
		{ID: 3, MissingOn: []string{"n2"}},
	}}
	got := decode[client.Seals](t, get(t, a.Handler(), "/v1/seals"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seals (-want +got):\n%s", diff)
	}
	if got.RecordsOf(1) != 5 || got.RecordsOf(9) != 0 {
		t.Errorf("RecordsOf: %d, %d", got.RecordsOf(1), got.RecordsOf(9))
	}
}

func TestStatusTellsOfUpstreamsThatAreDown(t *testing.T) {
	f := newFake().root()
	f.person("k", map[coordinator.Verb][]string{coordinator.VerbView: {"shop/*"}})
	f.down = []coordinator.UpstreamState{{Name: "api.example.com", State: coordinator.BreakerOpen, Since: time.Unix(1000, 0), Waiting: 7}}
	a, _ := newAPI(t, f)
	got := decode[client.Status](t, get(t, a.Handler(), "/v1/status")).Upstreams
	if len(got) != 1 || got[0].Name != "api.example.com" || got[0].State != "open" || got[0].Waiting != 7 || got[0].Since.IsZero() {
		t.Errorf("%+v", got)
	}
	few := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/status", key: "k"})
	if got := decode[client.Status](t, few); len(got.Upstreams) != 0 {
		t.Errorf("a client that may see one app was told of %+v", got.Upstreams)
	}
}

func TestBarsAreShownAndLifted(t *testing.T) {
	f := newFake().root()
	f.person("k", map[coordinator.Verb][]string{coordinator.VerbView: {"crm/*"}})
	f.bars = []coordinator.Bar{{App: "shop", Egress: "n1", Node: "n1", Reason: "address_not_listed", Until: time.Unix(2000, 0)}}
	a, _ := newAPI(t, f)
	if got := decode[client.BarList](t, get(t, a.Handler(), "/v1/bars")).Bars; len(got) != 1 || got[0].App != "shop" || got[0].Until.IsZero() {
		t.Errorf("bars %+v", got)
	}
	other := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/bars", key: "k"})
	if got := decode[client.BarList](t, other).Bars; len(got) != 0 {
		t.Errorf("a client that may see another app was shown %+v", got)
	}
	if w := do(t, a.Handler(), ask{method: http.MethodDelete, target: "/v1/bars/shop", key: "k"}); w.Code != http.StatusForbidden {
		t.Errorf("a client that may only look lifts bars: %d", w.Code)
	}
	w := do(t, a.Handler(), ask{method: http.MethodDelete, target: "/v1/bars/shop?egress=n1", key: rootKey})
	if got := decode[client.BarsLifted](t, w); got.Lifted != 1 || !slices.Contains(f.calls, "lift shop n1") {
		t.Errorf("%+v after %v", got, f.calls)
	}
}
