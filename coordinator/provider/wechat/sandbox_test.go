package wechat

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
	"freshet/coordinator/provider/sandbox"
)

// newSandbox is an emulated platform that knows the test's app.
func newSandbox(t *testing.T, change func(*sandbox.App)) *sandbox.Sandbox {
	t.Helper()
	app := sandbox.App{AppID: testAppID, Secret: testSecret}
	if change != nil {
		change(&app)
	}
	sb, err := sandbox.New(sandbox.Config{Apps: []sandbox.App{app}, TokenPrefix: "canary-"})
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

// onSocket serves the sandbox on a socket.
func onSocket(t *testing.T, sb *sandbox.Sandbox) string {
	t.Helper()
	s := httptest.NewServer(sb)
	t.Cleanup(s.Close)
	return s.URL
}

// fetched is the value of a fetch that must succeed.
func fetched(t *testing.T, p *Provider, call coordinator.Call) coordinator.Value {
	t.Helper()
	grant, err := p.Fetch(t.Context(), call)
	if err != nil {
		t.Fatalf("fetching %s: %v", call.Group.Name, err)
	}
	return grant.Values[call.Group.Name]
}

func TestTheSandboxGrantsEveryToken(t *testing.T) {
	sb := newSandbox(t, nil)
	url, p := onSocket(t, sb), New(Config{})
	for _, m := range []mode{modeStable, modePlain} {
		app := testApp(url, m)
		token := fetched(t, p, callOf(t, app, AccessToken, ""))
		for _, group := range []string{JSAPITicket, WxCardTicket} {
			ticket := fetched(t, p, callOf(t, app, group, token.Value.Reveal()))
			if !sb.Alive(ticket.Value.Reveal()) || ticket.Lifetime > 2*time.Hour {
				t.Errorf("%s: %s lives %v for %v", m, group, sb.Alive(ticket.Value.Reveal()), ticket.Lifetime)
			}
		}
		if !sb.Alive(token.Value.Reveal()) || token.Lifetime > 2*time.Hour {
			t.Errorf("%s: the access token lives %v for %v", m, sb.Alive(token.Value.Reveal()), token.Lifetime)
		}
		if got := verdict(t, p, callOf(t, app, AccessToken, token.Value.Reveal())); got != alive {
			t.Errorf("%s: a probe says %s, want alive", m, got)
		}
	}
	report := sb.Oracle().Apps[testAppID]
	if report.Issued[sandbox.LinePlain] != 1 || report.Issued[sandbox.LineStable] != 1 {
		t.Errorf("issued %v, want one token of each line", report.Issued)
	}
}

func TestTheLinesBehaveAsTheirGroupsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := newSandbox(t, nil)
		p := New(Config{Transport: sb.Client().Transport})
		stable := callOf(t, testApp("", modeStable), AccessToken, "")
		plain := callOf(t, testApp("", modePlain), AccessToken, "")

		first := fetched(t, p, stable)
		time.Sleep(first.Lifetime - stable.Group.Earliest - time.Second)
		if again := fetched(t, p, stable); !again.Value.Equal(first.Value) {
			t.Error("a normal call made a new token before the group's earliest renewal")
		}
		time.Sleep(2 * time.Second)
		second := fetched(t, p, stable)
		if second.Value.Equal(first.Value) || second.Lifetime != 2*time.Hour {
			t.Errorf("a normal call in the last 5 minutes made no new token (%v left)", second.Lifetime)
		}

		stable.Force = true
		forced := fetched(t, p, stable)
		if forced.Value.Equal(second.Value) {
			t.Error("a forced call made no new token")
		}
		time.Sleep(stable.Group.ForceEvery)
		if next := fetched(t, p, stable); next.Value.Equal(forced.Value) || sb.Alive(second.Value.Reveal()) {
			t.Error("a second forced call after the group's interval changed nothing")
		}

		one := fetched(t, p, plain)
		if two := fetched(t, p, plain); two.Value.Equal(one.Value) || !sb.Alive(one.Value.Reveal()) {
			t.Error("a plain call made no new token, or killed the old one at once")
		}
		time.Sleep(plain.Group.Overlap + time.Second)
		if sb.Alive(one.Value.Reveal()) {
			t.Error("a replaced plain token outlived the group's overlap")
		}
	})
}

func TestADeadTokenIsToldByProbeAndTicket(t *testing.T) {
	sb := newSandbox(t, nil)
	app, p := testApp(onSocket(t, sb), modeStable), New(Config{})
	for name, end := range map[string]func(string) bool{"killed": sb.KillToken, "expired": sb.ExpireToken} {
		call := callOf(t, app, AccessToken, "")
		call.Force = true
		token := fetched(t, p, call).Value.Reveal()
		end(token)
		if got := verdict(t, p, callOf(t, app, AccessToken, token)); got != dead {
			t.Errorf("%s: a probe says %s, want dead", name, got)
		}
		_, err := p.Fetch(t.Context(), callOf(t, app, JSAPITicket, token))
		if up := upstreamError(t, err); up.Class != deadToken || up.Token != AccessToken {
			t.Errorf("%s: %+v; want a dead access_token", name, up)
		}
		if err := sb.UpdateApp(testAppID, func(a *sandbox.App) error { a.ForceInterval = 1; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if got := verdict(t, p, callOf(t, app, AccessToken, "not-a-token")); got != dead {
		t.Errorf("a probe of a malformed token says %s, want dead", got)
	}
}

func TestATicketCannotBeProbed(t *testing.T) {
	count := &counter{}
	call := callOf(t, testApp("", modeStable), JSAPITicket, testToken)
	call.Tokens[JSAPITicket] = coordinator.NewSecret("ticket")
	_, err := New(Config{Transport: count}).Probe(t.Context(), call)
	if up := upstreamError(t, err); up.Reason != "no_probe" || count.n.Load() != 0 {
		t.Errorf("%+v after %d requests; want no_probe and none", up, count.n.Load())
	}
}

func TestAProbeThatLearnsNothingIsAnError(t *testing.T) {
	for body, want := range map[string]string{
		"{}":                               "no_errcode",
		`{"quota":{}}`:                     "no_errcode",
		`{"errcode":null}`:                 "no_errcode",
		"<html>":                           "not_json",
		"":                                 "empty",
		`{"errcode":-1}`:                   "-1",
		`{"errcode":40164,"errmsg":"ip"}`:  "40164",
		`{"errcode":987654,"errmsg":"??"}`: "987654",
	} {
		url := answering(t, body)
		alive, err := New(Config{}).Probe(t.Context(), callOf(t, testApp(url, modeStable), AccessToken, testToken))
		if up := upstreamError(t, err); up.Code != want || alive {
			t.Errorf("%q: alive %v, %+v; want code %s", body, alive, up, want)
		}
	}
}

func TestTheSandboxRefusesAsThePlatformDoes(t *testing.T) {
	tests := []struct {
		name, reason string
		class        coordinator.Class
		egress       bool
		change       func(*sandbox.App)
	}{
		{"wrong secret", "invalid_secret", config, false, func(a *sandbox.App) { a.Secret = "another" }},
		{"wrong appid", "invalid_appid", config, false, func(a *sandbox.App) { a.AppID = "wx0000000000000002" }},
		{"frozen", "secret_frozen", config, false, func(a *sandbox.App) { a.SecretFrozen = true }},
		{"not listed", "address_not_listed", config, true, func(a *sandbox.App) { a.AllowedIPs = []string{"192.0.2.1"} }},
		{"not confirmed", "awaiting_admin", retry, true, func(a *sandbox.App) { a.ConfirmIPs = true }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url := onSocket(t, newSandbox(t, test.change))
			for _, m := range []mode{modeStable, modePlain} {
				_, err := New(Config{}).Fetch(t.Context(), callOf(t, testApp(url, m), AccessToken, ""))
				up := upstreamError(t, err)
				if m == modePlain && test.egress && up.Code == "89501" {
					continue // the second call meets the confirmation the first one asked for
				}
				if up.Class != test.class || up.Reason != test.reason || up.Egress != test.egress {
					t.Errorf("%s: %+v; want %s, %s, egress %v", m, up, test.class, test.reason, test.egress)
				}
			}
		})
	}
}

func TestQuotasOfTheSandboxAreTold(t *testing.T) {
	sb := newSandbox(t, func(a *sandbox.App) { a.Quotas = sandbox.Quotas{Plain: 1, Forced: 1}; a.ForceInterval = 1 })
	url, p := onSocket(t, sb), New(Config{})
	plain := callOf(t, testApp(url, modePlain), AccessToken, "")
	forced := callOf(t, testApp(url, modeStable), AccessToken, "")
	forced.Force = true
	fetched(t, p, plain)
	fetched(t, p, forced)

	_, err := p.Fetch(t.Context(), plain)
	if up := upstreamError(t, err); up.Class != quota || up.Reason != "quota_exhausted" {
		t.Errorf("plain: %+v; want quota_exhausted", up)
	}
	_, err = p.Fetch(t.Context(), forced)
	if up := upstreamError(t, err); up.Class != quota || up.Reason != "force_quota_exhausted" || up.RetryAfter != forceQuotaHold {
		t.Errorf("forced: %+v; want force_quota_exhausted for %v", up, forceQuotaHold)
	}
	forced.Force = false
	fetched(t, p, forced)
}

func TestEveryFaultOfTheSandboxCostsOneRequest(t *testing.T) {
	faults := map[string]sandbox.Fault{
		"timeout":         {Do: sandbox.Hang},
		"connection_lost": {Do: sandbox.Reset},
		"http_503":        {Do: sandbox.Status},
		"not_json":        {Do: sandbox.HTML, Status: 200},
		"http_502":        {Do: sandbox.HTML},
		"truncated":       {Do: sandbox.Truncate},
		"too_large":       {Do: sandbox.Huge},
		"45011":           {Do: sandbox.Errcode, Errcode: 45011},
	}
	sb := newSandbox(t, nil)
	url := onSocket(t, sb)
	for code, fault := range faults {
		for _, moment := range []sandbox.Moment{sandbox.Before, sandbox.After} {
			t.Run(code+" "+string(moment), func(t *testing.T) {
				for what, call := range everyCall(t, url) {
					if what == "ticket" {
						call = callOf(t, call.App, JSAPITicket, stableToken(t, sb))
					}
					fault.When = moment
					if err := sb.AddFault(fault); err != nil {
						t.Fatal(err)
					}
					strike(t, sb, what, call, code)
				}
			})
		}
	}
}

// strike makes a call that meets the fault added last.
func strike(t *testing.T, sb *sandbox.Sandbox, what string, call coordinator.Call, code string) {
	t.Helper()
	defer sb.ClearFaults("")
	count := &counter{RoundTripper: outbound.NewTransport()}
	before := callsSeen(sb)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	if code == outbound.CodeTimeout {
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	}
	defer cancel()
	_, err := New(Config{Transport: count}).Fetch(ctx, call)
	if up := upstreamError(t, err); up.Code != code || up.Ambiguous != (code != "45011") {
		t.Errorf("%s: %+v; want %s", what, up, code)
	}
	if sent, arrived := count.n.Load(), callsSeen(sb)-before; sent != 1 || arrived != 1 {
		t.Errorf("%s: %d requests sent, %d arrived; want 1", what, sent, arrived)
	}
}

func callsSeen(sb *sandbox.Sandbox) int {
	n := 0
	for _, app := range sb.Oracle().Apps {
		for _, calls := range app.Calls {
			n += calls.Calls
		}
	}
	return n
}

// stableToken is the sandbox's current stable token, fetched without a socket.
func stableToken(t *testing.T, sb *sandbox.Sandbox) string {
	t.Helper()
	p := New(Config{Transport: sb.Client().Transport})
	return fetched(t, p, callOf(t, testApp("", modeStable), AccessToken, "")).Value.Reveal()
}
