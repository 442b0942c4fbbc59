package sandbox_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"
)

func TestPlainTokenSuccessHasNoErrcodeAndLooksReal(t *testing.T) {
	c := from(t, open(t, func(cfg *sandbox.Config) { cfg.TokenPrefix = "CANARY_" }))
	first, second := c.plain(), c.plain()
	wantCode(t, first, 0)
	if first.Errcode != nil {
		t.Errorf("success carries an errcode: %s", first.Raw)
	}
	if first.ExpiresIn != 7200 {
		t.Errorf("expires_in %d, want 7200", first.ExpiresIn)
	}
	if n := len(first.AccessToken); n < 100 || n > 512 {
		t.Errorf("token of %d characters, want 100 to 512", n)
	}
	if !strings.HasPrefix(first.AccessToken, "CANARY_") {
		t.Error("token does not start with the configured prefix")
	}
	if first.AccessToken == second.AccessToken {
		t.Error("a second call returned the same token")
	}
}

func TestPlainTokenCallIsRefusedAsTheTablesSay(t *testing.T) {
	tests := map[string]struct {
		method, path string
		app          func(*sandbox.App)
		want         int
		text         string
	}{
		"oauth's plural grant": {path: plainPath("client_credentials", appid, secret), want: 40002},
		"no grant":             {path: "/cgi-bin/token?appid=x&secret=y", want: 40002},
		"no appid":             {path: plainPath("client_credential", "", secret), want: 41002},
		"no secret":            {path: plainPath("client_credential", appid, ""), want: 41004},
		"unknown appid":        {path: plainPath("client_credential", "wx2", secret), want: 40013, text: "invalid appid"},
		"another secret":       {path: plainPath("client_credential", appid, strings.Repeat("f", 32)), want: 40001},
		"no secret's shape":    {path: plainPath("client_credential", appid, "nonsense"), want: 40125},
		"POST":                 {method: "POST", path: plainPath("client_credential", appid, secret), want: 43001},
		"frozen secret": {
			path: plainPath("client_credential", appid, secret), want: 40243,
			app: func(a *sandbox.App) { a.SecretFrozen = true },
		},
		"foreign address": {
			path: plainPath("client_credential", appid, secret), want: 40164,
			app:  func(a *sandbox.App) { a.AllowedIPs = []string{"10.0.0.0/8", "192.0.2.1"} },
			text: "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sb := open(t, func(cfg *sandbox.Config) {
				if tt.app != nil {
					tt.app(&cfg.Apps[0])
				}
			})
			method := "GET"
			if tt.method != "" {
				method = tt.method
			}
			got := from(t, sb).do(method, tt.path, "")
			wantCode(t, got, tt.want)
			if !strings.Contains(got.Errmsg, tt.text) {
				t.Errorf("errmsg %q, want it to say %q", got.Errmsg, tt.text)
			}
			if issued := sb.Oracle().Apps[appid].Issued[sandbox.LinePlain]; issued != 0 {
				t.Errorf("%d tokens issued, want none", issued)
			}
		})
	}
}

func TestAllowedAddressesMayFetch(t *testing.T) {
	sb := open(t, func(cfg *sandbox.Config) { cfg.Apps[0].AllowedIPs = []string{"10.0.0.0/8", "192.0.2.1", "2001:db8::1"} })
	for _, ip := range []string{"10.1.2.3", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"} {
		c := caller{t: t, client: sb.ClientFrom(ip), base: "http://x"}
		wantCode(t, c.plain(), 0)
		wantCode(t, c.stable(false), 0)
	}
	wantCode(t, from(t, sb).stable(false), 40164)
	wantUse(t, from(t, sb), from(t, sb).t.Name()+strings.Repeat("x", 100), 40001) // business calls check no address
}

func TestReplacedPlainTokenLivesFiveMoreMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		old := c.plain().AccessToken
		time.Sleep(time.Hour)
		current := c.plain().AccessToken
		time.Sleep(5*time.Minute - time.Second)
		wantUse(t, c, old, 0)
		wantUse(t, c, current, 0)
		time.Sleep(time.Second)
		wantUse(t, c, old, 40001)
		wantUse(t, c, current, 0)
	})
}

func TestSecondPlainRefreshWithinTheOverlapKillsTheOldestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		c := from(t, sb)
		first := c.plain().AccessToken
		second := c.plain().AccessToken
		time.Sleep(time.Minute)
		third := c.plain().AccessToken
		wantUse(t, c, first, 40001)
		wantUse(t, c, second, 0)
		wantUse(t, c, third, 0)
		if live := sb.Oracle().Apps[appid].Live; len(live) != 2 {
			t.Errorf("%d tokens live, want 2", len(live))
		}
	})
}

func TestTokenExpiresOfAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		c := from(t, sb)
		token := c.plain().AccessToken
		time.Sleep(2*time.Hour - time.Second)
		wantUse(t, c, token, 0)
		time.Sleep(time.Second)
		wantUse(t, c, token, 42001)
		if sb.Alive(token) {
			t.Error("the oracle says an expired token lives")
		}
		c.plain() // a newer one cannot make it live again
		wantUse(t, c, token, 42001)
	})
}

func TestReplacedTokenNeverOutlivesItsOwnGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		old := c.plain().AccessToken
		time.Sleep(2*time.Hour - time.Minute)
		c.plain()
		time.Sleep(time.Minute)
		wantUse(t, c, old, 42001)
	})
}

func TestPlainQuotaResetsAtMidnightInChina(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // bubbles begin at midnight UTC, 8 o'clock in China
		c := from(t, open(t, nil))
		for range 2000 {
			wantCode(t, c.plain(), 0)
		}
		wantCode(t, c.plain(), 45009)
		wantCode(t, c.stable(false), 0) // another bucket
		time.Sleep(16*time.Hour - time.Second)
		wantCode(t, c.plain(), 45009)
		time.Sleep(time.Second)
		wantCode(t, c.plain(), 0)
	})
}

func TestRefusedCallsCostNoQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.Apps[0].Quotas.Plain = 1 }))
		for range 3 {
			wantCode(t, c.do("GET", plainPath("client_credential", appid, "wrong"), ""), 40125)
		}
		wantCode(t, c.plain(), 0)
		wantCode(t, c.plain(), 45009)
	})
}

func TestTimeScaleShrinksEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.TimeScale, cfg.Apps[0].Quotas.Plain = 60, 2 }))
		old := c.plain()
		if old.ExpiresIn != 120 {
			t.Errorf("expires_in %d, want the 120 s the caller will see", old.ExpiresIn)
		}
		c.plain()
		wantCode(t, c.plain(), 45009)
		time.Sleep(4900 * time.Millisecond)
		wantUse(t, c, old.AccessToken, 0)
		time.Sleep(100 * time.Millisecond) // five minutes of the platform's
		wantUse(t, c, old.AccessToken, 40001)
		time.Sleep(24 * time.Minute) // a day of the platform's
		wantCode(t, c.plain(), 0)
	})
}

func TestExpiresInIsFlooredButNeverZeroWhileAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) {
			cfg.TimeScale, cfg.Apps[0].Overlap = 1000, time.Second
		}))
		if got := c.stable(false).ExpiresIn; got != 7 { // 7.2 s
			t.Errorf("expires_in %d, want 7", got)
		}
		time.Sleep(7 * time.Second)
		if got := c.stable(false).ExpiresIn; got != 1 { // 0.2 s are left
			t.Errorf("expires_in %d, want 1", got)
		}
	})
}

func TestAnyAppRemembersTheFirstSecret(t *testing.T) {
	c := from(t, open(t, func(cfg *sandbox.Config) { cfg.Apps, cfg.AnyApp = nil, true }))
	wantCode(t, c.do("GET", plainPath("client_credential", "wx9", "s3cret"), ""), 0)
	wantCode(t, c.do("GET", plainPath("client_credential", "wx9", "s3cret"), ""), 0)
	wantCode(t, c.do("GET", plainPath("client_credential", "wx9", "other!"), ""), 40001)
}
