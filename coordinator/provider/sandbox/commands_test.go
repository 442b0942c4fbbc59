package sandbox_test

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"

	"github.com/google/go-cmp/cmp"
)

// order sends a command and fails the test unless it is obeyed.
func (c caller) order(method, path, body string) string {
	c.t.Helper()
	got := c.do(method, path, body)
	if got.Status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, got.Status, got.Raw)
	}
	return got.Raw
}

func TestFaultsByCommand(t *testing.T) {
	sb := open(t, nil)
	c := from(t, sb)
	c.order("POST", "/_faults", `{"app":"`+appid+`","kind":"token","count":3,"do":"status","status":500}`)
	if got := c.plain().Status; got != 500 {
		t.Errorf("status %d, want 500", got)
	}
	want := `[{"app":"` + appid + `","kind":"token","count":2,"do":"status","status":500}]`
	if got := strings.TrimSpace(c.order("GET", "/_faults", "")); got != want {
		t.Errorf("faults %s, want %s", got, want)
	}
	if got := strings.TrimSpace(c.order("DELETE", "/_faults?app=other", "")); got != want {
		t.Errorf("another app's clearing left %s, want %s", got, want)
	}
	if got := strings.TrimSpace(c.order("DELETE", "/_faults", "")); got != "[]" {
		t.Errorf("faults %s, want none", got)
	}
	wantCode(t, c.plain(), 0)
}

func TestKillByCommand(t *testing.T) {
	c := from(t, open(t, nil))
	plain, stable := c.plain().AccessToken, c.stable(false).AccessToken
	ticket := c.ticket(stable, "jsapi").Ticket
	c.order("POST", "/_kill", `{"appid":"`+appid+`","line":"plain"}`)
	wantUse(t, c, plain, 40001)
	wantUse(t, c, stable, 0)
	if c.ticket(stable, "jsapi").Ticket != ticket {
		t.Error("the ticket changed before it was killed")
	}
	c.order("POST", "/_kill", `{"appid":"`+appid+`","line":"ticket"}`)
	if c.ticket(stable, "jsapi").Ticket == ticket {
		t.Error("a killed ticket came again")
	}
	c.order("POST", "/_kill", `{"value":"`+stable+`","expire":true}`)
	wantUse(t, c, stable, 42001)
	if c.stable(false).AccessToken == stable {
		t.Error("a dead stable token came again")
	}
	if got := c.order("POST", "/_kill", `{"value":"`+stable+`"}`); strings.TrimSpace(got) != `{"killed":0}` {
		t.Errorf("killing the dead: %s, want killed 0", got)
	}
}

func TestKillFromGo(t *testing.T) {
	sb := open(t, nil)
	c := from(t, sb)
	stable := c.stable(false).AccessToken
	if got, ok := sb.Current(appid, sandbox.LineStable); !ok || got != stable {
		t.Error("Current does not return the stable token")
	}
	if n, err := sb.Kill(appid, sandbox.LineStable); n != 1 || err != nil {
		t.Errorf("killed %d, %v; want 1", n, err)
	}
	if _, ok := sb.Current(appid, sandbox.LineStable); ok || sb.Alive(stable) || sb.KillToken(stable) {
		t.Error("the killed token lives")
	}
	if _, err := sb.Kill("wx9", sandbox.LineStable); !errors.Is(err, sandbox.ErrUnknownApp) {
		t.Errorf("error %v, want ErrUnknownApp", err)
	}
	if _, err := sb.Kill(appid, "nonsense"); err == nil {
		t.Error("an unknown line was accepted")
	}
}

func TestForeignMintStartsTheDeathOfTheCurrentToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, func(cfg *sandbox.Config) { cfg.Apps[0].Quotas.Plain = 2 })
		c := from(t, sb)
		ours := c.plain().AccessToken
		if got := c.order("POST", "/_mint", `{"appid":"`+appid+`"}`); !strings.Contains(got, `"digest"`) {
			t.Errorf("answer %s, want a digest", got)
		}
		wantUse(t, c, ours, 0)
		time.Sleep(5 * time.Minute)
		wantUse(t, c, ours, 40001)
		wantCode(t, c.plain(), 45009) // the foreigner spent our quota
		if calls := sb.Oracle().Apps[appid].Calls[sandbox.KindToken].Calls; calls != 2 {
			t.Errorf("%d calls counted, want 2: the foreign one is none of ours", calls)
		}
	})
}

func TestAppsByCommand(t *testing.T) {
	c := from(t, open(t, nil))
	token := c.plain().AccessToken
	c.order("POST", "/_apps", `{"appid":"`+appid+`","secret_frozen":true}`)
	wantCode(t, c.plain(), 40243)
	wantUse(t, c, token, 0) // freezing and a new secret leave tokens alone
	c.order("POST", "/_apps", `{"appid":"`+appid+`","secret_frozen":false,"secret":"ffffffffffffffffffffffffffffffff"}`)
	wantCode(t, c.plain(), 40001)
	wantUse(t, c, token, 0)
	c.order("POST", "/_apps", `{"appid":"`+appid+`","secret":"`+secret+`","allowed_ips":["192.0.2.1"]}`)
	wantCode(t, c.plain(), 40164)
	c.order("POST", "/_apps", `{"appid":"`+appid+`","allowed_ips":[],"lifetime":"1h","quotas":{"ticket":1}}`)
	if got := c.plain().ExpiresIn; got != 3600 {
		t.Errorf("expires_in %d, want 3600", got)
	}
	c.order("POST", "/_apps", `{"appid":"wx3","secret":"s","confirm_ips":true}`)
	wantCode(t, c.do("GET", plainPath("client_credential", "wx3", "s"), ""), 89503)
	c.order("POST", "/_confirm", `{"appid":"wx3","ip":"127.0.0.1","approve":true}`)
	wantCode(t, c.do("GET", plainPath("client_credential", "wx3", "s"), ""), 0)
	page := c.order("GET", "/_apps", "")
	if !strings.Contains(page, `"lifetime":"1h0m0s"`) || !strings.Contains(page, "wx3") || strings.Contains(page, secret) {
		t.Errorf("apps page %s, want settings and no secret", page)
	}
}

func TestCommandsRefuseNonsense(t *testing.T) {
	c := from(t, open(t, nil))
	for path, bodies := range map[string][]string{
		"/_faults":  {``, `{}`, `{"do":"hang","x":1}`, `{"do":"delay","delay":"soon"}`, `{"do":"hang"}{}`},
		"/_kill":    {``, `{"appid":"wx9","line":"plain"}`, `{"appid":"` + appid + `","line":"x"}`, `{"x":1}`},
		"/_mint":    {``, `{"appid":"wx9"}`},
		"/_confirm": {``, `{"appid":"` + appid + `","ip":"x"}`, `{"appid":"wx9","ip":"127.0.0.1"}`},
		"/_apps":    {``, `{}`, `{"appid":"wx9"}`, `{"appid":"` + appid + `","x":1}`, `{"appid":"` + appid + `","overlap":"3h"}`},
	} {
		for _, body := range bodies {
			if got := c.do("POST", path, body); got.Status != http.StatusBadRequest || !strings.Contains(got.Raw, `"error"`) {
				t.Errorf("%s %s: %d %s, want 400 and an error", path, body, got.Status, got.Raw)
			}
		}
	}
	wantCode(t, c.plain(), 0) // nothing changed
}

func TestFailedUpdateChangesNothing(t *testing.T) {
	sb := open(t, nil)
	stop := errors.New("stop")
	err := sb.UpdateApp(appid, func(a *sandbox.App) error {
		a.SecretFrozen = true
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want the change's own", err)
	}
	if err := sb.UpdateApp(appid, func(a *sandbox.App) error { a.AppID = "x"; return nil }); err == nil {
		t.Error("an app changed its appid")
	}
	wantCode(t, from(t, sb).plain(), 0)
}

func TestConfigMistakesAreNamed(t *testing.T) {
	app := func(change func(*sandbox.App)) sandbox.Config {
		a := sandbox.App{AppID: appid, Secret: secret}
		change(&a)
		return sandbox.Config{Apps: []sandbox.App{a}}
	}
	for want, cfg := range map[string]sandbox.Config{
		"time scale":          {TimeScale: -1},
		"want a positive":     {TimeScale: math.NaN()},
		"token prefix":        {TokenPrefix: "with space"},
		"appid and secret":    app(func(a *sandbox.App) { a.Secret = "" }),
		"durations":           app(func(a *sandbox.App) { a.Overlap = -1 }),
		"less than the life":  app(func(a *sandbox.App) { a.Lifetime = time.Minute }),
		"quotas may not":      app(func(a *sandbox.App) { a.Quotas.Forced = -1 }),
		`allowed ip "10.0.0"`: app(func(a *sandbox.App) { a.AllowedIPs = []string{"10.0.0"} }),
		"named twice":         {Apps: []sandbox.App{{AppID: "a", Secret: "b"}, {AppID: "a", Secret: "b"}}},
	} {
		if _, err := sandbox.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

func TestAppSurvivesJSON(t *testing.T) {
	want := sandbox.App{
		AppID: "a", Secret: "b", SecretFrozen: true, AllowedIPs: []string{"10.0.0.1"}, ConfirmIPs: true,
		Lifetime: time.Hour, TicketLifetime: time.Minute, Overlap: time.Second, ForceInterval: time.Millisecond,
		TicketFullLife: true, Quotas: sandbox.Quotas{Plain: 1, Clear: 2},
	}
	text, err := want.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got sandbox.App
	if err := got.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("app (-want +got):\n%s", diff)
	}
}

func TestDecodingAnAppKeepsAbsentFieldsAndLeavesCopiesAlone(t *testing.T) {
	before := sandbox.App{AppID: "a", Lifetime: time.Hour, AllowedIPs: []string{"10.0.0.1"}}
	after := before
	if err := after.UnmarshalJSON([]byte(`{"secret":"s","allowed_ips":["10.0.0.2"]}`)); err != nil {
		t.Fatal(err)
	}
	want := sandbox.App{AppID: "a", Secret: "s", Lifetime: time.Hour, AllowedIPs: []string{"10.0.0.2"}}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("app (-want +got):\n%s", diff)
	}
	if before.AllowedIPs[0] != "10.0.0.1" {
		t.Error("decoding into a copy changed the original")
	}
}
