package wechat

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"freshet/coordinator"
)

func TestCheckSaysWhatIsWrong(t *testing.T) {
	secret := func(s string) coordinator.Secret { return coordinator.NewSecret(s) }
	tests := []struct {
		name   string
		change func(*coordinator.App)
		want   string // part of the sentence; empty: nothing is wrong
	}{
		{"as it is", func(*coordinator.App) {}, ""},
		{"no options", func(a *coordinator.App) { a.Options = nil }, ""},
		{"default upstream", func(a *coordinator.App) { a.Upstream = "" }, ""},
		{"plain", func(a *coordinator.App) { a.Options["mode"] = "plain" }, ""},
		{"access token alone", func(a *coordinator.App) {
			a.Tokens = map[string]coordinator.TokenSettings{AccessToken: {}}
		}, ""},
		{"slash after the host", func(a *coordinator.App) { a.Upstream = "https://sh.api.weixin.qq.com/" }, ""},
		{"backup hosts", func(a *coordinator.App) { a.Options["backup_hosts"] = "sh.api.weixin.qq.com, 10.0.0.1:80" }, ""},
		{"no backup hosts", func(a *coordinator.App) { a.Options["backup_hosts"] = "none" }, ""},

		{"unknown option", func(a *coordinator.App) { a.Options["mod"] = "x" }, `unknown option "mod"`},
		{"unknown mode", func(a *coordinator.App) { a.Options["mode"] = "fast" }, `mode is "fast"`},
		{"plain with backup hosts", func(a *coordinator.App) {
			a.Options = map[string]string{"mode": "plain", "backup_hosts": "a"}
		}, "mode stable only"},
		{"backup host with a scheme", func(a *coordinator.App) { a.Options["backup_hosts"] = "a,https://b" }, "host 2 is not a host name"},
		{"empty backup hosts", func(a *coordinator.App) { a.Options["backup_hosts"] = "" }, "host 1 is not a host name"},
		{"too many backup hosts", func(a *coordinator.App) { a.Options["backup_hosts"] = "a,b,c,d,e" }, "more than 4"},

		{"no appid", func(a *coordinator.App) { delete(a.Credentials, "appid") }, "credential appid is missing"},
		{"no secret", func(a *coordinator.App) { delete(a.Credentials, "secret") }, "credential secret is missing"},
		{"unknown credential", func(a *coordinator.App) { a.Credentials["key"] = secret("x") }, `unknown credential "key"`},
		{"line break in the secret", func(a *coordinator.App) { a.Credentials["secret"] = secret(testSecret + "\n") }, "look at the end of its source"},
		{"not ASCII", func(a *coordinator.App) { a.Credentials["secret"] = secret("sécret") }, "credential secret holds"},
		{"endless secret", func(a *coordinator.App) { a.Credentials["secret"] = secret(strings.Repeat("x", 257)) }, "longer than 256"},

		{"no token", func(a *coordinator.App) { a.Tokens = nil }, "name access_token"},
		{"unknown token", func(a *coordinator.App) { a.Tokens["js_ticket"] = coordinator.TokenSettings{} }, `unknown token "js_ticket"`},
		{"ticket alone", func(a *coordinator.App) { delete(a.Tokens, AccessToken) }, "keep access_token too"},
		{"token option", func(a *coordinator.App) {
			a.Tokens[JSAPITicket] = coordinator.TokenSettings{Options: map[string]string{"scope": "x"}}
		}, `unknown option "scope" of token jsapi_ticket`},

		{"other scheme", func(a *coordinator.App) { a.Upstream = "ftp://h" }, "not an http or https URL"},
		{"no scheme", func(a *coordinator.App) { a.Upstream = "api.weixin.qq.com" }, "not an http or https URL"},
		{"no host", func(a *coordinator.App) { a.Upstream = "https://" }, "not an http or https URL"},
		{"port without host", func(a *coordinator.App) { a.Upstream = "https://:443" }, "not an http or https URL"},
		{"no port after the colon", func(a *coordinator.App) { a.Upstream = "https://h:" }, "not an http or https URL"},
		{"control character", func(a *coordinator.App) { a.Upstream = "https://h\x7f" }, "not an http or https URL"},
		{"path", func(a *coordinator.App) { a.Upstream = "https://h/cgi-bin" }, "more than scheme and host"},
		{"query", func(a *coordinator.App) { a.Upstream = "https://h?secret=" + testSecret }, "more than scheme and host"},
		{"empty query", func(a *coordinator.App) { a.Upstream = "https://h?" }, "more than scheme and host"},
		{"fragment", func(a *coordinator.App) { a.Upstream = "https://h#" }, "more than scheme and host"},
		{"userinfo", func(a *coordinator.App) { a.Upstream = "https://u:pass@h" }, "more than scheme and host"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app := testApp("http://127.0.0.1:7490", modeStable)
			test.change(&app)
			err := New(Config{}).Check(app)
			if test.want == "" {
				if err != nil {
					t.Fatalf("Check: %v, want nothing wrong", err)
				}
				return
			}
			if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Check: %v, want an invalid input with %q", err, test.want)
			}
			if strings.Contains(err.Error(), testSecret) {
				t.Errorf("Check shows the secret: %v", err)
			}
		})
	}
}

func TestGroupsDeclareWhatThePlatformPromises(t *testing.T) {
	p := New(Config{})
	limit := func(calls int, scope string) coordinator.Limit {
		return coordinator.Limit{Calls: calls, Scope: scope, Zone: p.beijing}
	}
	tickets := []coordinator.Group{
		{
			Name: "jsapi_ticket", Tokens: []string{"jsapi_ticket"}, Needs: []string{"access_token"},
			Budget: limit(100, "ticket"),
		},
		{
			Name: "wx_card_ticket", Tokens: []string{"wx_card_ticket"}, Needs: []string{"access_token"},
			Budget: limit(100, "ticket"),
		},
	}
	want := map[mode]coordinator.Group{
		modeStable: {
			Name: "access_token", Tokens: []string{"access_token"},
			Earliest: 5 * time.Minute, Overlap: 5 * time.Minute, ForceEvery: 30 * time.Second, Probe: 5 * time.Minute,
			Budget: limit(500_000, "stable_token"), ForceBudget: limit(20, "stable_token"),
		},
		modePlain: {
			Name: "access_token", Tokens: []string{"access_token"},
			Overlap: 5 * time.Minute, Probe: 5 * time.Minute, Exclusive: true, Budget: limit(2000, "token"),
		},
	}
	sameZone := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	for m, first := range want {
		got := p.Groups(testApp("", m))
		if diff := cmp.Diff(append([]coordinator.Group{first}, tickets...), got, sameZone, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s groups (-want +got):\n%s", m, diff)
		}
	}
	app := testApp("", modeStable)
	app.Tokens = map[string]coordinator.TokenSettings{AccessToken: {}}
	if got := p.Groups(app); len(got) != 1 {
		t.Errorf("groups of an app without tickets: %d, want 1", len(got))
	}
}

func TestTheDayEndsAtMidnightInBeijing(t *testing.T) {
	p := New(Config{})
	for at, want := range map[string]time.Duration{
		"2026-11-22T15:59:00Z": time.Minute,
		"2026-11-22T16:00:00Z": 24 * time.Hour,
		"2026-12-31T10:00:00Z": 6 * time.Hour,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.untilMidnight(now); got != want {
			t.Errorf("at %s the day lasts %v, want %v", at, got, want)
		}
	}
}

func TestIdentityKeepsTheLinesApart(t *testing.T) {
	p := New(Config{})
	unset := testApp("", modeStable)
	unset.Options = nil
	for want, app := range map[string]coordinator.App{
		"wechat:" + testAppID + ":stable": unset,
		"wechat:" + testAppID + ":plain":  testApp("", modePlain),
	} {
		if got := p.Identity(app); got != want {
			t.Errorf("Identity: %q, want %q", got, want)
		}
	}
}

func TestUpstreamIsTheHost(t *testing.T) {
	p := New(Config{})
	for upstream, want := range map[string]string{
		"":                               "api.weixin.qq.com",
		"https://API.weixin.qq.com:443/": "api.weixin.qq.com",
		"http://127.0.0.1:7490":          "127.0.0.1:7490",
		"http://127.0.0.1:443":           "127.0.0.1:443",
		"http://[::1]:80":                "[::1]",
		"https://u:p@h":                  "",
	} {
		if got := p.Upstream(testApp(upstream, modeStable)); got != want {
			t.Errorf("Upstream of %q: %q, want %q", upstream, got, want)
		}
	}
}
