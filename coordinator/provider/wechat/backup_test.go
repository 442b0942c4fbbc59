package wechat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator/provider/outbound"
)

// platform is a transport with an answer for each host, in memory, that remembers
// who was asked.
type platform struct {
	answers map[string]roundTrip // :: scheme and host → its answer
	asked   []string
}

func (p *platform) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Scheme + "://" + r.URL.Host
	p.asked = append(p.asked, host)
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	return p.answers[host](r)
}

func says(code int, body string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func breaks(*http.Request) (*http.Response, error) { return nil, syscall.ECONNRESET }

func cutsOff(*http.Request) (*http.Response, error) {
	body := io.MultiReader(strings.NewReader("{"), errorReader{io.ErrUnexpectedEOF})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

const (
	mainHost   = "https://api.weixin.qq.com"
	backupHost = "https://api2.weixin.qq.com"
	success    = `{"access_token":"` + freshValue + `","ticket":"` + freshValue + `","expires_in":7200}`
)

func TestOnlyANormalStableCallGoesToTheBackupHostAndOnlyOnce(t *testing.T) {
	failures := map[string]struct {
		answer    roundTrip
		elsewhere bool
	}{
		"connection breaks": {breaks, true},
		"answer breaks off": {cutsOff, true},
		"500":               {says(500, "x"), true},
		"503":               {says(503, success), true},
		"404":               {says(404, "x"), false},
		"302":               {says(302, "x"), false},
		"429":               {says(429, "x"), false},
		"html":              {says(200, "<html>"), false},
		"empty":             {says(200, ""), false},
		"busy":              {says(200, `{"errcode":-1,"errmsg":"system error"}`), false},
		"wrong secret":      {says(200, `{"errcode":40125,"errmsg":"invalid appsecret"}`), false},
		"no value":          {says(200, "{}"), false},
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			for what, call := range everyCall(t, "") {
				hosts := &platform{answers: map[string]roundTrip{mainHost: failure.answer, backupHost: says(200, success)}}
				grant, err := New(Config{Transport: hosts}).Fetch(t.Context(), call)
				want := []string{mainHost}
				if failure.elsewhere && what == "stable" {
					want = append(want, backupHost)
					if err != nil || grant.Values[AccessToken].Value.Reveal() != freshValue {
						t.Errorf("%s: %v, want the backup host's value", what, err)
					}
				} else {
					_ = upstreamError(t, err)
				}
				if diff := cmp.Diff(want, hosts.asked); diff != "" {
					t.Errorf("%s: hosts asked (-want +got):\n%s", what, diff)
				}

				hosts = &platform{answers: map[string]roundTrip{mainHost: failure.answer, backupHost: breaks}}
				_, err = New(Config{Transport: hosts}).Fetch(t.Context(), call)
				_ = upstreamError(t, err)
				if diff := cmp.Diff(want, hosts.asked); diff != "" {
					t.Errorf("%s with both hosts failing: hosts asked (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

func TestAProbeHasNoBackupHost(t *testing.T) {
	hosts := &platform{answers: map[string]roundTrip{mainHost: breaks}}
	call := callOf(t, testApp("", modeStable), AccessToken, testToken)
	_, err := New(Config{Transport: hosts}).Probe(t.Context(), call)
	_ = upstreamError(t, err)
	if diff := cmp.Diff([]string{mainHost}, hosts.asked); diff != "" {
		t.Errorf("hosts asked (-want +got):\n%s", diff)
	}
}

func TestBackupHostsAreThoseTheAppNames(t *testing.T) {
	for name, test := range map[string]struct {
		upstream, option string
		set              bool
		want             []string // possible second hosts
	}{
		"default":                {"", "", false, []string{backupHost}},
		"default, spelled out":   {"https://API.weixin.qq.com:443", "", false, []string{backupHost}},
		"default host over http": {"http://api.weixin.qq.com", "", false, nil},
		"other host":             {"https://sh.api.weixin.qq.com", "", false, nil},
		"switched off":           {"", "none", true, nil},
		"named":                  {"", "sh.api.weixin.qq.com, hk.api.weixin.qq.com", true, []string{"https://sh.api.weixin.qq.com", "https://hk.api.weixin.qq.com"}},
		"named for another host": {"http://127.0.0.1:7490", "127.0.0.1:7491", true, []string{"http://127.0.0.1:7491"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := testApp(test.upstream, modeStable)
			if test.set {
				app.Options["backup_hosts"] = test.option
			}
			var second []string
			for range 100 { // the host is chosen by chance
				hosts := &recorder{}
				_, err := New(Config{Transport: hosts}).Fetch(t.Context(), callOf(t, app, AccessToken, ""))
				_ = upstreamError(t, err)
				second = append(second, hosts.asked[1:]...)
			}
			slices.Sort(second)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, slices.Compact(second)); diff != "" {
				t.Errorf("backup hosts asked (-want +got):\n%s", diff)
			}
		})
	}
}

// recorder fails every request and remembers its host.
type recorder struct{ asked []string }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.asked = append(r.asked, req.URL.Scheme+"://"+req.URL.Host)
	return nil, errors.New("broken")
}

func TestASilentHostLeavesTheBackupHostAThirdOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var second time.Duration
		hosts := &platform{answers: map[string]roundTrip{
			mainHost: silent,
			backupHost: func(r *http.Request) (*http.Response, error) {
				second = time.Since(began)
				time.Sleep(2 * time.Second)
				return says(200, success)(r)
			},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		_, err := New(Config{Transport: hosts}).Fetch(ctx, callOf(t, testApp("", modeStable), AccessToken, ""))
		if err != nil || second != 6*time.Second {
			t.Errorf("backup host asked after %v, %v; want 6s and a value", second, err)
		}

		began = time.Now()
		hosts.answers[backupHost] = silent
		ctx, cancel = context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		_, err = New(Config{Transport: hosts}).Fetch(ctx, callOf(t, testApp("", modeStable), AccessToken, ""))
		if up := upstreamError(t, err); up.Code != outbound.CodeTimeout || time.Since(began) != 9*time.Second {
			t.Errorf("%+v after %v; want a timeout after 9s", up, time.Since(began))
		}
	})
}

func TestACallGivenUpDoesNotGoToTheBackupHost(t *testing.T) {
	for name, answer := range map[string]roundTrip{"breaks": breaks, "500": says(500, "x")} {
		ctx, cancel := context.WithCancel(t.Context())
		hosts := &platform{answers: map[string]roundTrip{mainHost: func(r *http.Request) (*http.Response, error) {
			cancel()
			return answer(r)
		}}}
		_, err := New(Config{Transport: hosts}).Fetch(ctx, callOf(t, testApp("", modeStable), AccessToken, ""))
		_ = upstreamError(t, err)
		if len(hosts.asked) != 1 {
			t.Errorf("%s: asked %q, want one request", name, hosts.asked)
		}
	}
}

func TestTheUseOfABackupHostIsLogged(t *testing.T) {
	var logged bytes.Buffer
	hosts := &platform{answers: map[string]roundTrip{mainHost: breaks, backupHost: says(200, success)}}
	p := New(Config{Transport: hosts, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if _, err := p.Fetch(t.Context(), callOf(t, testApp("", modeStable), AccessToken, "")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=WARN", "app=shop", "backup=api2.weixin.qq.com", "connection_lost"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("log %q: want %q", logged.String(), want)
		}
	}
}
