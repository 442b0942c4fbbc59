package oauth2_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/outbound"
	"freshet/coordinator/provider/sandbox"
)

const subject = "alice"

// newSandbox returns a sandbox that knows the test's client, and that client's first
// refresh token.
func newSandbox(t *testing.T, client sandbox.OAuthClient) (sb *sandbox.Sandbox, refresh string) {
	t.Helper()
	client.ID, client.Secret = testID, testSecret
	if client.Auth == sandbox.AuthNone {
		client.Secret = ""
	}
	sb, err := sandbox.New(sandbox.Config{OAuthClients: []sandbox.OAuthClient{client}})
	if err != nil {
		t.Fatal(err)
	}
	if refresh, err = sb.Issue(testID, subject); err != nil {
		t.Fatal(err)
	}
	return sb, refresh
}

// in asks a sandbox without sockets.
func in(t *testing.T, sb *sandbox.Sandbox, o options, refresh string) (coordinator.Yield, error) {
	t.Helper()
	p := oauth2.New(oauth2.Config{Transport: sb.Client().Transport})
	return p.Fetch(t.Context(), callOf(t, testApp(endpoint, o), refresh))
}

func TestTheSandboxGrantsEveryWay(t *testing.T) {
	for _, auth := range []string{"basic", "post", "none"} {
		for _, body := range []string{"form", "json"} {
			sb, refresh := newSandbox(t, sandbox.OAuthClient{Auth: sandbox.ClientAuth(auth), Body: body})
			o := options{"auth": auth, "body": body, "grant": "refresh_token"}
			yield, err := in(t, sb, o, refresh)
			if err != nil {
				t.Fatalf("%s %s: %v", auth, body, err)
			}
			if value := yield.Values[oauth2.AccessToken]; !sb.Alive(value.Value.Reveal()) || value.Lifetime != time.Hour || value.Type != "Bearer" {
				t.Errorf("%s %s: %+v", auth, body, value)
			}
			if !sb.LiveRefresh(testID, yield.Refresh.Reveal()) {
				t.Errorf("%s %s: the refresh token yielded is not the living one", auth, body)
			}
			if auth == "none" {
				continue
			}
			o["grant"] = "client_credentials"
			if yield, err = in(t, sb, o, ""); err != nil || !sb.Alive(yield.Values[oauth2.AccessToken].Value.Reveal()) {
				t.Errorf("%s %s: %+v, %v", auth, body, yield, err)
			}
		}
	}
}

// TestRefreshTokensFollowTheirClass refreshes three times in a row.
func TestRefreshTokensFollowTheirClass(t *testing.T) {
	for _, client := range []sandbox.OAuthClient{
		{Rotation: sandbox.RotateNone},
		{Rotation: sandbox.RotateNone, RepeatRefresh: true},
		{Rotation: sandbox.RotateOldStays},
		{Rotation: sandbox.RotateGrace},
		{Rotation: sandbox.RotateStrict},
	} {
		sb, held := newSandbox(t, client)
		for range 3 {
			yield, err := in(t, sb, options{"grant": "refresh_token", "rotation": string(client.Rotation)}, held)
			if err != nil {
				t.Fatalf("%s: %v", client.Rotation, err)
			}
			if yield.Refresh.IsZero() != (client.Rotation == sandbox.RotateNone) {
				t.Errorf("%s: yielded a refresh token: %t", client.Rotation, !yield.Refresh.IsZero())
			}
			if !yield.Refresh.IsZero() {
				held = yield.Refresh.Reveal()
			}
		}
		if current, ok := sb.CurrentRefresh(testID, subject); !ok || current != held || sb.Oracle().Apps[testID].OAuth.Reused != 0 {
			t.Errorf("%s: the refresh token held is not the newest", client.Rotation)
		}
	}
}

// TestAnAnswerThatIsLost is window W5, in every class: a second try with the same
// refresh token does what its class says.
func TestAnAnswerThatIsLost(t *testing.T) {
	for class, want := range map[sandbox.RefreshRotation]coordinator.Class{
		sandbox.RotateNone: "", sandbox.RotateOldStays: "", sandbox.RotateGrace: "", sandbox.RotateStrict: reauthorize,
	} {
		sb, held := newSandbox(t, sandbox.OAuthClient{Rotation: class})
		if err := sb.AddFault(sandbox.Fault{App: testID, Do: sandbox.Reset, When: sandbox.After, Count: 1}); err != nil {
			t.Fatal(err)
		}
		o := options{"grant": "refresh_token", "rotation": string(class)}
		_, err := in(t, sb, o, held)
		if up := upstreamError(t, err); up.Class != retry || up.Code != outbound.CodeLost || !up.Ambiguous {
			t.Errorf("%s: %+v, want an ambiguous loss", class, up)
		}
		yield, err := in(t, sb, o, held)
		switch {
		case want != "" && (upstreamError(t, err).Class != want || sb.Oracle().Apps[testID].OAuth.Revoked != 1):
			t.Errorf("%s: %v, want %s and the family revoked", class, err, want)
		case want == "" && err != nil:
			t.Errorf("%s: %v, want it granted", class, err)
		case want == "" && !yield.Refresh.IsZero() && !sb.LiveRefresh(testID, yield.Refresh.Reveal()):
			t.Errorf("%s: the refresh token yielded does not live", class)
		}
	}
}

// TestEveryFaultOfTheSandboxCostsOneRequest runs over a socket, where net/http could
// repeat requests.
func TestEveryFaultOfTheSandboxCostsOneRequest(t *testing.T) {
	for name, test := range map[string]struct {
		fault sandbox.Fault
		code  string
	}{
		"reset":    {sandbox.Fault{Do: sandbox.Reset}, outbound.CodeLost},
		"truncate": {sandbox.Fault{Do: sandbox.Truncate}, outbound.CodeCut},
		"html":     {sandbox.Fault{Do: sandbox.HTML}, "http_502"},
		"status":   {sandbox.Fault{Do: sandbox.Status}, "http_503"},
		"html 200": {sandbox.Fault{Do: sandbox.HTML, Status: 200}, "not_json"},
		"huge":     {sandbox.Fault{Do: sandbox.Huge, Bytes: 1 << 20}, "too_large"},
		"hang":     {sandbox.Fault{Do: sandbox.Hang}, outbound.CodeTimeout},
		"late":     {sandbox.Fault{Do: sandbox.Delay, Delay: time.Hour}, outbound.CodeTimeout},
		"refuse":   {sandbox.Fault{Do: sandbox.Refuse, Error: "server_error", Status: 500}, "server_error"},
	} {
		for _, when := range []sandbox.Moment{sandbox.Before, sandbox.After} {
			t.Run(name+" "+string(when), func(t *testing.T) {
				sb, held := newSandbox(t, sandbox.OAuthClient{})
				server := httptest.NewServer(sb)
				t.Cleanup(server.Close)
				t.Cleanup(func() { sb.ClearFaults("") })
				count := &counter{RoundTripper: outbound.NewTransport()}
				p := oauth2.New(oauth2.Config{Transport: count})
				app := testApp(server.URL+"/oauth/token", options{"grant": "refresh_token"})
				if _, err := p.Fetch(t.Context(), callOf(t, testApp(server.URL+"/oauth/token", nil), "")); err != nil {
					t.Fatal(err) // the connection is now one that was used before
				}
				test.fault.When = when
				if err := sb.AddFault(test.fault); err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if test.code == outbound.CodeTimeout {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
					defer cancel()
				}
				_, err := p.Fetch(ctx, callOf(t, app, held))
				if up := upstreamError(t, err); up.Class != retry || up.Code != test.code || !up.Ambiguous {
					t.Errorf("%+v, want an ambiguous %s", up, test.code)
				}
				calls := sb.Oracle().Apps[testID].Calls[sandbox.KindOAuthToken].Calls
				if count.n.Load() != 2 || calls != 2 {
					t.Errorf("%d requests sent, %d arrived, want 2", count.n.Load(), calls)
				}
				if acted := !sb.LiveRefresh(testID, held); acted != (when == sandbox.After) {
					t.Errorf("the platform acted: %t", acted)
				}
			})
		}
	}
}

func TestTheCallEndsWithItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb, held := newSandbox(t, sandbox.OAuthClient{})
		if err := sb.AddFault(sandbox.Fault{Do: sandbox.Delay, When: sandbox.After, Delay: time.Minute}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		p := oauth2.New(oauth2.Config{Transport: sb.Client().Transport})
		began := time.Now()
		_, err := p.Fetch(ctx, callOf(t, testApp(endpoint, options{"grant": "refresh_token"}), held))
		if up := upstreamError(t, err); up.Code != outbound.CodeTimeout || !up.Ambiguous || time.Since(began) != 10*time.Second {
			t.Errorf("%+v after %v", up, time.Since(began))
		}
	})
}
