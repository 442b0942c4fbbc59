package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"freshet/coordinator"
)

func TestNoAnswerWithoutAValidKey(t *testing.T) {
	a, logged := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	for name, header := range map[string][]string{
		"none":       nil,
		"unknown":    {"Bearer who-is-this"},
		"basic":      {"Basic " + rootKey},
		"bare":       {rootKey},
		"empty":      {"Bearer "},
		"two":        {"Bearer " + rootKey, "Bearer " + rootKey},
		"two in one": {"Bearer " + rootKey + ", Bearer " + rootKey},
		"padded":     {"Bearer  " + rootKey},
		"much":       {"Bearer " + strings.Repeat("x", 1000)},
		"other case": {"Bearer " + strings.ToUpper(rootKey)},
	} {
		for _, target := range []string{"/v1/tokens/shop", "/v1/tokens/nothere", "/v1/apps", "/v1/status"} {
			asked := ask{method: http.MethodGet, target: target, key: "-", header: http.Header{}}
			if header != nil {
				asked.header["Authorization"] = header
			}
			w := do(t, a.Handler(), asked)
			refused(t, w, http.StatusUnauthorized, "unauthenticated")
			if got := w.Header().Get("Www-Authenticate"); !strings.HasPrefix(got, `Bearer realm="freshet"`) {
				t.Errorf("%s: WWW-Authenticate %q", name, got)
			}
		}
	}
	if text := logged.String(); strings.Contains(text, rootKey) || strings.Contains(text, "who-is-this") {
		t.Errorf("a key was logged: %s", text)
	}
}

func TestTheSchemeIsReadInAnyCase(t *testing.T) {
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/shop", key: "-", header: http.Header{"Authorization": {"bEARER " + rootKey}}})
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
}

func TestAKeyInTheQueryIsNoKey(t *testing.T) {
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	for _, name := range []string{"key", "access_token", "token", "authorization"} {
		w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/shop?" + name + "=" + rootKey, key: "-"})
		refused(t, w, http.StatusUnauthorized, "unauthenticated")
	}
}

func TestForbiddenNamesLookTheSameWhetherTheyExistOrNot(t *testing.T) {
	node := newFake().hold(token("shop", 7, "v"), token("crm", 7, "v"))
	node.person("orders", map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*"}})
	a, _ := newAPI(t, node)
	there := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/crm", key: "orders"})
	not := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/nothere", key: "orders"})
	refused(t, there, http.StatusForbidden, "forbidden")
	if there.Code != not.Code || there.Body.String() != not.Body.String() {
		t.Errorf("%d %s\n%d %s", there.Code, there.Body, not.Code, not.Body)
	}
}

func TestEachRouteAsksForItsVerb(t *testing.T) {
	routes := map[string][]coordinator.Verb{ // :: request → the verbs of which one is enough
		"GET /v1/tokens/shop":                       {coordinator.VerbRead},
		"HEAD /v1/tokens/shop/access_token":         {coordinator.VerbRead},
		"POST /v1/tokens/shop/access_token/report":  {coordinator.VerbRead},
		"POST /v1/tokens/shop/access_token/refresh": {coordinator.VerbRefresh},
		"POST /v1/apps/shop/refresh":                {coordinator.VerbRefresh},
		"GET /v1/states":                            {coordinator.VerbView, coordinator.VerbAdmin},
		"GET /v1/states/shop":                       {coordinator.VerbView, coordinator.VerbAdmin},
		"GET /v1/states/shop/access_token":          {coordinator.VerbView, coordinator.VerbAdmin},
		"GET /v1/apps":                              {coordinator.VerbView, coordinator.VerbAdmin},
		"GET /v1/apps/shop":                         {coordinator.VerbView, coordinator.VerbAdmin},
		"GET /v1/status":                            {coordinator.VerbView, coordinator.VerbAdmin},
		"GET /v1/nodes":                             {coordinator.VerbView, coordinator.VerbAdmin},
		"PUT /v1/apps/shop":                         {coordinator.VerbAdmin},
		"DELETE /v1/apps/shop":                      {coordinator.VerbAdmin},
		"POST /v1/apps/shop/pause":                  {coordinator.VerbAdmin},
		"POST /v1/apps/shop/resume":                 {coordinator.VerbAdmin},
		"GET /v1/seals":                             {coordinator.VerbAdmin},
		"POST /v1/pause":                            {coordinator.VerbAdmin},
		"POST /v1/finalize":                         {coordinator.VerbAdmin},
		"POST /v1/resume":                           {coordinator.VerbAdmin},
		"GET /v1/clients":                           {coordinator.VerbAdmin},
		"GET /v1/clients/orders":                    {coordinator.VerbAdmin},
		"POST /v1/clients":                          {coordinator.VerbAdmin},
		"DELETE /v1/clients/orders":                 {coordinator.VerbAdmin},
		"PATCH /proxy/shop/x":                       {coordinator.VerbProxy},
	}
	for route, enough := range routes {
		for _, verb := range coordinator.Verbs() {
			node := newFake().hold(token("shop", 7, "v"))
			node.apps["shop"] = coordinator.App{Name: "shop"}
			node.person("k", map[coordinator.Verb][]string{verb: {"**"}})
			a, _ := newAPI(t, node)
			method, target, _ := strings.Cut(route, " ")
			w := do(t, a.Handler(), ask{method: method, target: target, key: "k", body: `{}`})
			allowed := false
			for _, v := range enough {
				allowed = allowed || v == verb
			}
			if allowed == (w.Code == http.StatusForbidden) {
				t.Errorf("%s with %q: status %d, allowed should be %v", route, verb, w.Code, allowed)
			}
			if !allowed && len(node.calls) > 0 {
				t.Errorf("%s with %q did %v", route, verb, node.calls)
			}
		}
	}
}

func TestAdministrationOfPartIsNotOfTheWhole(t *testing.T) {
	node := newFake().hold(token("shop", 7, "v"))
	node.apps["shop"] = coordinator.App{Name: "shop"}
	node.person("one-token", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"shop/access_token"}})
	node.person("one-app", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"shop/*"}})
	node.person("some-apps", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"shop*/*"}})
	a, _ := newAPI(t, node)
	for _, c := range []struct {
		key, method, target string
		status              int
	}{
		{"one-token", http.MethodPut, "/v1/apps/shop", 403},
		{"one-token", http.MethodGet, "/v1/states/shop", 200},
		{"one-app", http.MethodPut, "/v1/apps/shop", 200},
		{"one-app", http.MethodPut, "/v1/apps/shop2", 403},
		{"some-apps", http.MethodPut, "/v1/apps/shop2", 201},
		{"one-app", http.MethodPost, "/v1/clients", 403},
		{"some-apps", http.MethodPost, "/v1/pause", 403},
		{"some-apps", http.MethodPost, "/v1/finalize", 403},
	} {
		if w := do(t, a.Handler(), ask{method: c.method, target: c.target, key: c.key, body: `{}`}); w.Code != c.status {
			t.Errorf("%s %s by %s: status %d, want %d", c.method, c.target, c.key, w.Code, c.status)
		}
	}
}

func TestAParentMustBeTheClientsToo(t *testing.T) {
	node := newFake()
	node.person("k", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"mine/*"}})
	a, _ := newAPI(t, node)
	// The child would send the parent's credentials to an upstream of its choice.
	body := `{"parent":"theirs","upstream":"https://evil.example.com"}`
	w := do(t, a.Handler(), ask{method: http.MethodPut, target: "/v1/apps/mine", key: "k", body: body})
	refused(t, w, http.StatusForbidden, "forbidden")
	if len(node.applied) > 0 {
		t.Error("it was applied")
	}
}

// A node that has not read the cluster's state knows no keys: it must not call a good one wrong.
func TestAKeyIsNotCalledWrongBeforeKeysAreKnown(t *testing.T) {
	f := newFake().root()
	f.health.Synced = false
	a, _ := newAPI(t, f)
	w := do(t, a.Handler(), ask{method: http.MethodGet, target: "/v1/tokens/shop", key: "a-key-of-the-cluster"})
	refused(t, w, http.StatusServiceUnavailable, "not_synced")
}
