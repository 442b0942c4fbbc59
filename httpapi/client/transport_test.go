package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
)

func TestADeadTokenHealsInOneCall(t *testing.T) {
	for name, change := range map[string]func(*client.TransportConfig, *platform){
		"header": nil,
		"query": func(cfg *client.TransportConfig, p *platform) {
			cfg.Query, cfg.Dead, p.answer = "access_token", deadCode, byBody
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, change)
				want := r.call(t, strings.NewReader("first"))
				if !strings.HasPrefix(want, "200 ") {
					t.Fatal(want)
				}
				r.cluster.Kill("shop")
				if got := r.call(t, strings.NewReader("second")); got != want {
					t.Errorf("got %q", got)
				}
				if r.cluster.Reports("shop") != 1 || strings.Join(r.platform.bodies, " ") != "first second second" {
					t.Errorf("%d reports, sent %q", r.cluster.Reports("shop"), r.platform.bodies)
				}
			})
		})
	}
}

// TestManyCallsThatMeetADeadTokenMakeOneReport lets all of them be refused at the same time.
func TestManyCallsThatMeetADeadTokenMakeOneReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(_ *client.TransportConfig, p *platform) { p.before = func() { time.Sleep(time.Second) } })
		r.cluster.Kill("shop")
		r.cluster.Hold("shop")
		var healed atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if r.call(t, strings.NewReader("body")) == "200 accepted: true" {
					healed.Add(1)
				}
			})
		}
		time.Sleep(3 * time.Second)
		r.cluster.Rotate("shop")
		wg.Wait()
		if healed.Load() != 50 || r.cluster.Reports("shop") != 1 || r.platform.calls != 100 {
			t.Errorf("%d healed with %d reports and %d calls", healed.Load(), r.cluster.Reports("shop"), r.platform.calls)
		}
	})
}

func TestACallerWhoGoesAwayLeavesTheHealingToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.cluster.Kill("shop")
		r.cluster.Hold("shop")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://platform.test/", http.NoBody)
			if resp, err := r.api.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if got := r.call(t, nil); got != "200 accepted: true" {
				t.Errorf("got %s", got)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		r.cluster.Rotate("shop")
		wg.Wait()
	})
}

func TestTheWaitForTheNextVersionIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(cfg *client.TransportConfig, _ *platform) { cfg.Wait = 5 * time.Second })
		r.cluster.Kill("shop")
		r.cluster.Hold("shop")
		began := time.Now()
		if got := r.call(t, nil); got != "401 accepted: false" || time.Since(began) != 5*time.Second || r.platform.calls != 1 {
			t.Errorf("got %s after %s and %d calls", got, time.Since(began), r.platform.calls)
		}
	})
}

func TestACallIsReplayedOnceAndOnlyWithAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(_ *client.TransportConfig, p *platform) {
			p.answer = func(bool) *http.Response { return byStatus(false) }
		})
		// The cluster finds the value alive: the refusal has another cause, and nothing is waited for.
		began := time.Now()
		if got := r.call(t, nil); got != "401 accepted: false" || r.platform.calls != 1 || time.Since(began) != 0 {
			t.Errorf("got %s after %s and %d calls", got, time.Since(began), r.platform.calls)
		}
		time.Sleep(time.Minute)
		r.cluster.Kill("shop")
		if got := r.call(t, nil); got != "401 accepted: false" || r.platform.calls != 3 {
			t.Errorf("got %s after %d calls", got, r.platform.calls)
		}
	})
}

// stubborn gives out one value whatever is asked for.
type stubborn struct{ client.Reader }

func (s stubborn) Token(ctx context.Context, name string, _ client.TokenOptions) (client.Token, error) {
	return s.Reader.Token(ctx, name, client.TokenOptions{})
}

func TestTheSameValueIsNotSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(cfg *client.TransportConfig, _ *platform) { cfg.Reader = stubborn{cfg.Reader} })
		r.cluster.Kill("shop")
		r.cluster.Hold("shop")
		if got := r.call(t, nil); got != "401 accepted: false" || r.platform.calls != 1 {
			t.Errorf("got %s after %d calls", got, r.platform.calls)
		}
	})
}

// plain hides what a reader can do beside reading, so that a request has no GetBody.
type plain struct{ io.Reader }

func TestABodyIsSentAgainOnlyIfItCanBeHadAgain(t *testing.T) {
	large := strings.Repeat("x", 64<<10)
	for name, test := range map[string]struct {
		body io.Reader
		most int64
		want string
	}{
		"none":               {nil, 0, "200 accepted: true"},
		"GetBody, large":     {strings.NewReader(large + "x"), 0, "200 accepted: true"},
		"kept":               {plain{strings.NewReader(large)}, 0, "200 accepted: true"},
		"too large to keep":  {plain{strings.NewReader(large + "x")}, 0, "401 accepted: false"},
		"nothing is kept":    {plain{strings.NewReader("x")}, -1, "401 accepted: false"},
		"broken when we ask": {plain{io.MultiReader(strings.NewReader("x"), broken{})}, 0, "401 accepted: false"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(cfg *client.TransportConfig, _ *platform) { cfg.ReplayBody = test.most })
				r.cluster.Kill("shop")
				if got := r.call(t, test.body); got != test.want {
					t.Errorf("got %s", got)
				}
				if b := r.platform.bodies; b[0] != b[len(b)-1] {
					t.Error("the bodies differ")
				}
				if got := r.call(t, nil); got != "200 accepted: true" {
					t.Errorf("the call after it: %s", got) // it was reported all the same
				}
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

type closed struct {
	io.Reader

	was bool
}

func (c *closed) Close() error {
	c.was = true
	return nil
}

func TestACallThatIsNotWholeIsRefused(t *testing.T) {
	r := newRig(t, nil)
	whole, err := url.Parse("https://platform.test/")
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []*http.Request{{Method: http.MethodPost, URL: whole}, {Method: http.MethodPost, Header: http.Header{}}} {
		body := &closed{Reader: strings.NewReader("x")}
		req.Body = body
		resp, err := r.api.Transport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if err == nil || !body.was || r.platform.calls != 0 {
			t.Errorf("error %v, body closed: %v, %d calls", err, body.was, r.platform.calls)
		}
	}
}

func TestARedirectElsewhereGetsNoToken(t *testing.T) {
	cluster := clienttest.New()
	cluster.Set("shop", "canary-value-1", time.Hour)
	var seen []string
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		seen = append(seen, req.URL.Host+req.URL.Path+" "+req.Header.Get("Authorization"))
		w := httptest.NewRecorder()
		switch req.URL.Path {
		case "/1":
			http.Redirect(w, req, "https://platform.test/2", http.StatusTemporaryRedirect)
		case "/2":
			http.Redirect(w, req, "https://thief.test/3", http.StatusTemporaryRedirect)
		case "/3":
			http.Redirect(w, req, "http://platform.test/4", http.StatusTemporaryRedirect)
		}
		resp := w.Result()
		resp.Request = req
		return resp, nil
	})
	transport, err := client.NewTransport(client.TransportConfig{Reader: newClient(t, cluster.Config(cluster.Start(t))), Name: "shop", Base: base})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://platform.test/1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	want := "platform.test/1 Bearer canary-value-1, platform.test/2 Bearer canary-value-1, thief.test/3 , platform.test/4 "
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("called %s", got)
	}
}

func TestNoErrorOfATransportHoldsTheValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(cfg *client.TransportConfig, _ *platform) {
			cfg.Query = "access_token"
			cfg.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
				return nil, &url.Error{Op: "Post", URL: req.URL.String(), Err: errors.New("broken")}
			})
		})
		for _, why := range []string{"platform.test", "reading the token"} {
			closed := &closing{Reader: strings.NewReader("body")}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://platform.test/", closed)
			resp, err := r.api.Do(req) //nolint:bodyclose // there is none
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, resp), "canary") || !strings.Contains(err.Error(), why) {
				t.Errorf("error %v", err)
			}
			r.node.Stop()
			if why != "platform.test" && !closed.closed {
				t.Error("the body was not closed")
			}
		}
	})
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestAStreamOfThePlatformIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		r := newRig(t, func(cfg *client.TransportConfig, p *platform) {
			cfg.Dead = deadCode
			p.answer = func(bool) *http.Response {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: in, ContentLength: -1}
			}
		})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://platform.test/", http.NoBody)
		resp, err := r.api.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = out.Close()
		_ = resp.Body.Close()
	})
}

func TestMistakesInATransportAreNamed(t *testing.T) {
	c := newClient(t, client.Config{Addresses: []string{"x"}})
	for want, cfg := range map[string]client.TransportConfig{
		"needs a Reader": {Name: "shop"}, "not in both": {Reader: c, Name: "shop", Query: "a", Header: "b"}, "token name": {Reader: c},
	} {
		if _, err := client.NewTransport(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
