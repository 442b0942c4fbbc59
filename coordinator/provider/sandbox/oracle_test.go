package sandbox_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestOracleSeesTheMostCallsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		c := from(t, sb)
		fail(t, sb, sandbox.Fault{Do: sandbox.Delay, Delay: time.Second})
		for range 3 {
			c.plain() // one after the other
		}
		if got := sb.Oracle().Apps[appid].Minting; got != (sandbox.Gauge{Peak: 1}) {
			t.Errorf("calls in sequence: %+v, want a peak of 1", got)
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if i%2 == 0 {
					c.plain()
				} else {
					c.stable(false)
				}
			})
		}
		all.Wait()
		app := sb.Oracle().Apps[appid]
		if app.Minting != (sandbox.Gauge{Peak: 6}) {
			t.Errorf("calls at once: %+v, want a peak of 6 over both kinds", app.Minting)
		}
		if got := app.Calls[sandbox.KindStableToken].Gauge; got != (sandbox.Gauge{Peak: 3}) {
			t.Errorf("stable calls: %+v, want a peak of 3", got)
		}
	})
}

func TestOracleNeverSeesMoreAtOnceThanThereAreCallers(t *testing.T) {
	sb, c := serve(t)
	var all sync.WaitGroup
	const callers = 4
	for range callers {
		all.Go(func() {
			for range 50 {
				c.stable(false)
			}
		})
	}
	all.Wait()
	app := sb.Oracle().Apps[appid]
	if app.Minting.Peak < 1 || app.Minting.Peak > callers || app.Minting.InFlight != 0 {
		t.Errorf("gauge %+v, want a peak of 1 to %d and nothing in flight", app.Minting, callers)
	}
	if app.Calls[sandbox.KindStableToken].Calls != 50*callers || app.Issued[sandbox.LineStable] != 1 {
		t.Errorf("report %+v, want %d calls and one token", app, 50*callers)
	}
}

// watchedWriter calls seen before the first byte of an answer.
type watchedWriter struct {
	*httptest.ResponseRecorder
	seen func()
}

func (w watchedWriter) WriteHeader(status int) {
	w.seen()
	w.ResponseRecorder.WriteHeader(status)
}

// Else a quick caller's next call would seem to overlap with its last one.
func TestCallEndsForTheOracleBeforeItsAnswerIsSent(t *testing.T) {
	faults := map[string]*sandbox.Fault{
		"no fault": nil,
		"delay":    {Do: sandbox.Delay, Delay: 1},
		"status":   {Do: sandbox.Status},
		"truncate": {Do: sandbox.Truncate},
		"huge":     {Do: sandbox.Huge, Bytes: 1},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			sb := open(t, nil)
			if fault != nil {
				fail(t, sb, *fault)
			}
			w := watchedWriter{httptest.NewRecorder(), func() {
				if got := sb.Oracle().Apps[appid].Minting; got != (sandbox.Gauge{Peak: 1}) {
					t.Errorf("gauge %+v while the answer is sent, want nothing in flight", got)
				}
			}}
			sb.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", plainPath("client_credential", appid, secret), nil))
		})
	}
}

func TestOracleReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		c := from(t, sb)
		old := c.plain().AccessToken
		time.Sleep(time.Minute)
		if _, err := sb.Mint(appid); err != nil {
			t.Fatal(err)
		}
		c.do("GET", plainPath("client_credential", appid, "wrong"), "")
		c.use(old)
		c.ticket(old, "jsapi")
		want := sandbox.AppReport{
			Calls: map[sandbox.Kind]sandbox.CallReport{
				sandbox.KindToken:    {Gauge: sandbox.Gauge{Peak: 1}, Calls: 2, Failed: 1, Errcodes: map[int]int{40125: 1}},
				sandbox.KindBusiness: {Gauge: sandbox.Gauge{Peak: 1}, Calls: 1},
				sandbox.KindTicket:   {Gauge: sandbox.Gauge{Peak: 1}, Calls: 1},
			},
			Minting: sandbox.Gauge{Peak: 1},
			Issued:  map[sandbox.Line]int{sandbox.LinePlain: 2, sandbox.LineJSAPI: 1},
			Foreign: 1,
			Live: []sandbox.TokenReport{
				{Line: sandbox.LineJSAPI, Current: true, RemainingSeconds: 7200},
				{Line: sandbox.LinePlain, AgeSeconds: 60, RemainingSeconds: 300},
				{Line: sandbox.LinePlain, Current: true, RemainingSeconds: 7200},
			},
		}
		got := sb.Oracle().Apps[appid]
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(sandbox.TokenReport{}, "Value", "Digest")); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
		if got.Live[1].Value != old {
			t.Error("the Go report does not show the value")
		}
	})
}

func TestOracleOverHTTPShowsDigestsOnly(t *testing.T) {
	sb := open(t, nil)
	c := from(t, sb)
	token := c.plain().AccessToken
	page := c.do("GET", "/_oracle", "").Raw
	if strings.Contains(page, token) {
		t.Error("the page shows a token")
	}
	var report sandbox.Report
	if err := json.Unmarshal([]byte(page), &report); err != nil {
		t.Fatal(err)
	}
	want := sb.Oracle()
	ignore := cmpopts.IgnoreFields(sandbox.TokenReport{}, "Value", "AgeSeconds", "RemainingSeconds")
	if diff := cmp.Diff(want, report, ignore); diff != "" {
		t.Errorf("report over HTTP (-want +got):\n%s", diff)
	}
	alive := c.do("GET", "/_oracle?value="+token, "").Raw
	sb.KillToken(token)
	dead := c.do("GET", "/_oracle?value="+token, "").Raw
	if !strings.Contains(alive, `"live":true`) || !strings.Contains(dead, `"live":false`) {
		t.Errorf("answers %s and %s, want live, then not", alive, dead)
	}
}

func TestDeadTokensAreForgottenOnlyAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := from(t, open(t, func(cfg *sandbox.Config) { cfg.Apps[0].Quotas.Plain = 1 << 20 }))
		old := c.plain().AccessToken
		time.Sleep(25 * time.Hour)
		for range 1100 {
			c.plain()
		}
		wantUse(t, c, old, 42001)
		time.Sleep(2 * time.Hour)
		for range 3000 {
			c.plain()
		}
		wantUse(t, c, old, 40001) // a stranger now
	})
}

func TestLandingSaysWhatThisIs(t *testing.T) {
	got := from(t, open(t, nil)).do("GET", "/", "")
	for _, want := range []string{"Freshet sandbox", "/cgi-bin/stable_token", "POST /_faults", "GET /_oracle"} {
		if got.Status != http.StatusOK || !strings.Contains(got.Raw, want) {
			t.Errorf("landing %d lacks %q:\n%s", got.Status, want, got.Raw)
		}
	}
	if missing := from(t, open(t, nil)).do("GET", "/elsewhere", ""); missing.Status != http.StatusNotFound {
		t.Errorf("unknown path answered %d, want 404", missing.Status)
	}
}

func TestLogTellsCallsAndNoSecrets(t *testing.T) {
	var log bytes.Buffer
	sb := open(t, func(cfg *sandbox.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	c := from(t, sb)
	token := c.plain().AccessToken
	c.use(token)
	if !strings.Contains(log.String(), "kind=token app="+appid) {
		t.Errorf("log lacks the token call:\n%s", log.String())
	}
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), secret) {
		t.Error("the log shows a token or secret")
	}
}
