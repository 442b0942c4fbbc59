package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
)

const oauthTarget = "/compat/oauth2/token"

// oauthNode has the app crm with an access_token and two tokens of scopes, which
// the key "orders" may read.
func oauthNode() *fakeNode {
	f := newFake().root().hold(token("crm", 7, "the-value"), token("crm/graph", 3, "graph-value"), token("crm/mail", 2, "mail-value"), token("hidden", 1, "hidden-value"))
	scope := func(s string) coordinator.TokenSettings {
		return coordinator.TokenSettings{Options: map[string]string{"scope": s}}
	}
	f.apps["crm"] = coordinator.App{Name: "crm", Provider: "oauth2", Tokens: map[string]coordinator.TokenSettings{
		"access_token": {}, "graph": scope("read write"), "mail": scope("mail"),
	}}
	f.apps["hidden"] = coordinator.App{Name: "hidden", Provider: "oauth2", Tokens: map[string]coordinator.TokenSettings{"access_token": {}}}
	f.person("orders", map[coordinator.Verb][]string{coordinator.VerbRead: {"crm/*"}})
	f.person("mailer", map[coordinator.Verb][]string{coordinator.VerbRead: {"crm/mail"}})
	f.person("a+b/c=", map[coordinator.Verb][]string{coordinator.VerbRead: {"crm/*"}})
	f.person("nobody", map[coordinator.Verb][]string{coordinator.VerbAdmin: {"**"}})
	return f
}

func basicAuth(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// oauthAsk asks for a token; pairs are the parameters of the body.
func oauthAsk(t testing.TB, h http.Handler, authorization string, pairs ...string) *httptest.ResponseRecorder {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return oauthSend(t, h, authorization, form.Encode())
}

func oauthSend(t testing.TB, h http.Handler, authorization, body string) *httptest.ResponseRecorder {
	t.Helper()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if authorization != "" {
		header.Set("Authorization", authorization)
	}
	return do(t, h, ask{method: http.MethodPost, target: oauthTarget, key: "-", body: body, header: header})
}

func TestOAuthAnswersAreThoseOfTheRFC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCompat(t, &wechatNode{fakeNode: oauthNode()})
		w := oauthAsk(t, h, basicAuth("crm", "orders"), "grant_type", "client_credentials")
		const want = `{"access_token":"the-value","token_type":"Bearer","expires_in":7140,"scope":"a b"}` + "\n"
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("status %d, body %s", w.Code, w.Body)
		}
		got := []string{w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"), w.Header().Get("Pragma"), w.Header().Get("Freshet-Version")}
		if diff := cmp.Diff([]string{"application/json", "no-store", "no-cache", "7"}, got); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
	})
}

func TestOAuthClientsNameATokenByIDAndScope(t *testing.T) {
	h := newCompat(t, &wechatNode{fakeNode: oauthNode()})
	const grant = "client_credentials"
	for name, c := range map[string]struct {
		authorization string
		pairs         []string
		want          string // a value, or an error
	}{
		"the app":                   {basicAuth("crm", "orders"), nil, "the-value"},
		"in the body":               {"", []string{"client_id", "crm", "client_secret", "orders"}, "the-value"},
		"a token":                   {basicAuth("crm%2Fgraph", "orders"), nil, "graph-value"},
		"a token, not encoded":      {basicAuth("crm/graph", "orders"), nil, "graph-value"},
		"a secret encoded":          {basicAuth("crm", url.QueryEscape("a+b/c=")), nil, "the-value"},
		"a secret not encoded":      {basicAuth("crm", "a+b/c="), nil, "the-value"},
		"a scope in another order":  {basicAuth("crm", "orders"), []string{"scope", "write read"}, "graph-value"},
		"a scope that was granted":  {basicAuth("crm/access_token", "orders"), []string{"scope", "b"}, "the-value"},
		"a scope of what it may":    {basicAuth("crm", "mailer"), []string{"scope", "mail"}, "mail-value"},
		"the same client_id twice":  {basicAuth("crm", "orders"), []string{"client_id", "crm"}, "the-value"},
		"more than the RFC has":     {basicAuth("crm", "orders"), []string{"audience", "x", "resource", "y"}, "the-value"},
		"a scope nobody has":        {basicAuth("crm", "orders"), []string{"scope", "admin"}, "invalid_scope"},
		"a scope of several":        {basicAuth("crm", "orders"), []string{"scope", "a"}, "invalid_scope"},
		"not the token's scope":     {basicAuth("crm/mail", "orders"), []string{"scope", "read"}, "invalid_scope"},
		"a scope it may not read":   {basicAuth("crm", "mailer"), []string{"scope", "read write"}, "invalid_scope"},
		"a token it may not read":   {basicAuth("crm", "mailer"), nil, "invalid_client"},
		"an app it may not read":    {basicAuth("hidden", "orders"), nil, "invalid_client"},
		"an app that is not there":  {basicAuth("nothere", "orders"), nil, "invalid_client"},
		"a token that is not there": {basicAuth("crm/nothere", "orders"), nil, "invalid_client"},
		"a client that may nothing": {basicAuth("crm", "nobody"), nil, "invalid_client"},
		"a wrong key":               {basicAuth("crm", "wrong"), nil, "invalid_client"},
		"no key":                    {"", []string{"client_id", "crm"}, "invalid_client"},
		"no id":                     {"", []string{"client_secret", "orders"}, "invalid_client"},
		"an id that is no name":     {basicAuth("../crm", "orders"), nil, "invalid_client"},
		"another scheme":            {"Bearer orders", []string{"client_id", "crm"}, "invalid_client"},
		"both ways at once":         {basicAuth("crm", "orders"), []string{"client_secret", "orders"}, "invalid_request"},
		"two client_ids":            {basicAuth("crm", "orders"), []string{"client_id", "hidden"}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			w := oauthAsk(t, h, c.authorization, append(c.pairs, "grant_type", grant)...)
			if got := decode[map[string]any](t, w); got["access_token"] != c.want && got["error"] != c.want {
				t.Errorf("status %d: %s, want %s", w.Code, w.Body, c.want)
			}
		})
	}
}

func TestOAuthRefusalsAreThoseOfTheRFC(t *testing.T) {
	node := oauthNode()
	h := newCompat(t, &wechatNode{fakeNode: node})
	basic := basicAuth("crm", "orders")
	for name, c := range map[string]struct {
		w      *httptest.ResponseRecorder
		status int
		code   string
	}{
		"no grant":         {oauthAsk(t, h, basic, "scope", "x"), 400, "invalid_request"},
		"another grant":    {oauthAsk(t, h, basic, "grant_type", "refresh_token"), 400, "unsupported_grant_type"},
		"a doubled grant":  {oauthSend(t, h, basic, "grant_type=client_credentials&grant_type=client_credentials"), 400, "invalid_request"},
		"a bad escape":     {oauthSend(t, h, basic, "grant_type=%zz"), 400, "invalid_request"},
		"no body":          {oauthSend(t, h, basic, ""), 400, "invalid_request"},
		"a body too large": {oauthSend(t, h, basic, "grant_type=client_credentials&x="+strings.Repeat("a", maxBody)), 413, "invalid_request"},
		"JSON": {do(t, h, ask{
			method: http.MethodPost, target: oauthTarget, key: "-", body: `{"grant_type":"client_credentials"}`,
		}), 400, "invalid_request"},
		"a query": {do(t, h, ask{
			method: http.MethodPost, target: oauthTarget + "?client_id=crm&client_secret=orders", key: "-", body: "grant_type=client_credentials",
			header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		}), 400, "invalid_request"},
		"a wrong key": {oauthAsk(t, h, basicAuth("crm", "wrong"), "grant_type", "client_credentials"), 401, "invalid_client"},
	} {
		got := decode[map[string]any](t, c.w)
		if c.w.Code != c.status || got["error"] != c.code || got["error_description"] == "" {
			t.Errorf("%s: status %d, %s, want %d %s", name, c.w.Code, c.w.Body, c.status, c.code)
		}
		if challenge := c.w.Header().Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
			t.Errorf("%s: WWW-Authenticate %q", name, challenge)
		}
		if c.w.Header().Get("Cache-Control") != "no-store" || strings.Contains(c.w.Body.String(), "orders") {
			t.Errorf("%s: headers %v, body %s", name, c.w.Header(), c.w.Body)
		}
	}
	if w := do(t, h, ask{method: http.MethodGet, target: oauthTarget}); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", w.Code)
	}
	if len(node.calls) > 0 {
		t.Errorf("refused calls did %v", node.calls)
	}
}

func TestOAuthSaysWhetherToAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := oauthNode()
		h := newCompat(t, &wechatNode{fakeNode: node})
		view, _ := node.View(coordinator.Name{App: "crm", Token: "access_token"})
		missing := func(err error) error {
			return &coordinator.NoValueError{Err: err, View: view, RetryAfter: 3 * time.Second}
		}
		for _, c := range []struct {
			err         error
			status      int
			code, after string
		}{
			{missing(coordinator.ErrNoValidToken), 503, "temporarily_unavailable", "3"},
			{missing(coordinator.ErrReauthorize), 400, "invalid_grant", ""},
			{coordinator.ErrNotSynced, 503, "temporarily_unavailable", "1"},
		} {
			node.readErr = c.err
			w := oauthAsk(t, h, basicAuth("crm", "orders"), "grant_type", "client_credentials")
			if got := decode[map[string]any](t, w); w.Code != c.status || got["error"] != c.code || w.Header().Get("Retry-After") != c.after {
				t.Errorf("%v: status %d, %s, Retry-After %q", c.err, w.Code, w.Body, w.Header().Get("Retry-After"))
			}
		}
	})
}

func TestOAuthIsTheRootOfItsListener(t *testing.T) {
	a, err := New(Config{Node: oauthNode()})
	if err != nil {
		t.Fatal(err)
	}
	w := do(t, a.SurfaceHandler(SurfaceOAuth2), ask{
		method: http.MethodPost, target: "/token", key: "-", body: "grant_type=client_credentials&client_id=crm&client_secret=orders",
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	})
	if w.Code != http.StatusOK {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func FuzzOAuthForm(f *testing.F) {
	for _, seed := range []string{"grant_type=client_credentials&client_id=a&client_secret=b", "grant_type=x", "a=%zz", "grant_type=client_credentials&scope=a+b;c"} {
		f.Add(seed, "")
		f.Add(seed, basicAuth("a%2Fb", "c"))
	}
	f.Add("grant_type=client_credentials", "Basic !")
	f.Fuzz(func(t *testing.T, body, authorization string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, oauthTarget, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		form, err := readOAuthForm(httptest.NewRecorder(), r)
		if err != nil {
			if own, ok := err.(*oauthError); !ok || own.status < 400 || own.code == "" { //nolint:errorlint // nothing wraps it
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if len(form.ids) == 0 || len(form.ids) > 2 || len(form.secrets) == 0 || len(form.secrets) > 2 {
			t.Errorf("%q with %q is read as %d ids and %d secrets", body, authorization, len(form.ids), len(form.secrets))
		}
	})
}
