package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
)

// startCache runs a cache until the test ends; ended has what Run returned.
func startCache(t *testing.T, c *client.Client) (cache *client.Cache, ended <-chan error) {
	t.Helper()
	cache, err := client.NewCache(c, client.CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		over <- cache.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return cache, over
}

func mustRead(t *testing.T, from client.Reader, want int64, opts client.TokenOptions) client.Token {
	t.Helper()
	token, err := from.Token(t.Context(), "shop", opts)
	if err != nil || token.Version != want {
		t.Fatalf("read %v, %v; want version %d", token, err, want)
	}
	return token
}

func TestReadsOfAWholeCacheCostNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "value-1", time.Hour)
		cache, _ := startCache(t, newClient(t, cluster.Config(cluster.StartInMemory(t))))
		<-cache.Synced()
		time.Sleep(10 * time.Minute)
		if token := mustRead(t, cache, 1, client.TokenOptions{}); token.Value != "value-1" || token.ExpiresIn != 3000 {
			t.Errorf("value %q lives for %d s", token.Value, token.ExpiresIn)
		}
		cluster.Rotate("shop")
		synctest.Wait()
		mustRead(t, cache, 2, client.TokenOptions{MinTTL: 59 * time.Minute, After: 1})
		if all := cache.All(); len(all) != 1 || all[shop].Version != 2 {
			t.Errorf("all: %v", all)
		}
		if cluster.Reads() != 0 {
			t.Errorf("the node was asked %d times", cluster.Reads())
		}
		// What memory does not have is asked of a node.
		cluster.Hold("shop")
		go func() {
			time.Sleep(time.Second)
			cluster.Rotate("shop")
		}()
		mustRead(t, cache, 3, client.TokenOptions{After: 2, Wait: 10 * time.Second})
		cluster.Set("late", "value", time.Hour)
		if token, err := cache.Token(t.Context(), "late", client.TokenOptions{}); err != nil || token.Version != 1 {
			t.Errorf("%v, %v", token, err)
		}
	})
}

func TestACacheReadsANodeUntilItIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		cluster.Set("shop", "value-1", time.Hour)
		cache, err := client.NewCache(newClient(t, cluster.Config(cluster.StartInMemory(t))), client.CacheConfig{})
		if err != nil {
			t.Fatal(err)
		}
		mustRead(t, cache, 1, client.TokenOptions{})
		cluster.Rotate("shop")
		mustRead(t, cache, 2, client.TokenOptions{})
		if cluster.Reads() != 2 {
			t.Errorf("the node was asked %d times", cluster.Reads())
		}
	})
}

func TestTheLastValueIsServedToItsExpiryAndNotPastIt(t *testing.T) {
	for name, run := range map[string]bool{"by stream": true, "by reads alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := clienttest.New()
				cluster.Set("shop", "value-1", time.Hour)
				first, second := cluster.StartInMemory(t), cluster.StartInMemory(t)
				c := newClient(t, cluster.Config(first, second))
				cache, err := client.NewCache(c, client.CacheConfig{})
				if err != nil {
					t.Fatal(err)
				}
				if run {
					cache, _ = startCache(t, c)
					<-cache.Synced()
				}
				mustRead(t, cache, 1, client.TokenOptions{})
				first.Stop()
				second.Stop()
				for range 59 {
					time.Sleep(time.Minute)
					mustRead(t, cache, 1, client.TokenOptions{})
				}
				time.Sleep(time.Minute)
				_, err = cache.Token(t.Context(), "shop", client.TokenOptions{})
				if err == nil || !strings.HasPrefix(err.Error(), "no node answers, and the last value of shop/access_token that is known, version 1, has expired: ") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestACacheNeverGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		first, second := cluster.StartInMemory(t), cluster.StartInMemory(t)
		cluster.Set("shop", "value-1", 10*time.Hour)
		second.Freeze()
		cluster.Set("shop", "value-2", time.Hour)
		cache, err := client.NewCache(newClient(t, cluster.Config(first, second)), client.CacheConfig{})
		if err != nil {
			t.Fatal(err)
		}
		mustRead(t, cache, 2, client.TokenOptions{})
		first.Stop()
		mustRead(t, cache, 2, client.TokenOptions{}) // by a read of the node that lags
		running, _ := startCache(t, newClient(t, cluster.Config(second)))
		<-running.Synced()
		mustRead(t, running, 1, client.TokenOptions{}) // it knows no better
		if _, err := cache.Token(t.Context(), "shop", client.TokenOptions{MinTTL: 2 * time.Hour}); err == nil {
			t.Error("a value that lives too short is given out")
		}
		time.Sleep(time.Hour) // of the newer one nothing is left
		if token := mustRead(t, cache, 1, client.TokenOptions{}); token.ExpiresIn != 9*3600 {
			t.Errorf("it lives for %d s", token.ExpiresIn)
		}
	})
}

func TestACacheTellsNoValueThatTheClusterTookBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := clienttest.New()
		for _, name := range []string{"shop", "gone", "dead"} {
			cluster.Set(name, "value", time.Hour)
		}
		cache, ended := startCache(t, newClient(t, cluster.Config(cluster.StartInMemory(t))))
		<-cache.Synced()
		cluster.Delete("gone")
		cluster.Expire("dead")
		synctest.Wait()
		for name, code := range map[string]string{"gone": client.CodeUnknownToken, "dead": client.CodeNoValidToken} {
			_, err := cache.Token(t.Context(), name, client.TokenOptions{})
			if p, ok := errors.AsType[*client.Problem](err); !ok || p.Code != code {
				t.Errorf("%s: %v", name, err)
			}
		}
		cluster.Revoke()
		if p, ok := errors.AsType[*client.Problem](<-ended); !ok || p.Code != client.CodeUnauthenticated {
			t.Errorf("Run ended with %v", p)
		}
		if token, err := cache.Token(t.Context(), "shop", client.TokenOptions{}); err == nil {
			t.Errorf("read %v with a key that is worth nothing", token)
		}
	})
}

func TestNamesOfACacheAreChecked(t *testing.T) {
	c := newClient(t, client.Config{Addresses: []string{"x"}})
	for _, name := range []string{"", "a/b/c", "/a", "a,b"} {
		if _, err := client.NewCache(c, client.CacheConfig{Names: []string{name}}); err == nil {
			t.Errorf("name %q is taken", name)
		}
	}
	if _, err := client.NewCache(nil, client.CacheConfig{}); err == nil {
		t.Error("a cache without a client is made")
	}
}
