package sandbox_test

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"

	"github.com/google/go-cmp/cmp"
)

func TestStrictRotationRevokesTheFamilyOnReuse(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{Rotation: sandbox.RotateStrict})
	first := c.issue()
	second := wantGranted(t, c.refresh(first))
	if second.RefreshToken == "" || second.RefreshToken == first {
		t.Fatalf("refresh token not rotated: %s", second.Raw)
	}
	if c.sb.LiveRefresh(clientID, first) || !c.sb.LiveRefresh(clientID, second.RefreshToken) {
		t.Error("the successor is not the one that lives")
	}
	other, _ := c.sb.Issue(clientID, "bob")
	wantRefused(t, c.refresh(first), 400, "invalid_grant")
	wantRefused(t, c.refresh(second.RefreshToken), 400, "invalid_grant")
	if got := c.use(second.AccessToken); got != 401 {
		t.Errorf("an access token of a revoked family works: %d", got)
	}
	if c.sb.LiveRefresh(clientID, second.RefreshToken) || !c.sb.LiveRefresh(clientID, other) {
		t.Error("the wrong family was revoked")
	}
	report := c.report()
	if report.Reused != 1 || report.Revoked != 1 || report.RefreshTokens != 3 || report.Issued != 1 || len(report.Live) != 0 {
		t.Errorf("report %+v", report)
	}
	want := sandbox.GrantReport{Subject: subject, Generations: 2, Current: report.Grants[0].Current, Reused: 1, Revoked: true}
	if diff := cmp.Diff(want, report.Grants[0]); diff != "" {
		t.Error(diff)
	}
}

func TestGraceRotationForgivesForAWhile(t *testing.T) {
	for _, siblings := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := openOAuth(t, sandbox.OAuthClient{Rotation: sandbox.RotateGrace, Grace: time.Minute, Siblings: siblings})
			first := c.issue()
			second := wantGranted(t, c.refresh(first)).RefreshToken
			time.Sleep(time.Minute - time.Nanosecond)
			again := wantGranted(t, c.refresh(first)).RefreshToken
			if (again == second) == siblings {
				t.Errorf("siblings %t: the replay was answered %q after %q", siblings, again, second)
			}
			if !c.sb.LiveRefresh(clientID, second) || !c.sb.LiveRefresh(clientID, again) || c.sb.LiveRefresh(clientID, first) {
				t.Error("the successors live, the replaced one does not")
			}
			if current, ok := c.sb.CurrentRefresh(clientID, subject); !ok || current != again {
				t.Errorf("current %q %t, want %q", current, ok, again)
			}
			time.Sleep(time.Nanosecond)
			wantRefused(t, c.refresh(first), 400, "invalid_grant")
			wantRefused(t, c.refresh(second), 400, "invalid_grant")
			if report := c.report(); report.Reused != 2 || report.Revoked != 1 {
				t.Errorf("reused %d, revoked %d; want 2 and 1", report.Reused, report.Revoked)
			}
			if _, ok := c.sb.CurrentRefresh(clientID, subject); ok {
				t.Error("a revoked grant has a current refresh token")
			}
		})
	}
}

func TestOldRefreshTokensStay(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{Rotation: sandbox.RotateOldStays})
	first := c.issue()
	second := wantGranted(t, c.refresh(first)).RefreshToken
	third := wantGranted(t, c.refresh(first)).RefreshToken
	if second == first || third == second || second == "" {
		t.Error("each answer should hold a new refresh token")
	}
	for _, token := range []string{first, second, third} {
		if !c.sb.LiveRefresh(clientID, token) {
			t.Error("an old refresh token died")
		}
	}
	if report := c.report(); report.Reused != 1 || report.Revoked != 0 || report.Grants[0].Generations != 3 {
		t.Errorf("report %+v", report)
	}
}

func TestRefreshTokenWithoutRotation(t *testing.T) {
	for _, repeat := range []bool{false, true} {
		c := openOAuth(t, sandbox.OAuthClient{Rotation: sandbox.RotateNone, RepeatRefresh: repeat})
		first := c.issue()
		for range 2 {
			got := wantGranted(t, c.refresh(first)).RefreshToken
			if want := map[bool]string{true: first}[repeat]; got != want {
				t.Errorf("repeat %t: the answer holds %q", repeat, got)
			}
		}
		if !c.sb.LiveRefresh(clientID, first) || c.report().Reused != 0 {
			t.Error("a refresh token that is not rotated was taken for a replaced one")
		}
	}
}

func TestRefusedRefreshUsesNothingUp(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{Scopes: []string{"read", "write"}})
	first := c.issue()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}, "scope": {"read admin"}}
	wantRefused(t, c.ask(form), 400, "invalid_scope")
	form.Set("scope", "read")
	if got := wantGranted(t, c.ask(form)); got.Scope != "" {
		t.Errorf("scope %q repeated, though it is what was asked for", got.Scope)
	}
}

func TestRefreshTokenOfAnotherClientIsRefused(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{ForbidGrant: true})
	if err := c.sb.UpdateOAuthClient("other", func(o *sandbox.OAuthClient) error {
		o.Secret = "x"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	foreign, err := c.sb.Issue("other", subject)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, c.refresh(foreign), 403, "invalid_grant")
	if !c.sb.LiveRefresh("other", foreign) || c.sb.LiveRefresh(clientID, foreign) {
		t.Error("it should live on for its own client, and for no other")
	}
}

func TestRevokedByTheUser(t *testing.T) {
	c := openOAuth(t, sandbox.OAuthClient{})
	first := c.issue()
	access := wantGranted(t, c.refresh(c.issue())).AccessToken
	if n, err := c.sb.Revoke(clientID, subject); n != 2 || err != nil {
		t.Fatalf("revoked %d, %v; want 2", n, err)
	}
	wantRefused(t, c.refresh(first), 400, "invalid_grant")
	if got := c.use(access); got != 401 {
		t.Errorf("business call %d, want 401", got)
	}
	if _, err := c.sb.Revoke("nobody", subject); err == nil {
		t.Error("no error for an unknown client")
	}
}
