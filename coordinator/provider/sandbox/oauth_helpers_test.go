package sandbox_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"freshet/coordinator/provider/sandbox"
)

const (
	clientID     = "crm: client" // must be form-urlencoded before Basic
	clientSecret = "s%+/ e:cret"
	subject      = "alice"
)

// grantReply is any answer of the OAuth server.
type grantReply struct {
	Status       int             `json:"-"`
	Header       http.Header     `json:"-"`
	Raw          string          `json:"-"`
	AccessToken  string          `json:"access_token"`
	TokenType    string          `json:"token_type"`
	ExpiresIn    json.RawMessage `json:"expires_in"`
	RefreshToken string          `json:"refresh_token"`
	Scope        string          `json:"scope"`
	IDToken      string          `json:"id_token"`
	Error        string          `json:"error"`
	Description  string          `json:"error_description"`
}

// oauthCaller asks a sandbox as one OAuth client does.
type oauthCaller struct {
	t    *testing.T
	sb   *sandbox.Sandbox
	http *http.Client
	base string
}

// openOAuth returns a sandbox with one client, changed as the test likes.
func openOAuth(t *testing.T, client sandbox.OAuthClient) oauthCaller {
	t.Helper()
	client.ID, client.Secret = clientID, clientSecret
	if client.Auth == sandbox.AuthNone {
		client.Secret = ""
	}
	sb := open(t, func(cfg *sandbox.Config) { cfg.OAuthClients = []sandbox.OAuthClient{client} })
	return oauthCaller{t: t, sb: sb, http: sb.Client(), base: "https://login.example.com"}
}

func (c oauthCaller) issue() string {
	c.t.Helper()
	value, err := c.sb.Issue(clientID, subject)
	if err != nil {
		c.t.Fatal(err)
	}
	return value
}

func (c oauthCaller) report() sandbox.OAuthReport {
	c.t.Helper()
	return *c.sb.Oracle().Apps[clientID].OAuth
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func (c oauthCaller) request(method, path, kind, body, authorization string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func (c oauthCaller) do(r *http.Request) (grantReply, error) {
	c.t.Helper()
	response, err := c.http.Do(r)
	if err != nil {
		return grantReply{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	out := grantReply{Status: response.StatusCode, Header: response.Header, Raw: string(raw)}
	_ = json.Unmarshal(raw, &out)
	return out, err
}

const formType = "application/x-www-form-urlencoded"

// ask sends a form with Basic authentication, and must be answered.
func (c oauthCaller) ask(form url.Values) grantReply {
	c.t.Helper()
	got, err := c.do(c.request("POST", "/oauth/token", formType, form.Encode(), basic(clientID, clientSecret)))
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

func (c oauthCaller) credentials() grantReply {
	c.t.Helper()
	return c.ask(url.Values{"grant_type": {"client_credentials"}})
}

func (c oauthCaller) refresh(token string) grantReply {
	c.t.Helper()
	return c.ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// use makes a business call and returns its status.
func (c oauthCaller) use(token string) int {
	c.t.Helper()
	got, err := c.do(c.request("GET", "/oauth/userinfo", "", "", "Bearer "+token))
	if err != nil {
		c.t.Fatal(err)
	}
	return got.Status
}

func wantGranted(t *testing.T, got grantReply) grantReply {
	t.Helper()
	if got.Status != 200 || got.AccessToken == "" || got.TokenType != "Bearer" || got.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answer %d %s, want a token", got.Status, got.Raw)
	}
	return got
}

func wantRefused(t *testing.T, got grantReply, status int, code string) {
	t.Helper()
	if got.Status != status || got.Error != code {
		t.Fatalf("answer %d %s, want %d %s", got.Status, got.Raw, status, code)
	}
	if named := got.Header.Get("WWW-Authenticate") != ""; named != (status == 401) {
		t.Errorf("status %d with WWW-Authenticate %q", status, got.Header.Get("WWW-Authenticate"))
	}
}
