package oauth2_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
)

// fositeServer is a token endpoint that others have written.
type fositeServer struct {
	t        *testing.T
	provider fosite.OAuth2Provider
	url      string
}

func newFosite(t *testing.T) fositeServer {
	t.Helper()
	config := &fosite.Config{
		AccessTokenLifespan: 10 * time.Minute, GlobalSecret: []byte(strings.Repeat("s", 32)), HashCost: 4,
		RefreshTokenScopes: []string{"offline"},
	}
	store := storage.NewMemoryStore()
	hash, err := (&fosite.BCrypt{Config: config}).Hash(t.Context(), []byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		store.Clients[method] = &fosite.DefaultOpenIDConnectClient{
			DefaultClient: &fosite.DefaultClient{
				ID: method, Secret: hash, Scopes: []string{"offline", "read"},
				GrantTypes: []string{"client_credentials", "refresh_token", "password"},
			},
			TokenEndpointAuthMethod: method,
		}
	}
	store.Users["alice"] = storage.MemoryUserRelation{Username: "alice", Password: "p"}
	s := fositeServer{t: t, provider: compose.Compose(config, store, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2ResourceOwnerPasswordCredentialsFactory, //nolint:staticcheck // SA1019: the shortest way to a first refresh token
		compose.OAuth2TokenIntrospectionFactory)}
	server := httptest.NewServer(http.HandlerFunc(s.token))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s fositeServer) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	ask, err := s.provider.NewAccessRequest(ctx, r, new(fosite.DefaultSession))
	if err != nil {
		s.provider.WriteAccessError(ctx, w, ask, err)
		return
	}
	for _, scope := range ask.GetRequestedScopes() {
		ask.GrantScope(scope)
	}
	answer, err := s.provider.NewAccessResponse(ctx, ask)
	if err != nil {
		s.provider.WriteAccessError(ctx, w, ask, err)
		return
	}
	s.provider.WriteAccessResponse(ctx, w, ask, answer)
}

// consent returns a first refresh token, as an authorization would.
func (s fositeServer) consent(client string) string {
	s.t.Helper()
	body := "grant_type=password&username=alice&password=p&scope=offline+read"
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client == "client_secret_post" {
		s.t.Fatal("the consent is given to the client with basic only")
	}
	r.SetBasicAuth(client, "canary%2Bsecret%2F%25%3D7d1f")
	ask, err := s.provider.NewAccessRequest(s.t.Context(), r, new(fosite.DefaultSession))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, scope := range ask.GetRequestedScopes() {
		ask.GrantScope(scope)
	}
	answer, err := s.provider.NewAccessResponse(s.t.Context(), ask)
	if err != nil {
		s.t.Fatal(err)
	}
	refresh, _ := answer.GetExtra("refresh_token").(string)
	if refresh == "" {
		s.t.Fatal("no refresh token was given")
	}
	return refresh
}

// alive asks fosite whether an access token works.
func (s fositeServer) alive(token string) bool {
	_, _, err := s.provider.IntrospectToken(context.WithoutCancel(s.t.Context()), token, fosite.AccessToken, new(fosite.DefaultSession))
	return err == nil
}

func (s fositeServer) app(method string, o options) coordinator.App {
	app := testApp(s.url, o)
	app.Credentials["client_id"] = coordinator.NewSecret(method)
	return app
}

func TestFositeGrantsClientCredentials(t *testing.T) {
	s := newFosite(t)
	for method, auth := range map[string]string{"client_secret_basic": "basic", "client_secret_post": "post"} {
		app := s.app(method, options{"auth": auth})
		app.Tokens[oauth2.AccessToken] = coordinator.TokenSettings{Options: options{"scope": "read"}}
		yield, err := fetch(t, app, "")
		if err != nil {
			t.Fatal(err)
		}
		value := yield.Values[oauth2.AccessToken]
		if !s.alive(value.Value.Reveal()) || value.Lifetime > 10*time.Minute || value.Lifetime < 9*time.Minute || value.Scope != "read" {
			t.Errorf("%s: value %+v", auth, value)
		}
		app.Options["auth"] = map[string]string{"basic": "post", "post": "basic"}[auth]
		_, err = fetch(t, app, "")
		if up := upstreamError(t, err); up.Class != coordinator.ClassConfig || up.Code != "invalid_client" || up.Ambiguous {
			t.Errorf("the wrong method: %+v", up)
		}
	}
	app := s.app("client_secret_basic", nil)
	app.Tokens[oauth2.AccessToken] = coordinator.TokenSettings{Options: options{"scope": "admin"}}
	_, err := fetch(t, app, "")
	if up := upstreamError(t, err); up.Class != coordinator.ClassConfig || up.Code != "invalid_scope" {
		t.Errorf("a scope that is not granted: %+v", up)
	}
	app.Credentials["client_secret"] = coordinator.NewSecret("wrong-canary")
	_, err = fetch(t, app, "")
	if up := upstreamError(t, err); up.Class != coordinator.ClassConfig || up.Code != "invalid_client" || strings.Contains(up.Error(), "wrong-canary") {
		t.Errorf("a wrong secret: %+v", up)
	}
}

func TestFositeRotatesAndRevokesOnReuse(t *testing.T) {
	s := newFosite(t)
	app := s.app("client_secret_basic", options{"grant": "refresh_token"})
	first := s.consent("client_secret_basic")
	presented, access := first, ""
	for range 3 {
		yield, err := fetch(t, app, presented)
		if err != nil {
			t.Fatal(err)
		}
		if yield.Refresh.IsZero() || yield.Refresh.Reveal() == presented {
			t.Fatal("the refresh token was not rotated")
		}
		presented, access = yield.Refresh.Reveal(), yield.Values[oauth2.AccessToken].Value.Reveal()
		if !s.alive(access) {
			t.Error("the access token does not work")
		}
	}
	_, err := fetch(t, app, first)
	if up := upstreamError(t, err); up.Class != coordinator.ClassReauthorize || up.Code != "invalid_grant" || up.Ambiguous {
		t.Errorf("reuse: %+v, want reauthorize", up)
	}
	if s.alive(access) {
		t.Error("fosite did not revoke the family, so this test shows nothing")
	}
	_, err = fetch(t, app, presented)
	if up := upstreamError(t, err); up.Class != coordinator.ClassReauthorize {
		t.Errorf("after the revocation: %+v, want reauthorize", up)
	}
}
