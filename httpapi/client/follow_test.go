package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
)

const shop = "shop/access_token"

func newClient(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reader follows a stream and notes what it is told.
type reader struct {
	mu   sync.Mutex
	told []string
}

func (r *reader) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, text)
}

// take returns what was told since it was last called.
func (r *reader) take() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	told := strings.Join(r.told, ", ")
	r.told = nil
	return told
}

// follow follows until the test ends.
func follow(t *testing.T, c *client.Client, names ...string) *reader {
	t.Helper()
	r := &reader{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event, err := range c.Stream(ctx, names...) {
			r.note(describe(event, err))
		}
		r.note("over")
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return r
}

func describe(event client.Event, err error) string {
	p, refused := errors.AsType[*client.Problem](err)
	switch {
	case refused:
		return p.Code
	case err != nil:
		return "broken"
	case event.Kind == client.EventToken:
		return fmt.Sprintf("%s %d", event.Token.App, event.Token.Version)
	case event.Kind == client.EventState:
		return fmt.Sprintf("%s %d is %s", event.State.App, event.State.Version, event.State.State)
	}
	return strings.TrimSpace(event.Kind + " " + event.Name)
}

func expect(t *testing.T, r *reader, what, want string) {
	t.Helper()
	if got := r.take(); got != want {
		t.Fatalf("%s: told %q, want %q", what, got, want)
	}
}

func TestAStreamTellsWhatThereIsAndThenEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "value-1", time.Hour)
		cluster.Set("shop/jsapi_ticket", "value-2", time.Hour)
		cluster.Set("other", "value-3", time.Hour)
		r := follow(t, newClient(t, cluster.Config(cluster.StartInMemory(t))), "shop")
		expect(t, r, "snapshot", "shop 1, synced")
		cluster.Rotate("shop")
		cluster.Rotate("other")
		expect(t, r, "a new version", "shop 2")
		cluster.SetState("shop", "failing")
		expect(t, r, "a state", "shop 2 is failing")
		cluster.Expire("shop")
		expect(t, r, "the end of a life", "shop 2 is expired")
		cluster.Delete("shop")
		expect(t, r, "the end of a token", "deleted shop/access_token")
		cluster.Set("shop", "value-4", time.Hour)
		expect(t, r, "a token again", "shop 3")
		cluster.Revoke()
		expect(t, r, "the end of the key", "unauthenticated, over")
	})
}

func TestAStreamGoesOnOnTheNextNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "value-1", time.Hour)
		first, second, third := cluster.StartInMemory(t), cluster.StartInMemory(t), cluster.StartInMemory(t)
		cfg := cluster.Config(first, second, third)
		base := cfg.HTTPClient.Transport
		var from []string
		cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			from = append(from, r.Header.Get("Last-Event-ID"))
			return base.RoundTrip(r)
		})}
		r := follow(t, newClient(t, cfg))
		expect(t, r, "snapshot", "shop 1, synced")
		cluster.Rotate("shop")
		expect(t, r, "the first node", "shop 2")

		first.Stop()
		cluster.Rotate("shop") // while nobody tells us
		cluster.Set("other", "value", time.Hour)
		expect(t, r, "the first node is gone", "broken")
		time.Sleep(2 * time.Second)
		expect(t, r, "the second node", "shop 3, other 1, synced")

		second.Drain()
		cluster.Delete("other")
		time.Sleep(2 * time.Second)
		cluster.Rotate("shop")
		expect(t, r, "the third node", "deleted other/access_token, synced, shop 4")
		if got := strings.Join(from, " "); got != " 1.2 1.4" {
			t.Errorf("went on from %q", got)
		}
	})
}

func TestANodeThatLagsTakesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		first, second := cluster.StartInMemory(t), cluster.StartInMemory(t)
		cluster.Set("shop", "value-1", time.Hour)
		second.Freeze()
		time.Sleep(10 * time.Minute)
		r := follow(t, newClient(t, cluster.Config(first, second)))
		expect(t, r, "snapshot", "shop 1, synced")
		cluster.Rotate("shop")
		expect(t, r, "a new version", "shop 2")
		first.Stop()
		time.Sleep(2 * time.Second)
		expect(t, r, "the node that lags", "broken, synced")
		cluster.Rotate("shop")
		second.Thaw()
		expect(t, r, "it has caught up", "shop 3")
	})
}

func TestAStateOfANodeThatLagsIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		first, second := cluster.StartInMemory(t), cluster.StartInMemory(t)
		cluster.Set("shop", "value-1", time.Hour)
		cluster.Expire("shop")
		second.Freeze()
		cluster.Rotate("shop")
		r := follow(t, newClient(t, cluster.Config(first, second)))
		expect(t, r, "snapshot", "shop 2, synced")
		first.Stop()
		time.Sleep(2 * time.Second)
		expect(t, r, "the node that lags", "broken, synced")
	})
}

func TestACountThatBeganAnewIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "value-1", time.Hour)
		cluster.Set("shop", "value-2", time.Hour)
		cluster.Set("other", "value-3", time.Hour)
		r := follow(t, newClient(t, cluster.Config(cluster.StartInMemory(t))))
		expect(t, r, "snapshot", "shop 2, other 1, synced")
		time.Sleep(5 * time.Minute)
		cluster.BeginAnew()
		cluster.Set("shop", "value-4", time.Hour)
		time.Sleep(5 * time.Second)
		expect(t, r, "another cluster at the same address", "broken, shop 1, deleted other/access_token, synced")
	})
}

func TestWatchFollowsAClusterThatBeganAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "value-1", time.Hour)
		cluster.Set("shop", "value-2", time.Hour)
		cfg := cluster.Config(cluster.StartInMemory(t))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var got []string
		for token, err := range newClient(t, cfg).Watch(ctx, "shop", 0) {
			if err != nil {
				continue
			}
			got = append(got, token.Value)
			if len(got) == 1 {
				time.Sleep(5 * time.Minute)
				cluster.BeginAnew()
				cluster.Set("shop", "value-3", time.Hour)
			}
		}
		if want := "value-2, value-3"; strings.Join(got, ", ") != want {
			t.Errorf("told %v, want %s", got, want)
		}
	})
}

func TestAStreamLastsWhileItsNodeBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cfg := cluster.Config(cluster.StartInMemory(t))
		var opened atomic.Int32
		base := cfg.HTTPClient.Transport
		cfg.HTTPClient = &http.Client{Timeout: time.Second, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			opened.Add(1)
			return base.RoundTrip(r)
		})}
		r := follow(t, newClient(t, cfg))
		time.Sleep(time.Hour)
		expect(t, r, "an hour", "synced")
		if n := opened.Load(); n != 1 {
			t.Errorf("%d streams were opened", n)
		}
	})
}

func TestTheLoopOfAStreamCanBeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "value-1", time.Hour)
		for event, err := range newClient(t, cluster.Config(cluster.StartInMemory(t))).Stream(t.Context()) {
			if err != nil || event.Kind != client.EventToken {
				t.Errorf("told %s", describe(event, err))
			}
			break
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
