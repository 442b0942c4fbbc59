package sandbox_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"
)

// TestRotatedButNeverAnswered is how a refresh token gets lost: the platform obeys,
// and nobody hears of it.
func TestRotatedButNeverAnswered(t *testing.T) {
	for _, fault := range []sandbox.Fault{
		{Do: sandbox.Reset},
		{Do: sandbox.Truncate},
		{Do: sandbox.HTML},
		{Do: sandbox.Status},
		{Do: sandbox.Huge, Bytes: 1 << 20},
		{Do: sandbox.Refuse, Error: "server_error", Status: 500},
	} {
		t.Run(string(fault.Do), func(t *testing.T) {
			c := openOAuth(t, sandbox.OAuthClient{})
			first := c.issue()
			fault.App, fault.Kind, fault.When, fault.Count = clientID, sandbox.KindOAuthToken, sandbox.After, 1
			fail(t, c.sb, fault)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}}
			got, err := c.do(c.request("POST", "/oauth/token", formType, form.Encode(), basic(clientID, clientSecret)))
			if err == nil && got.Status == 200 && got.AccessToken != "" && got.RefreshToken != "" {
				t.Fatalf("answer %s, want it lost", got.Raw)
			}
			if c.sb.LiveRefresh(clientID, first) {
				t.Error("the refresh token was not used up")
			}
			if report := c.report(); report.Grants[0].Generations != 2 || report.Issued != 1 {
				t.Errorf("report %+v, want a second generation", report)
			}
			if calls := c.sb.Oracle().Apps[clientID].Calls[sandbox.KindOAuthToken]; calls.Calls != 1 || calls.Failed != 1 {
				t.Errorf("calls %+v, want one that failed", calls)
			}
			wantRefused(t, c.refresh(first), 400, "invalid_grant")
		})
	}
}

func TestNothingHappensWhereAFaultStrikesBefore(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{})
	first := c.issue()
	fail(t, c.sb, sandbox.Fault{Do: sandbox.Refuse, Error: "slow_down", Errmsg: "wait", Status: 429, Header: map[string]string{"Retry-After": "7"}, Count: 1})
	got := c.refresh(first)
	wantRefused(t, got, 429, "slow_down")
	if got.Header.Get("Retry-After") != "7" || got.Description != "wait" {
		t.Errorf("answer %v %s", got.Header, got.Raw)
	}
	wantGranted(t, c.refresh(first))
}

func TestAnswersThatComeLateAfterTheAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openOAuth(t, sandbox.OAuthClient{})
		first := c.issue()
		fail(t, c.sb, sandbox.Fault{Do: sandbox.Delay, When: sandbox.After, Delay: time.Minute, Count: 1})
		var done sync.WaitGroup
		done.Go(func() { wantGranted(t, c.refresh(first)) })
		synctest.Wait()
		if c.sb.LiveRefresh(clientID, first) {
			t.Error("the platform has not acted before the answer")
		}
		if got := c.sb.Oracle().Apps[clientID].Minting; got != (sandbox.Gauge{InFlight: 1, Peak: 1}) {
			t.Errorf("in flight %+v, want one", got)
		}
		done.Wait()
	})
}

func TestOAuthByCommand(t *testing.T) {
	sb := open(t, func(cfg *sandbox.Config) { cfg.TokenPrefix = "CANARY" })
	c := from(t, sb)
	c.order("POST", "/_clients", `{"client_id":"crm","client_secret":"s","lifetime":"30m","rotation":"grace","grace":"5m"}`)
	listed := c.order("GET", "/_clients", "")
	for _, want := range []string{`"crm":{"client_id":"crm","auth":"basic"`, `"rotation":"grace"`, `"lifetime":"30m0s"`, `"grace":"5m0s"`} {
		if !strings.Contains(listed, want) {
			t.Errorf("clients %s, want %s in it", listed, want)
		}
	}
	if strings.Contains(listed, "client_secret") {
		t.Error("a secret is listed")
	}
	granted := c.order("POST", "/_grant", `{"client_id":"crm","subject":"alice"}`)
	current, ok := sb.CurrentRefresh("crm", "alice")
	if !ok || !strings.Contains(granted, current) || !strings.HasPrefix(current, "CANARY") {
		t.Errorf("granted %s, current %q", granted, current)
	}
	if oracle := c.order("GET", "/_oracle", ""); strings.Contains(oracle, "CANARY") || !strings.Contains(oracle, `"subject":"alice","generations":1`) {
		t.Errorf("oracle %s", oracle)
	}
	if got := strings.TrimSpace(c.order("POST", "/_revoke", `{"client_id":"crm","subject":"alice"}`)); got != `{"revoked":1}` {
		t.Errorf("revoked %s", got)
	}
	for path, body := range map[string]string{
		"/_grant":   `{"client_id":"nobody","subject":"x"}`,
		"/_revoke":  `{"client_id":"nobody","subject":"x"}`,
		"/_clients": `{"client_id":"crm","rotaton":"none"}`,
	} {
		if got := c.do("POST", path, body); got.Status != 400 {
			t.Errorf("%s %s: %d %s, want it refused", path, body, got.Status, got.Raw)
		}
	}
}

func TestOAuthClientsThatMakeNoSense(t *testing.T) {
	for name, client := range map[string]sandbox.OAuthClient{
		"no id":               {Secret: "x"},
		"no secret":           {ID: "x"},
		"public, with secret": {ID: "x", Secret: "x", Auth: sandbox.AuthNone},
		"auth":                {ID: "x", Secret: "x", Auth: "jwt"},
		"body":                {ID: "x", Secret: "x", Body: "xml"},
		"rotation":            {ID: "x", Secret: "x", Rotation: "sometimes"},
		"grant":               {ID: "x", Secret: "x", Grants: []string{"password"}},
		"public credentials":  {ID: "x", Auth: sandbox.AuthNone, Grants: []string{"client_credentials"}},
		"scope":               {ID: "x", Secret: "x", Scopes: []string{"a b"}},
		"lifetime":            {ID: "x", Secret: "x", Lifetime: -1},
	} {
		if _, err := sandbox.New(sandbox.Config{OAuthClients: []sandbox.OAuthClient{client}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	twice := []sandbox.OAuthClient{{ID: "x", Secret: "x"}, {ID: "x", Secret: "x"}}
	if _, err := sandbox.New(sandbox.Config{OAuthClients: twice}); err == nil {
		t.Error("one id twice: accepted")
	}
}

// TestAnyClientIsWelcome is what `freshet sandbox` does without settings.
func TestAnyClientIsWelcome(t *testing.T) {
	sb := open(t, func(cfg *sandbox.Config) { cfg.AnyApp = true })
	c := oauthCaller{t: t, sb: sb, http: sb.Client(), base: "https://login.example.com"}
	refresh, err := sb.Issue("crm", subject)
	if err != nil {
		t.Fatal(err)
	}
	post := func(secret string) grantReply {
		t.Helper()
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"crm"}, "client_secret": {secret}}
		got, err := c.do(c.request("POST", "/oauth/token", formType, form.Encode(), ""))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	wantGranted(t, post("first"))
	wantRefused(t, post("second"), 401, "invalid_client")
}
