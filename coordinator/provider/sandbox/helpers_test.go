package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"freshet/coordinator/provider/sandbox"
)

const (
	appid  = "wx0000000000000001"
	secret = "0123456789abcdef0123456789abcdef"
)

// reply is any answer of the platform.
type reply struct {
	Status      int    `json:"-"`
	Raw         string `json:"-"`
	AccessToken string `json:"access_token"`
	Ticket      string `json:"ticket"`
	ExpiresIn   int    `json:"expires_in"`
	Errcode     *int   `json:"errcode"`
	Errmsg      string `json:"errmsg"`
}

func (r reply) code() int {
	if r.Errcode == nil {
		return 0
	}
	return *r.Errcode
}

// caller asks a sandbox as one program at one address does.
type caller struct {
	t      *testing.T
	client *http.Client
	base   string
}

// open returns a sandbox with the test's app, changed as the test likes.
func open(t *testing.T, change func(*sandbox.Config)) *sandbox.Sandbox {
	t.Helper()
	cfg := sandbox.Config{Apps: []sandbox.App{{AppID: appid, Secret: secret}}}
	if change != nil {
		change(&cfg)
	}
	sb, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

func from(t *testing.T, sb *sandbox.Sandbox) caller {
	t.Helper()
	return caller{t: t, client: sb.Client(), base: "https://api.weixin.qq.com"}
}

func (c caller) send(method, path, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return c.client.Do(r)
}

// do returns the answer, which must have come whole.
func (c caller) do(method, path, body string) reply {
	c.t.Helper()
	response, err := c.send(method, path, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	out := reply{Status: response.StatusCode, Raw: string(raw)}
	_ = json.Unmarshal(raw, &out)
	return out
}

func plainPath(grant, id, sec string) string {
	q := url.Values{"grant_type": {grant}, "appid": {id}, "secret": {sec}}
	return "/cgi-bin/token?" + q.Encode()
}

func stableBody(forced bool) string {
	return fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":%t}`, appid, secret, forced)
}

func (c caller) plain() reply {
	c.t.Helper()
	return c.do("GET", plainPath("client_credential", appid, secret), "")
}

// breaks makes a plain token call that must fail in transport, and returns how.
func (c caller) breaks() error {
	c.t.Helper()
	response, err := c.send("GET", plainPath("client_credential", appid, secret), "")
	if err == nil {
		_ = response.Body.Close()
		c.t.Errorf("answer %s, want none", response.Status)
	}
	return err
}

func (c caller) stable(forced bool) reply {
	c.t.Helper()
	return c.do("POST", "/cgi-bin/stable_token", stableBody(forced))
}

func (c caller) ticket(token, kind string) reply {
	c.t.Helper()
	return c.do("GET", "/cgi-bin/ticket/getticket?type="+kind+"&access_token="+token, "")
}

// use makes a business call and returns its errcode, 0 for success.
func (c caller) use(token string) int {
	c.t.Helper()
	return c.do("GET", "/cgi-bin/user/info?access_token="+token, "").code()
}

func wantCode(t *testing.T, got reply, want int) {
	t.Helper()
	if got.Status != http.StatusOK || got.code() != want {
		t.Fatalf("answer %d %s, want status 200 and errcode %d", got.Status, got.Raw, want)
	}
	if want != 0 && !strings.Contains(got.Errmsg, " rid: ") {
		t.Errorf("errmsg %q has no trace id", got.Errmsg)
	}
}

func wantUse(t *testing.T, c caller, token string, want int) {
	t.Helper()
	if got := c.use(token); got != want {
		t.Errorf("business call answered errcode %d, want %d", got, want)
	}
}
