package sandbox_test

import (
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"
)

func TestStableTokenRepeatsItselfWhileItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		c := from(t, sb)
		first := c.stable(false)
		if first.Errcode != nil || first.ExpiresIn != 7200 {
			t.Errorf("answer %s, want 7200 s and no errcode", first.Raw)
		}
		time.Sleep(time.Hour)
		again := c.stable(false)
		if again.AccessToken != first.AccessToken || again.ExpiresIn != 3600 {
			t.Errorf("after an hour: same token %t, expires_in %d; want the same with 3600 s",
				again.AccessToken == first.AccessToken, again.ExpiresIn)
		}
		if issued := sb.Oracle().Apps[appid].Issued[sandbox.LineStable]; issued != 1 {
			t.Errorf("%d tokens issued, want 1", issued)
		}
	})
}

func TestStableTokenRenewsInItsLastFiveMinutesAndBothWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		old := c.stable(false)
		time.Sleep(115*time.Minute - time.Second)
		if got := c.stable(false); got.AccessToken != old.AccessToken || got.ExpiresIn != 301 {
			t.Errorf("just before the last five minutes: new token or expires_in %d, want the old with 301", got.ExpiresIn)
		}
		time.Sleep(time.Second)
		renewed := c.stable(false)
		if renewed.AccessToken == old.AccessToken || renewed.ExpiresIn != 7200 {
			t.Errorf("in the last five minutes: old token or expires_in %d, want a new one with 7200", renewed.ExpiresIn)
		}
		time.Sleep(5*time.Minute - time.Second)
		wantUse(t, c, old.AccessToken, 0)
		wantUse(t, c, renewed.AccessToken, 0)
		time.Sleep(time.Second)
		wantUse(t, c, old.AccessToken, 42001)
	})
}

func TestStableTokenNeverComesWithLessThanTheOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		for range 300 {
			if got := c.stable(false).ExpiresIn; got < 300 {
				t.Fatalf("expires_in %d, want at least 300", got)
			}
			time.Sleep(47 * time.Second)
		}
	})
}

func TestStableTokenCallIsRefusedAsTheTablesSay(t *testing.T) {
	tests := map[string]struct {
		method, query, body string
		want                int
	}{
		"GET":                  {method: "GET", want: 43002},
		"empty body":           {method: "POST", want: 44002},
		"a form":               {method: "POST", body: "grant_type=client_credential&appid=a&secret=b", want: 47001},
		"force as text":        {method: "POST", body: `{"force_refresh":"true"}`, want: 47001},
		"parameters in URL":    {method: "POST", query: "?grant_type=client_credential&appid=x", body: `{}`, want: 40002},
		"no appid":             {method: "POST", body: `{"grant_type":"client_credential"}`, want: 41002},
		"no secret":            {method: "POST", body: `{"grant_type":"client_credential","appid":"x"}`, want: 41004},
		"unknown appid":        {method: "POST", body: `{"grant_type":"client_credential","appid":"x","secret":"y"}`, want: 40013},
		"no secret's shape":    {method: "POST", body: `{"grant_type":"client_credential","appid":"` + appid + `","secret":"y"}`, want: 40125},
		"unknown name is fine": {method: "POST", body: stableBody(false)[:len(stableBody(false))-1] + `,"x":1}`, want: 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := from(t, open(t, nil)).do(tt.method, "/cgi-bin/stable_token"+tt.query, tt.body)
			wantCode(t, got, tt.want)
		})
	}
}

func TestPlainAndStableLinesDoNotTouchEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		stable := c.stable(false).AccessToken
		c.plain()
		c.plain()
		wantUse(t, c, stable, 0)
		plain := c.plain().AccessToken
		for range 3 {
			c.stable(true)
			time.Sleep(time.Minute)
		}
		wantUse(t, c, plain, 0)
	})
}

func TestForcedRefreshLeavesTheOldTokenItsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		old := c.stable(false).AccessToken
		current := c.stable(true).AccessToken
		if old == current {
			t.Fatal("a forced call returned the old token")
		}
		time.Sleep(5*time.Minute - time.Second)
		wantUse(t, c, old, 0)
		time.Sleep(time.Second)
		wantUse(t, c, old, 40001)
		wantUse(t, c, current, 0)
	})
}

func TestTwoForcedRefreshesKillALeakedTokenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		leaked := c.stable(false).AccessToken
		c.stable(true)
		wantUse(t, c, leaked, 0)
		time.Sleep(30 * time.Second)
		c.stable(true)
		wantUse(t, c, leaked, 40001)
	})
}

func TestForcedCallWithinThirtySecondsChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, func(cfg *sandbox.Config) { cfg.Apps[0].Quotas.Forced = 2 })
		c := from(t, sb)
		first := c.stable(true)
		time.Sleep(30*time.Second - time.Millisecond)
		soon := c.stable(true)
		wantCode(t, soon, 0)
		if soon.AccessToken != first.AccessToken || soon.ExpiresIn != 7170 {
			t.Errorf("forced call after 29.9 s: new token or expires_in %d, want the old with 7170", soon.ExpiresIn)
		}
		time.Sleep(time.Millisecond)
		if c.stable(true).AccessToken == first.AccessToken {
			t.Error("forced call after 30 s returned the old token")
		}
		if forced := sb.Oracle().Apps[appid].Forced; forced != 3 {
			t.Errorf("oracle counts %d forced calls, want 3", forced)
		}
	})
}

func TestTwentyForcedRefreshesADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		for range 20 {
			wantCode(t, c.stable(true), 0)
			time.Sleep(30 * time.Second)
		}
		wantCode(t, c.stable(true), 45009)
		wantCode(t, c.stable(false), 0)
		time.Sleep(16 * time.Hour)
		wantCode(t, c.stable(true), 0)
	})
}

func TestStableQuotasByMinuteAndDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) {
			cfg.Apps[0].Quotas.StablePerMinute, cfg.Apps[0].Quotas.Stable = 2, 3
		}))
		wantCode(t, c.stable(false), 0)
		wantCode(t, c.stable(false), 0)
		wantCode(t, c.stable(false), 45011)
		time.Sleep(time.Minute)
		wantCode(t, c.stable(false), 0)
		wantCode(t, c.stable(false), 45009)
	})
}

func TestForceIntervalIsScaled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.TimeScale = 60 }))
		first := c.stable(true).AccessToken
		time.Sleep(500 * time.Millisecond)
		if c.stable(true).AccessToken == first {
			t.Error("30 s of the platform's have passed, the token is still the old one")
		}
	})
}
