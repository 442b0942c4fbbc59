package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const key = "canary-client-key"

// node answers every request with h and counts them.
func node(t *testing.T, h http.HandlerFunc) (address string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		h(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, calls
}

func answers(version int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(Token{App: "shop", Token: "access_token", Value: "canary-value", Version: version})
	}
}

func refuses(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(Problem{Title: "No", Status: status, Code: code, Detail: "because", State: "failing"})
	}
}

// nobody is an address where no node listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func newClient(t *testing.T, addresses ...string) *Client {
	t.Helper()
	c, err := New(Config{Addresses: addresses, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheNextNodeIsAskedWhereOneIsNotThere(t *testing.T) {
	dead := nobody(t)
	going, asked := node(t, refuses(503, CodeDraining))
	alive, answered := node(t, answers(7))
	c := newClient(t, dead, going, alive)
	for range 2 {
		token, err := c.Token(t.Context(), "shop", TokenOptions{})
		if err != nil || token.Version != 7 {
			t.Fatalf("%v, %v", token, err)
		}
	}
	if asked.Load() != 1 || answered.Load() != 2 {
		t.Errorf("the draining node was asked %d times, the other %d: the one that answers is to be preferred", asked.Load(), answered.Load())
	}
}

func TestTheNextNodeIsAskedWhereOneHearsNothing(t *testing.T) {
	deaf, _ := node(t, refuses(503, CodeStale))
	hears, asked := node(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"change":"unchanged"}`)) })
	if _, err := newClient(t, deaf, hears).PutApp(t.Context(), "shop", App{Provider: "static"}, ApplyOptions{}); err != nil || asked.Load() != 1 {
		t.Errorf("error %v, the second node was asked %d times", err, asked.Load())
	}
}

func TestARefusalIsNotTakenElsewhere(t *testing.T) {
	first, _ := node(t, refuses(503, CodeNoValidToken))
	second, asked := node(t, answers(7))
	_, err := newClient(t, first, second).Token(t.Context(), "shop", TokenOptions{})
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Code != CodeNoValidToken || p.Status != 503 || p.Title != "No" || p.Detail != "because" || p.State != "failing" || p.RetryAfter != 7*time.Second {
		t.Errorf("got %+v (%v)", p, err)
	}
	if asked.Load() != 0 {
		t.Error("the second node was asked")
	}
}

func TestWhatMustHappenOnceIsNotSentTwice(t *testing.T) {
	hangUp := func(_ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	first, _ := node(t, hangUp)
	second, asked := node(t, answers(7))
	c := newClient(t, first, second)
	if _, err := c.AddClient(t.Context(), ClientBody{Name: "orders"}); err == nil || asked.Load() != 0 {
		t.Errorf("error %v, the second node was asked %d times", err, asked.Load())
	}
	if _, err := c.Token(t.Context(), "shop", TokenOptions{}); err != nil || asked.Load() != 1 {
		t.Errorf("a read: error %v, the second node was asked %d times", err, asked.Load())
	}
}

func TestRequestsSayWhatIsWanted(t *testing.T) {
	var got string
	address, _ := node(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.URL.String() + " " + r.Header.Get("Authorization")
		answers(7)(w, r)
	})
	c := newClient(t, strings.TrimPrefix(address, "http://"))
	if _, err := c.Token(t.Context(), "shop/ticket", TokenOptions{MinTTL: 5 * time.Minute, After: 6, Wait: time.Second}); err != nil {
		t.Fatal(err)
	}
	if want := "GET /v1/tokens/shop/ticket?after=6&min_ttl=5m0s&wait=1s Bearer " + key; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	for _, name := range []string{"", "/", "a/b/c", "a/", "/b"} {
		if _, err := c.Token(t.Context(), name, TokenOptions{}); err == nil {
			t.Errorf("name %q is taken", name)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	thief, asked := node(t, answers(7))
	address, _ := node(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief, http.StatusTemporaryRedirect) })
	c, err := New(Config{Addresses: []string{address}, Key: key, HTTPClient: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Token(t.Context(), "shop", TokenOptions{}); err == nil || asked.Load() != 0 {
		t.Errorf("error %v, the redirect was followed %d times", err, asked.Load())
	}
}

func TestNoErrorHoldsTheKeyOrTheAnswer(t *testing.T) {
	broken, _ := node(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("canary-value")) })
	proxy, _ := node(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "canary-value "+key, http.StatusBadGateway)
	})
	hangUp, _ := node(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, address := range []string{broken, proxy, hangUp, nobody(t)} {
		_, err := newClient(t, address).Token(t.Context(), "shop", TokenOptions{})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("error %v", err)
		}
	}
	for _, cfg := range []Config{
		{Key: key},
		{Addresses: []string{"http://x"}, Key: key + "\r\nX: y"},
		{Addresses: []string{"ftp://x"}, Key: key},
		{Addresses: []string{"http://user:" + key + "@x"}, Key: key},
		{Addresses: []string{"http://x/path"}, Key: key},
		{Addresses: []string{"http://%zz" + key}},
	} {
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%v: error %v", cfg.Addresses, err)
		}
	}
}

func TestPrintingShowsNoSecret(t *testing.T) {
	c := newClient(t, "http://x")
	var logged strings.Builder
	logger := slog.New(slog.NewTextHandler(&logged, nil))
	for _, secret := range []any{
		c,
		Token{Value: "canary-value"},
		&Token{Value: "canary-value"},
		ClientKey{Key: key},
		Credentials{"secret": "canary-secret"},
		App{Credentials: Credentials{"secret": "canary-secret"}},
		struct{ Inner Token }{Token{Value: "canary-value"}},
	} {
		logger.Info("printed", "it", secret)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			if text := fmt.Sprintf(verb, secret); strings.Contains(text, "canary") {
				t.Errorf("%T with %s: %s", secret, verb, text)
			}
		}
	}
	if strings.Contains(logged.String(), "canary") {
		t.Errorf("logged %s", logged.String())
	}
}

// script is a transport that gives one answer after the other.
type script struct {
	asked   []string
	answers []http.HandlerFunc
	wait    time.Duration // before each answer
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(s.wait) // in a bubble
	s.asked = append(s.asked, r.URL.RequestURI())
	if len(s.asked) > len(s.answers) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	s.answers[len(s.asked)-1](w, r)
	return w.Result(), nil
}

func TestWatchGoesOnWherePassingErrorsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []http.HandlerFunc{
			answers(7), refuses(503, CodeNoNewerToken), answers(7), refuses(503, CodeNoValidToken), answers(8), refuses(403, CodeForbidden), answers(9),
		}}
		c, err := New(Config{Addresses: []string{"x"}, Key: key, HTTPClient: &http.Client{Transport: s}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var got []string
		for token, err := range c.Watch(t.Context(), "shop", 0) {
			if p, ok := errors.AsType[*Problem](err); ok {
				got = append(got, p.Code)
				continue
			}
			got = append(got, fmt.Sprint(token.Version))
		}
		if want := "7 no_valid_token 8 forbidden"; strings.Join(got, " ") != want {
			t.Errorf("yielded %v, want %s", got, want)
		}
		// A refusal that came at once is not followed at once, whatever its kind.
		if took := time.Since(began); took != 14*time.Second {
			t.Errorf("took %s, want two pauses of Retry-After", took)
		}
		if last := s.asked[5]; last != "/v1/tokens/shop/access_token?after=8&wait=30s" {
			t.Errorf("asked %s", last)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Addresses: []string{"x"}, Key: key, HTTPClient: &http.Client{Transport: &script{}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for token, err := range c.Watch(ctx, "shop", 0) {
			t.Errorf("yielded %v, %v", token, err)
		}
	})
}

func TestANodeThatHangsIsLeftForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "hangs" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			w := httptest.NewRecorder()
			answers(7)(w, r)
			return w.Result(), nil
		})
		c, err := New(Config{Addresses: []string{"hangs", "answers"}, Key: key, HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		if token, err := c.Token(t.Context(), "shop", TokenOptions{Wait: 10 * time.Second}); err != nil || token.Version != 7 {
			t.Errorf("%v, %v", token, err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAPushIsTakenElsewhereAndPrintsNoValue(t *testing.T) {
	hangUp := func(_ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	first, _ := node(t, hangUp)
	var got PushBody
	var asked string
	second, _ := node(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.String()
		_ = json.NewDecoder(r.Body).Decode(&got)
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(PushAnswer{App: "shop", Token: "ticket", Version: 8, After: 7})
	})
	body := PushBody{Value: "canary-value", ExpiresIn: 60}
	answer, err := newClient(t, first, second).Push(t.Context(), "shop/ticket", body)
	if err != nil || answer.Version != 8 || answer.Name() != "shop/ticket" || asked != "PUT /v1/tokens/shop/ticket" || got.Value != "canary-value" || got.ExpiresIn != 60 || !got.ExpiresAt.IsZero() {
		t.Errorf("%s with %d: %+v, %v", asked, got.ExpiresIn, answer, err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("pushed", "body", body)
	if text := fmt.Sprintf("%v %+v %#v %s %q", body, body, body, body, &body) + logged.String(); strings.Contains(text, "canary") {
		t.Errorf("the value is printed: %s", text)
	}
}
