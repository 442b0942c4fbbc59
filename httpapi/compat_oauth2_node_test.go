package httpapi_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"freshet/httpapi/client"
)

// A program that uses golang.org/x/oauth2 as it is: its client_id is the app's
// name, its client_secret a client key.
func (d *drop) program(id, key string, style oauth2.AuthStyle, scopes ...string) *clientcredentials.Config {
	return &clientcredentials.Config{
		ClientID: id, ClientSecret: key, TokenURL: d.url + "/compat/oauth2/token", AuthStyle: style, Scopes: scopes,
	}
}

func TestUnmodifiedOAuthProgramsGetTheTokenHeld(t *testing.T) {
	d := serveDrop(t)
	held := d.held("crm")
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleAutoDetect, oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		for range 20 {
			token, err := d.program("crm", d.key, style).Token(t.Context())
			if err != nil || token.AccessToken != held.Value || token.Type() != "Bearer" || token.RefreshToken != "" {
				t.Fatalf("style %d: %v, %v", style, token, err)
			}
			if left := time.Until(token.Expiry); left > time.Until(held.ExpiresAt)+time.Second || left < time.Until(held.ExpiresAt)-30*time.Second {
				t.Errorf("style %d: it is told to live %s, and lives until %s", style, left, held.ExpiresAt)
			}
		}
	}
	if issued := d.sandbox.Oracle().Apps[oauthID].OAuth.Issued; issued != 1 {
		t.Errorf("the platform issued %d tokens for 60 calls, want 1", issued)
	}
	_, err := d.program("crm", "wrong-key", oauth2.AuthStyleInHeader).Token(t.Context())
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || refused.ErrorCode != "invalid_client" || refused.Response.StatusCode != 401 {
		t.Errorf("a wrong key: %v", err)
	}
}

// Such a program has no way to say that its token is dead; who learns of it
// reports it, and the next token call has the new one.
func TestADeadTokenOfAnOAuthProgramHeals(t *testing.T) {
	d := serveDrop(t)
	config := d.program("crm", d.key, oauth2.AuthStyleInHeader)
	first, err := config.Token(t.Context())
	d.must(err)
	if !d.sandbox.KillToken(first.AccessToken) {
		t.Fatal("the first token did not live")
	}
	reporter, err := client.New(client.Config{Addresses: []string{d.url}, Key: d.key})
	d.must(err)
	report, err := reporter.Report(t.Context(), "crm", client.ReportBody{Version: 1, Code: "401"})
	d.must(err)
	if report.Verdict != client.VerdictRefreshing && report.Verdict != client.VerdictReplaced {
		t.Errorf("verdict %s", report.Verdict)
	}
	_, err = d.admin.Token(t.Context(), "crm", client.TokenOptions{After: 1, Wait: 30 * time.Second})
	d.must(err)
	second, err := config.Token(t.Context())
	if err != nil || second.AccessToken == first.AccessToken || !d.sandbox.Alive(second.AccessToken) {
		t.Errorf("after the report: the same value %t, %v", second.AccessToken == first.AccessToken, err)
	}
	if issued := d.sandbox.Oracle().Apps[oauthID].OAuth.Issued; issued != 2 {
		t.Errorf("the platform issued %d tokens, want 2", issued)
	}
}
