package sandbox_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"
)

func TestTicketHasItsOwnLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		c := from(t, sb)
		token := c.stable(false).AccessToken
		jsapi, card := c.ticket(token, "jsapi"), c.ticket(token, "wx_card")
		if jsapi.Errcode == nil || *jsapi.Errcode != 0 || jsapi.Errmsg != "ok" || jsapi.ExpiresIn != 7200 {
			t.Errorf("ticket answer %s, want errcode 0, ok, 7200", jsapi.Raw)
		}
		if jsapi.Ticket == card.Ticket || len(jsapi.Ticket) < 80 {
			t.Error("the two tickets are one, or too short")
		}
		time.Sleep(time.Hour)
		if again := c.ticket(token, "jsapi"); again.Ticket != jsapi.Ticket || again.ExpiresIn != 3600 {
			t.Errorf("after an hour: other ticket or expires_in %d, want the same with 3600", again.ExpiresIn)
		}
		sb.KillToken(token)
		if !sb.Alive(jsapi.Ticket) {
			t.Error("the ticket died with its token")
		}
		time.Sleep(55 * time.Minute)
		if renewed := c.ticket(c.plain().AccessToken, "jsapi"); renewed.Ticket == jsapi.Ticket || !sb.Alive(jsapi.Ticket) {
			t.Error("in the last five minutes: want a new ticket while the old one lives")
		}
		time.Sleep(5 * time.Minute)
		if sb.Alive(jsapi.Ticket) {
			t.Error("the ticket outlived its lifetime")
		}
	})
}

func TestTicketLifetimeIsASettingOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.Apps[0].TicketLifetime = time.Hour }))
		token := c.stable(false)
		if got := c.ticket(token.AccessToken, "jsapi").ExpiresIn; got != 3600 || token.ExpiresIn != 7200 {
			t.Errorf("ticket %d s, token %d s; want 3600 and 7200", got, token.ExpiresIn)
		}
	})
}

func TestTicketMayAnnounceItsFullLifeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.Apps[0].TicketFullLife = true }))
		token := c.stable(false).AccessToken
		first := c.ticket(token, "jsapi")
		time.Sleep(time.Hour)
		if again := c.ticket(token, "jsapi"); again.Ticket != first.Ticket || again.ExpiresIn != 7200 {
			t.Errorf("expires_in %d, want the same ticket with 7200", again.ExpiresIn)
		}
	})
}

func TestTicketQuotaAndArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.Apps[0].Quotas.Ticket = 1 }))
		token := c.plain().AccessToken
		wantCode(t, c.ticket(token, "nonsense"), 40097)
		wantCode(t, c.do("POST", "/cgi-bin/ticket/getticket?type=jsapi&access_token="+token, ""), 43001)
		wantCode(t, c.ticket(token, "jsapi"), 0)
		wantCode(t, c.ticket(token, "jsapi"), 45009)
	})
}

func TestEveryBusinessCallChecksItsToken(t *testing.T) {
	calls := []struct{ method, path, body string }{
		{"GET", "/cgi-bin/ticket/getticket?type=jsapi", ""},
		{"POST", "/cgi-bin/openapi/quota/get?x=", `{"cgi_path":"/cgi-bin/token"}`},
		{"GET", "/cgi-bin/get_api_domain_ip?x=", ""},
		{"GET", "/cgi-bin/user/info?x=", ""},
		{"POST", "/cgi-bin/message/custom/send?x=", `{}`},
		{"POST", "/cgi-bin/clear_quota?x=", `{"appid":"` + appid + `"}`},
	}
	sb := open(t, nil)
	c := from(t, sb)
	expired := c.plain().AccessToken
	sb.ExpireToken(expired)
	killed := c.plain().AccessToken
	sb.KillToken(killed)
	plain, stable := c.plain().AccessToken, c.stable(false).AccessToken
	ticket := c.ticket(stable, "jsapi").Ticket
	tokens := []struct {
		name, value string
		want        int
	}{
		{"plain", plain, 0},
		{"stable", stable, 0},
		{"expired", expired, 42001},
		{"killed", killed, 40001},
		{"never issued", strings.Repeat("x", 120), 40001},
		{"a ticket", ticket, 40001},
		{"malformed", "short", 40014},
		{"bad characters", strings.Repeat("x", 120) + "%20", 40014},
		{"missing", "", 41001},
	}
	for _, call := range calls {
		for _, token := range tokens {
			t.Run(call.path+" "+token.name, func(t *testing.T) {
				c := caller{t: t, client: c.client, base: c.base}
				wantCode(t, c.do(call.method, call.path+"&access_token="+token.value, call.body), token.want)
			})
		}
	}
}

func TestQuotaGetTellsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, nil))
		token := c.plain().AccessToken
		got := c.do("POST", "/cgi-bin/openapi/quota/get?access_token="+token, `{"cgi_path":"/cgi-bin/token"}`)
		if want := `"quota":{"daily_limit":2000,"remain":1999,"used":1}`; !strings.Contains(got.Raw, want) {
			t.Errorf("answer %s, want it to contain %s", got.Raw, want)
		}
		for path, limit := range map[string]int{"stable_token": 500_000, "ticket/getticket": 1000, "clear_quota": 10, "user/info": 1_000_000} {
			got := c.do("POST", "/cgi-bin/openapi/quota/get?access_token="+token, fmt.Sprintf(`{"cgi_path":"/cgi-bin/%s"}`, path))
			if want := fmt.Sprintf(`"daily_limit":%d,`, limit); !strings.Contains(got.Raw, want) {
				t.Errorf("%s: answer %s, want it to contain %s", path, got.Raw, want)
			}
		}
		wantCode(t, c.do("POST", "/cgi-bin/openapi/quota/get?access_token="+token, `{"cgi_path":"/elsewhere"}`), 76021)
		wantCode(t, c.do("GET", "/cgi-bin/openapi/quota/get?access_token="+token, ""), 43002)
	})
}

func TestClearQuotaResetsTheDayTenTimesAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.Apps[0].Quotas.Plain = 1 }))
		body := fmt.Sprintf(`{"appid":%q}`, appid)
		for range 10 {
			token := c.plain().AccessToken
			wantCode(t, c.plain(), 45009)
			wantCode(t, c.do("POST", "/cgi-bin/clear_quota?access_token="+token, body), 0)
		}
		token := c.plain().AccessToken
		wantCode(t, c.do("POST", "/cgi-bin/clear_quota?access_token="+token, `{"appid":"wx2"}`), 40013)
		wantCode(t, c.do("POST", "/cgi-bin/clear_quota?access_token="+token, body), 48006)
		time.Sleep(31 * 24 * time.Hour)
		token = c.plain().AccessToken
		wantCode(t, c.do("POST", "/cgi-bin/clear_quota?access_token="+token, body), 0)
	})
}

func TestClearQuotaBySecretTakesBodyOrQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) {
			cfg.Apps[0].Quotas.Plain, cfg.Apps[0].AllowedIPs = 1, nil
		}))
		c.plain()
		wantCode(t, c.plain(), 45009)
		wantCode(t, c.do("POST", "/cgi-bin/clear_quota/v2", fmt.Sprintf(`{"appid":%q,"appsecret":%q}`, appid, secret)), 0)
		wantCode(t, c.plain(), 0)
		wantCode(t, c.do("POST", "/cgi-bin/clear_quota/v2?appid="+appid+"&appsecret="+secret, ""), 0)
		wantCode(t, c.plain(), 0)
		wantCode(t, c.do("POST", "/cgi-bin/clear_quota/v2?appid="+appid+"&appsecret=wrong", ""), 40125)
		wantCode(t, c.do("GET", "/cgi-bin/clear_quota/v2", ""), 43002)
	})
}

func TestUnknownAddressAsksTheAdministratorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, func(cfg *sandbox.Config) { cfg.Apps[0].ConfirmIPs = true })
		c := from(t, sb)
		answer := func(approve bool) {
			if err := sb.Confirm(appid, "127.0.0.1", approve); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, c.stable(false), 89503)
		wantCode(t, c.plain(), 89501)
		answer(false)
		wantCode(t, c.plain(), 89507)
		time.Sleep(time.Hour)
		wantCode(t, c.plain(), 89503)
		answer(false)
		time.Sleep(24*time.Hour - time.Second)
		wantCode(t, c.plain(), 89506)
		time.Sleep(time.Second)
		wantCode(t, c.plain(), 89503)
		answer(true)
		wantCode(t, c.plain(), 0)
		elsewhere := caller{t: t, client: sb.ClientFrom("192.0.2.9"), base: c.base}
		wantCode(t, elsewhere.plain(), 89503) // a fact about the address, not the app
		if asked := sb.Oracle().Apps[appid].Confirmations; asked != 4 {
			t.Errorf("the administrator was asked %d times, want 4", asked)
		}
	})
}

func TestBusinessAnswersAreCompressedForThoseWhoAccept(t *testing.T) {
	sb := open(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/cgi-bin/user/info?access_token=short", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	response, err := sb.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	z, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatalf("answer with %v: %v", response.Header, err)
	}
	if raw, err := io.ReadAll(z); err != nil || !strings.Contains(string(raw), "40014") {
		t.Errorf("unpacked %s, %v; want errcode 40014", raw, err)
	}
}
