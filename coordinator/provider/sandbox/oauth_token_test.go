package sandbox_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"
)

func TestClientCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openOAuth(t, sandbox.OAuthClient{Lifetime: 2 * time.Minute, Scopes: []string{"read", "write"}})
		got := wantGranted(t, c.credentials())
		if string(got.ExpiresIn) != "120" || got.RefreshToken != "" || got.Scope != "read write" || got.IDToken != "" {
			t.Errorf("answer %s", got.Raw)
		}
		second := wantGranted(t, c.credentials())
		time.Sleep(2*time.Minute - time.Nanosecond)
		if c.use(got.AccessToken) != 200 || c.use(second.AccessToken) != 200 || !c.sb.Alive(got.AccessToken) {
			t.Error("both tokens should live")
		}
		time.Sleep(time.Nanosecond)
		if c.use(got.AccessToken) != 401 || c.sb.Alive(got.AccessToken) {
			t.Error("the token outlived its lifetime")
		}
	})
}

func TestAnswersThatClientsForget(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{OmitExpiresIn: true, IDToken: true})
	got := wantGranted(t, c.ask(url.Values{"grant_type": {"client_credentials"}, "scope": {"openid a"}}))
	if got.ExpiresIn != nil || got.IDToken == "" {
		t.Errorf("answer %s, want an id_token and no expires_in", got.Raw)
	}
	c = openOAuth(t, sandbox.OAuthClient{TextExpiresIn: true})
	if got := wantGranted(t, c.credentials()); string(got.ExpiresIn) != `"3600"` {
		t.Errorf("expires_in %s, want a text", got.ExpiresIn)
	}
}

func TestOAuthTimeScale(t *testing.T) {
	sb := open(t, func(cfg *sandbox.Config) {
		cfg.TimeScale = 60
		cfg.OAuthClients = []sandbox.OAuthClient{{ID: clientID, Secret: clientSecret}}
	})
	c := oauthCaller{t: t, sb: sb, http: sb.Client(), base: "https://login.example.com"}
	if got := wantGranted(t, c.credentials()); string(got.ExpiresIn) != "60" {
		t.Errorf("expires_in %s, want an hour in a minute", got.ExpiresIn)
	}
}

// TestTokenEndpointIsStrict sends one mistake each.
func TestTokenEndpointIsStrict(t *testing.T) {
	good := basic(clientID, clientSecret)
	grant := "grant_type=client_credentials"
	for name, tt := range map[string]struct {
		client                                  sandbox.OAuthClient
		method, query, kind, body, authenticate string
		status                                  int
		code                                    string
	}{
		"GET":                       {method: "GET", status: 405, code: "invalid_request"},
		"parameters in the URL":     {query: "?grant_type=client_credentials", status: 400, code: "invalid_request"},
		"another kind of body":      {kind: "text/plain", status: 400, code: "invalid_request"},
		"no kind of body":           {kind: "none", status: 400, code: "invalid_request"},
		"a broken form":             {body: "grant_type=%zz", status: 400, code: "invalid_request"},
		"broken JSON":               {kind: "application/json", body: `{"grant_type"`, status: 400, code: "invalid_request"},
		"JSON that is no object":    {kind: "application/json", body: `null`, status: 400, code: "invalid_request"},
		"JSON with a number":        {kind: "application/json", body: `{"grant_type":1}`, status: 400, code: "invalid_request"},
		"a parameter twice":         {body: grant + "&" + grant, status: 400, code: "invalid_request"},
		"no grant_type":             {body: "grant_type=", status: 400, code: "invalid_request"},
		"an unknown grant":          {body: "grant_type=password", status: 400, code: "unsupported_grant_type"},
		"a grant not registered":    {client: sandbox.OAuthClient{Grants: []string{"refresh_token"}}, status: 400, code: "unauthorized_client"},
		"a wrong body":              {client: sandbox.OAuthClient{Body: "json"}, status: 400, code: "invalid_request"},
		"no refresh token":          {body: "grant_type=refresh_token", status: 400, code: "invalid_request"},
		"an unknown refresh token":  {body: "grant_type=refresh_token&refresh_token=x", status: 400, code: "invalid_grant"},
		"a scope not registered":    {client: sandbox.OAuthClient{Scopes: []string{"a"}}, body: grant + "&scope=b", status: 400, code: "invalid_scope"},
		"a scope with two spaces":   {body: grant + "&scope=a++b", status: 400, code: "invalid_scope"},
		"a relative resource":       {body: grant + "&resource=x", status: 400, code: "invalid_target"},
		"two ways at once":          {body: grant + "&client_id=" + url.QueryEscape(clientID) + "&client_secret=x", status: 400, code: "invalid_request"},
		"two client_ids":            {body: grant + "&client_id=other", status: 400, code: "invalid_request"},
		"no client":                 {authenticate: "none", status: 401, code: "invalid_client"},
		"a wrong secret":            {authenticate: basic(clientID, "wrong"), status: 401, code: "invalid_client"},
		"an unknown client":         {authenticate: basic("nobody", clientSecret), status: 401, code: "invalid_client"},
		"Basic without urlencoding": {authenticate: "Basic Y3JtOiBjbGllbnQ6cyUrLyBlOmNyZXQ=", status: 401, code: "invalid_client"},
		"Bearer":                    {authenticate: "Bearer x", status: 401, code: "invalid_client"},
		"basic for a post client":   {client: sandbox.OAuthClient{Auth: sandbox.AuthPost}, status: 401, code: "invalid_client"},
		"basic for a public client": {client: sandbox.OAuthClient{Auth: sandbox.AuthNone}, status: 401, code: "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			or := func(text, usual string) string {
				return map[bool]string{true: usual, false: strings.TrimPrefix(text, "none")}[text == ""]
			}
			c := openOAuth(t, tt.client)
			got, err := c.do(c.request(or(tt.method, "POST"), "/oauth/token"+tt.query, or(tt.kind, formType),
				or(tt.body, grant), or(tt.authenticate, good)))
			if err != nil {
				t.Fatal(err)
			}
			wantRefused(t, got, tt.status, tt.code)
			if calls := c.sb.Oracle().Apps[clientID].Calls[sandbox.KindOAuthToken]; tt.status == 400 && calls.Errors[tt.code] != 1 {
				t.Errorf("the oracle saw %+v", calls)
			}
		})
	}
}

func TestClientsAuthenticateAsRegistered(t *testing.T) {
	form := func(values ...string) string {
		v := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(values); i += 2 {
			v.Set(values[i], values[i+1])
		}
		return v.Encode()
	}
	c := openOAuth(t, sandbox.OAuthClient{Auth: sandbox.AuthPost})
	got, err := c.do(c.request("POST", "/oauth/token", formType, form("client_id", clientID, "client_secret", clientSecret), ""))
	if err != nil {
		t.Fatal(err)
	}
	wantGranted(t, got)
	got, err = c.do(c.request("POST", "/oauth/token", "application/json", fmt.Sprintf(
		`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q,"resource":["https://a.example","https://b.example"]}`,
		clientID, clientSecret), ""))
	if err != nil {
		t.Fatal(err)
	}
	wantGranted(t, got)

	c = openOAuth(t, sandbox.OAuthClient{Auth: sandbox.AuthNone})
	got, err = c.do(c.request("POST", "/oauth/token", formType,
		form("client_id", clientID, "grant_type", "refresh_token", "refresh_token", c.issue()), ""))
	if err != nil {
		t.Fatal(err)
	}
	wantGranted(t, got)
	got, err = c.do(c.request("POST", "/oauth/token", formType, form("client_id", clientID), ""))
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, got, 400, "unauthorized_client")
}

func TestBusinessCallsWantALivingToken(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{})
	got, err := c.do(c.request("GET", "/oauth/userinfo", "", "", ""))
	if err != nil || got.Status != 401 || got.Header.Get("WWW-Authenticate") != `Bearer realm="sandbox"` || got.Raw != "" {
		t.Errorf("without a token: %d %v %q %v", got.Status, got.Header, got.Raw, err)
	}
	wantRefusedUse := func(token string) {
		t.Helper()
		got, err := c.do(c.request("GET", "/oauth/userinfo", "", "", "bearer  "+token))
		if err != nil || got.Status != 401 || !strings.Contains(got.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("answer %d %v %v, want invalid_token", got.Status, got.Header, err)
		}
	}
	wantRefusedUse("unknown")
	token := wantGranted(t, c.credentials()).AccessToken
	if c.use(token) != http.StatusOK || !c.sb.KillToken(token) || c.sb.KillToken(token) {
		t.Error("a living token can be used, and killed once")
	}
	wantRefusedUse(token)
	if calls := c.sb.Oracle().Apps[clientID].Calls[sandbox.KindOAuthUse]; calls.Calls != 2 || calls.Failed != 1 {
		t.Errorf("the oracle counts %+v of this client's business calls", calls)
	}
}
