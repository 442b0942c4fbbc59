package wechat

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
)

// Verdicts of a probe.
const (
	alive = "alive"
	dead  = "dead"
)

// wantCode is what becomes of a code: its class on a token call and on a ticket
// call, and what a probe says.
type wantCode struct {
	code          int64
	token, ticket coordinator.Class
	probe         string // alive, dead, or the class of the error
	reason        string // on a token call
	hold          time.Duration
	egress        bool
}

// wantCodes is the platform's error table, by call.
func wantCodes() []wantCode {
	return []wantCode{
		{-1, retry, retry, "retry", "system_busy", 0, false},
		{40001, config, deadToken, dead, "invalid_secret", 0, false},
		{40002, config, config, "config", "bad_request", 0, false},
		{40013, config, config, "config", "invalid_appid", 0, false},
		{40014, retry, deadToken, dead, "unknown_error", 0, false},
		{40029, caller, caller, "caller", "invalid_code", 0, false},
		{40030, reauthorize, reauthorize, "reauthorize", "invalid_refresh_token", 0, false},
		{40090, config, config, "config", "address_refused", 0, true},
		{40125, config, config, "config", "invalid_secret", 0, false},
		{40163, caller, caller, "caller", "code_used", 0, false},
		{40164, config, config, "config", "address_not_listed", 0, true},
		{40226, config, config, "config", "account_at_risk", 0, false},
		{40243, config, config, "config", "secret_frozen", 0, false},
		{41001, retry, config, "config", "unknown_error", 0, false},
		{41002, config, config, "config", "bad_request", 0, false},
		{41003, caller, caller, "caller", "missing_refresh_token", 0, false},
		{41004, config, config, "config", "bad_request", 0, false},
		{42001, retry, deadToken, dead, "unknown_error", 0, false},
		{42002, reauthorize, reauthorize, "reauthorize", "refresh_token_expired", 0, false},
		{42003, reauthorize, reauthorize, "reauthorize", "code_expired", 0, false},
		{42007, caller, caller, "caller", "user_password_changed", 0, false},
		{43001, config, config, "config", "bad_request", 0, false},
		{43002, config, config, "config", "bad_request", 0, false},
		{43003, config, config, "config", "https_required", 0, false},
		{44002, config, config, "config", "bad_request", 0, false},
		{45009, quota, quota, alive, "quota_exhausted", untilMidnightInBeijing, false},
		{45011, quota, quota, alive, "too_frequent", time.Minute, false},
		{47001, config, config, "config", "bad_request", 0, false},
		{48001, config, config, alive, "not_granted", 0, false},
		{48004, config, config, alive, "call_banned", 0, false},
		{48006, quota, quota, alive, "resets_exhausted", untilMidnightInBeijing, false},
		{50001, retry, caller, alive, "unknown_error", 0, false},
		{50002, retry, caller, alive, "unknown_error", 0, false},
		{50004, config, config, "config", "call_forbidden", 0, false},
		{50007, config, config, "config", "account_frozen", 0, false},
		{61004, config, config, "config", "address_not_listed", 0, true},
		{61024, config, config, "config", "wrong_provider", 0, false},
		{76021, retry, retry, alive, "unknown_error", 0, false},
		{76022, retry, retry, alive, "unknown_error", 0, false},
		{89501, retry, retry, "retry", "awaiting_admin", 10 * time.Minute, false},
		{89502, retry, retry, "retry", "awaiting_admin", 10 * time.Minute, false},
		{89503, retry, retry, "retry", "awaiting_admin", 10 * time.Minute, true},
		{89504, retry, retry, "retry", "awaiting_admin", 10 * time.Minute, false},
		{89505, retry, retry, "retry", "awaiting_admin", 10 * time.Minute, false},
		{89506, config, config, "config", "address_barred", 24 * time.Hour, true},
		{89507, config, config, "config", "address_barred", time.Hour, true},
		{987654, retry, retry, "retry", "unknown_error", 0, false},
	}
}

const untilMidnightInBeijing = -1

func TestEveryErrcodeIsClassedByItsCall(t *testing.T) {
	var body string
	p := New(Config{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
	})})
	url := DefaultUpstream
	for _, want := range wantCodes() {
		t.Run(fmt.Sprint(want.code), func(t *testing.T) {
			body = fmt.Sprintf(`{"errcode":%d,"errmsg":"words of the platform rid: 1-2-3"}`, want.code)
			for _, m := range []mode{modeStable, modePlain} {
				_, err := p.Fetch(t.Context(), callOf(t, testApp(url, m), AccessToken, ""))
				up := upstreamError(t, err)
				checkClass(t, up, want.token, fmt.Sprint(want.code), "")
				if up.Reason != want.reason || up.Egress != want.egress {
					t.Errorf("reason %q, egress %v; want %q, %v", up.Reason, up.Egress, want.reason, want.egress)
				}
				checkHold(t, p, up.RetryAfter, want.hold)
				if !strings.Contains(up.Message, "words of the platform") || !strings.Contains(up.Message, "rid: 1-2-3") {
					t.Errorf("message %q: want the platform's words and rid", up.Message)
				}
			}
			app := testApp(url, modeStable)
			for _, ticket := range []string{JSAPITicket, WxCardTicket} {
				_, err := p.Fetch(t.Context(), callOf(t, app, ticket, testToken))
				dead := ""
				if want.ticket == deadToken {
					dead = AccessToken
				}
				checkClass(t, upstreamError(t, err), want.ticket, fmt.Sprint(want.code), dead)
			}
			if got := verdict(t, p, callOf(t, app, AccessToken, testToken)); got != want.probe {
				t.Errorf("a probe says %q, want %q", got, want.probe)
			}
		})
	}
}

func TestTheTestKnowsEveryRule(t *testing.T) {
	for _, r := range table() {
		if !slices.ContainsFunc(wantCodes(), func(w wantCode) bool { return w.code == r.code }) {
			t.Errorf("code %d has a rule and no expectation", r.code)
		}
	}
}

func TestNoCodeHasTwoRulesForOneCall(t *testing.T) {
	seen := make(map[meaning]bool)
	for _, r := range table() {
		for _, kind := range []callKind{onToken, onTicket, onProbe} {
			if r.on&kind == 0 {
				continue
			}
			if seen[meaning{r.code, kind}] {
				t.Errorf("code %d has two rules for call kind %d", r.code, kind)
			}
			seen[meaning{r.code, kind}] = true
		}
	}
}

func TestALimitPerMinuteIsNotHeldTillTomorrow(t *testing.T) {
	p := New(Config{})
	url := answering(t, `{"errcode":45009,"errmsg":"reach max api Minute quota limit"}`)
	_, err := p.Fetch(t.Context(), callOf(t, testApp(url, modeStable), AccessToken, ""))
	if up := upstreamError(t, err); up.Class != quota || up.RetryAfter != time.Minute {
		t.Errorf("class %s, retry after %v; want quota and a minute", up.Class, up.RetryAfter)
	}
}

func checkClass(t *testing.T, up *coordinator.UpstreamError, class coordinator.Class, code, dead string) {
	t.Helper()
	if up.Class != class || up.Code != code || up.Token != dead || up.Ambiguous {
		t.Errorf("class %s, code %s, token %q, ambiguous %v; want %s, %s, %q, false",
			up.Class, up.Code, up.Token, up.Ambiguous, class, code, dead)
	}
}

func checkHold(t *testing.T, p *Provider, got, want time.Duration) {
	t.Helper()
	if want != untilMidnightInBeijing {
		if got != want {
			t.Errorf("retry after %v, want %v", got, want)
		}
		return
	}
	end := time.Now().Add(got).In(p.beijing)
	if h, m, _ := end.Add(30 * time.Second).Clock(); h != 0 || m != 0 || got > 24*time.Hour {
		t.Errorf("retry at %v, want midnight in Beijing", end)
	}
}

// verdict probes and says alive, dead or the class of the error.
func verdict(t *testing.T, p *Provider, call coordinator.Call) string {
	t.Helper()
	ok, err := p.Probe(t.Context(), call)
	switch {
	case err != nil:
		return string(upstreamError(t, err).Class)
	case ok:
		return alive
	}
	return dead
}
