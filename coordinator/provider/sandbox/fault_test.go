package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator/provider/sandbox"

	"github.com/google/go-cmp/cmp"
)

func fail(t *testing.T, sb *sandbox.Sandbox, f sandbox.Fault) {
	t.Helper()
	if err := sb.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

func issued(sb *sandbox.Sandbox) int {
	return sb.Oracle().Apps[appid].Issued[sandbox.LinePlain]
}

// TestFaultsStrikeInPairs runs each fault before and after the platform acts.
func TestFaultsStrikeInPairs(t *testing.T) {
	faults := map[string]struct {
		fault sandbox.Fault
		check func(t *testing.T, response *http.Response, body string, err error)
	}{
		"reset": {sandbox.Fault{Do: sandbox.Reset}, func(t *testing.T, _ *http.Response, _ string, err error) {
			t.Helper()
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("error %v, want a connection reset", err)
			}
		}},
		"truncate": {sandbox.Fault{Do: sandbox.Truncate}, func(t *testing.T, r *http.Response, body string, err error) {
			t.Helper()
			if !errors.Is(err, io.ErrUnexpectedEOF) || int64(len(body)) >= r.ContentLength {
				t.Errorf("%d bytes, error %v; want half a body and an unexpected end", len(body), err)
			}
		}},
		"status": {
			sandbox.Fault{Do: sandbox.Status, Status: 429, Body: "slow down", Header: map[string]string{"Retry-After": "7"}},
			func(t *testing.T, r *http.Response, body string, err error) {
				t.Helper()
				if err != nil || r.StatusCode != 429 || body != "slow down" || r.Header.Get("Retry-After") != "7" {
					t.Errorf("answer %v %q %v, want 429 slow down, retry after 7", r, body, err)
				}
			},
		},
		"html": {sandbox.Fault{Do: sandbox.HTML}, func(t *testing.T, r *http.Response, body string, err error) {
			t.Helper()
			if err != nil || r.StatusCode != 502 || !strings.Contains(body, "<h1>502 Bad Gateway</h1>") {
				t.Errorf("answer %v %q %v, want a gateway's page", r, body, err)
			}
		}},
		"huge": {sandbox.Fault{Do: sandbox.Huge, Bytes: 3 << 20}, func(t *testing.T, _ *http.Response, body string, err error) {
			t.Helper()
			if err != nil || len(body) != 3<<20 || !strings.HasPrefix(body, `{"access_token":"aaa`) {
				t.Errorf("%d bytes, error %v; want 3 MiB", len(body), err)
			}
		}},
		"errcode": {sandbox.Fault{Do: sandbox.Errcode, Errcode: -1}, func(t *testing.T, r *http.Response, body string, err error) {
			t.Helper()
			if err != nil || r.StatusCode != 200 || !strings.Contains(body, `{"errcode":-1,"errmsg":"system error rid: `) {
				t.Errorf("answer %q %v, want errcode -1", body, err)
			}
		}},
	}
	for name, tt := range faults {
		for _, when := range []sandbox.Moment{"", sandbox.Before, sandbox.After} {
			t.Run(name+" "+string(when), func(t *testing.T) {
				sb := open(t, nil)
				tt.fault.Count, tt.fault.When = 1, when
				fail(t, sb, tt.fault)
				response, err := from(t, sb).send("GET", plainPath("client_credential", appid, secret), "")
				var body []byte
				if err == nil {
					defer response.Body.Close()
					body, err = io.ReadAll(response.Body)
				}
				tt.check(t, response, string(body), err)
				want := 0
				if when == sandbox.After {
					want = 1
				}
				if got := issued(sb); got != want {
					t.Errorf("%d tokens issued, want %d", got, want)
				}
				if calls := sb.Oracle().Apps[appid].Calls[sandbox.KindToken]; calls.Failed != 1 || calls.InFlight != 0 {
					t.Errorf("oracle says %+v, want one failure and nothing in flight", calls)
				}
				wantCode(t, from(t, sb).plain(), 0) // the count is used up
			})
		}
	}
}

func TestHangLastsUntilTheCallerGivesUp(t *testing.T) {
	for when, want := range map[sandbox.Moment]int{sandbox.Before: 0, sandbox.After: 1} {
		t.Run(string(when), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sb := open(t, nil)
				fail(t, sb, sandbox.Fault{Do: sandbox.Hang, When: when})
				client := sb.Client()
				client.Timeout = 10 * time.Second
				began := time.Now()
				err := caller{t: t, client: client, base: "http://x"}.breaks()
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
					t.Errorf("error %v after %v, want the deadline after 10 s", err, time.Since(began))
				}
				if got := issued(sb); got != want {
					t.Errorf("%d tokens issued, want %d", got, want)
				}
			})
		})
	}
}

func TestClearingFaultsReleasesTheCallsTheyHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		fail(t, sb, sandbox.Fault{App: appid, Do: sandbox.Hang, Count: 1})
		fail(t, sb, sandbox.Fault{App: "other", Do: sandbox.Hang})
		failed := make(chan error)
		go func() { failed <- from(t, sb).breaks() }()
		synctest.Wait()
		if calls := sb.Oracle().Apps[appid].Calls[sandbox.KindToken]; calls.InFlight != 1 {
			t.Errorf("%d calls in flight, want 1", calls.InFlight)
		}
		sb.ClearFaults(appid)
		if err := <-failed; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("released call ended with %v, want a reset", err)
		}
		want := []sandbox.Fault{{App: "other", Do: sandbox.Hang}}
		if diff := cmp.Diff(want, sb.Faults()); diff != "" {
			t.Errorf("faults left (-want +got):\n%s", diff)
		}
		sb.ClearFaults("")
		if left := sb.Faults(); len(left) != 0 {
			t.Errorf("faults left: %v", left)
		}
	})
}

func TestDelayedCallActsAfterTheDelay(t *testing.T) {
	for when, want := range map[sandbox.Moment]int{sandbox.Before: 0, sandbox.After: 1} {
		t.Run(string(when), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sb := open(t, nil)
				fail(t, sb, sandbox.Fault{Do: sandbox.Delay, Delay: 3 * time.Second, When: when})
				answered := make(chan reply)
				go func() { answered <- from(t, sb).plain() }()
				time.Sleep(time.Second)
				if got := issued(sb); got != want {
					t.Errorf("%d tokens issued during the delay, want %d", got, want)
				}
				if g := sb.Oracle().Apps[appid].Minting; g.InFlight != 1 {
					t.Errorf("%d calls in flight, want 1", g.InFlight)
				}
				began := time.Now()
				wantCode(t, <-answered, 0)
				if waited := time.Since(began); waited != 2*time.Second {
					t.Errorf("answered %v later, want 2 s", waited)
				}
			})
		})
	}
}

func TestCallerWhoLeavesDuringADelay(t *testing.T) {
	for name, late := range map[string]bool{"nothing happens": false, "late, the platform acts all the same": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sb := open(t, nil)
				fail(t, sb, sandbox.Fault{Do: sandbox.Delay, Delay: 10 * time.Second, Late: late, Count: 1})
				client := sb.Client()
				client.Timeout = 4 * time.Second
				err := caller{t: t, client: client, base: "http://x"}.breaks()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want the deadline", err)
				}
				time.Sleep(6*time.Second - time.Millisecond)
				if got := issued(sb); got != 0 {
					t.Errorf("%d tokens issued before the delay ended", got)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				want := map[bool]int{false: 0, true: 1}[late]
				if got := issued(sb); got != want {
					t.Errorf("%d tokens issued, want %d", got, want)
				}
				if g := sb.Oracle().Apps[appid].Minting; g.InFlight != 0 {
					t.Errorf("%d calls in flight, want none", g.InFlight)
				}
			})
		})
	}
}

func TestCallerWhoLeavesAfterThePlatformActed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		fail(t, sb, sandbox.Fault{Do: sandbox.Delay, Delay: 10 * time.Second, When: sandbox.After})
		client := sb.Client()
		client.Timeout = time.Second
		err := caller{t: t, client: client, base: "http://x"}.breaks()
		if !errors.Is(err, context.DeadlineExceeded) || issued(sb) != 1 {
			t.Errorf("error %v and %d tokens issued, want the deadline and 1", err, issued(sb))
		}
		if calls := sb.Oracle().Apps[appid].Calls[sandbox.KindToken]; calls.Failed != 1 || calls.InFlight != 0 {
			t.Errorf("oracle says %+v, want one failure and nothing in flight", calls)
		}
	})
}

func TestClearingCutsADelayShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := open(t, nil)
		fail(t, sb, sandbox.Fault{Do: sandbox.Delay, Delay: time.Hour})
		answered := make(chan reply)
		go func() { answered <- from(t, sb).plain() }()
		time.Sleep(time.Second)
		began := time.Now()
		sb.ClearFaults("")
		wantCode(t, <-answered, 0)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("answered %v after the fault was cleared, want at once", waited)
		}
	})
}

func TestReadingABodyEndsWithItsContext(t *testing.T) {
	sb := open(t, nil)
	fail(t, sb, sandbox.Fault{Do: sandbox.Huge})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", "http://x/cgi-bin/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := sb.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cancel()
	if n, err := io.Copy(io.Discard, response.Body); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("read %d bytes, then %v; want the cancellation", n, err)
	}
}

func TestFaultStrikesOnlyWhatItNames(t *testing.T) {
	const other = "wx0000000000000002"
	sb := open(t, func(cfg *sandbox.Config) {
		cfg.Apps = append(cfg.Apps, sandbox.App{AppID: other, Secret: secret})
	})
	c := from(t, sb)
	token := c.plain().AccessToken
	tests := map[string]struct {
		fault sandbox.Fault
		call  func() reply
		hit   bool
	}{
		"its app":       {sandbox.Fault{App: appid}, c.plain, true},
		"another app":   {sandbox.Fault{App: other}, c.plain, false},
		"any kind":      {sandbox.Fault{Kind: sandbox.KindAny}, c.plain, true},
		"token":         {sandbox.Fault{Kind: sandbox.KindToken}, c.plain, true},
		"not stable":    {sandbox.Fault{Kind: sandbox.KindToken}, func() reply { return c.stable(false) }, false},
		"stable":        {sandbox.Fault{Kind: sandbox.KindStableToken}, func() reply { return c.stable(false) }, true},
		"ticket":        {sandbox.Fault{App: appid, Kind: sandbox.KindTicket}, func() reply { return c.ticket(token, "jsapi") }, true},
		"probe":         {sandbox.Fault{Kind: sandbox.KindProbe}, func() reply { return c.do("GET", "/cgi-bin/get_api_domain_ip", "") }, true},
		"business":      {sandbox.Fault{App: appid, Kind: sandbox.KindBusiness}, func() reply { return c.do("GET", "/cgi-bin/user/info?access_token="+token, "") }, true},
		"host":          {sandbox.Fault{Host: "api.weixin.qq.com"}, c.plain, true},
		"a backup host": {sandbox.Fault{Host: "api2.weixin.qq.com"}, c.plain, false},
		"skip":          {sandbox.Fault{Skip: 1}, c.plain, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			defer sb.ClearFaults("")
			tt.fault.Do, tt.fault.Status = sandbox.Status, 418
			fail(t, sb, tt.fault)
			if hit := tt.call().Status == 418; hit != tt.hit {
				t.Errorf("struck %t, want %t", hit, tt.hit)
			}
		})
	}
}

func TestFaultCountsAndOrder(t *testing.T) {
	sb := open(t, nil)
	c := from(t, sb)
	fail(t, sb, sandbox.Fault{Do: sandbox.Status, Status: 500, Skip: 1, Count: 2})
	fail(t, sb, sandbox.Fault{Do: sandbox.Status, Status: 599})
	var got []int
	for range 5 {
		got = append(got, c.plain().Status)
	}
	if diff := cmp.Diff([]int{599, 500, 500, 599, 599}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestImpossibleFaultsAreRefused(t *testing.T) {
	for _, f := range []sandbox.Fault{
		{},
		{Do: "explode"},
		{Do: sandbox.Hang, Kind: "nonsense"},
		{Do: sandbox.Hang, When: "sometimes"},
		{Do: sandbox.Hang, Count: -1},
		{Do: sandbox.Delay},
		{Do: sandbox.Hang, Late: true},
		{Do: sandbox.Delay, Delay: 1, Late: true, When: sandbox.After},
		{Do: sandbox.Status, Status: 100},
		{Do: sandbox.Huge, Bytes: 2 << 30},
		{Do: sandbox.Errcode},
	} {
		if err := open(t, nil).AddFault(f); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestFaultSurvivesJSON(t *testing.T) {
	want := sandbox.Fault{
		App: appid, Kind: sandbox.KindToken, Host: "h", Skip: 1, Count: 2, Do: sandbox.Delay, When: sandbox.Before,
		Delay: 90 * time.Second, Late: true, Status: 500, Header: map[string]string{"A": "b"}, Body: "b", Bytes: 3, Errcode: 4, Errmsg: "e",
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"delay":"1m30s"`) {
		t.Errorf("delay not in words: %s", text)
	}
	var got sandbox.Fault
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fault (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"do":"hang","moment":"after"}`), &got); err == nil {
		t.Error("an unknown name was accepted")
	}
}
