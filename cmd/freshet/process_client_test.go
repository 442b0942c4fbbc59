//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

// followed is what a program was told of shop's access_token.
type followed struct {
	mu       sync.Mutex
	versions []int64
}

func (f *followed) told() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.versions)
}

// follow lets a program follow nodes until the test ends.
func follow(t *testing.T, c *client.Client) *followed {
	t.Helper()
	f := &followed{}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		for event, err := range c.Stream(ctx, "shop/*") {
			if err == nil && event.Kind == client.EventToken {
				f.mu.Lock()
				f.versions = append(f.versions, event.Token.Version)
				f.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	return f
}

// TestAProgramHealsAndFollowsOverTheDeathOfItsNode uses the Go client as a
// program does: a copy of the tokens, a transport over it, three nodes.
func TestAProgramHealsAndFollowsOverTheDeathOfItsNode(t *testing.T) {
	r := startRig(t, 3*time.Second, 3)
	r.register(t, sandbox.App{AppID: shopID})
	held := r.apply(t, "shop", r.shop(shopID))
	leader, others := r.refresher(t)
	c, err := client.New(client.Config{Addresses: []string{others[0].api, others[1].api, leader.api}, Key: bootstrapKey})
	if err != nil {
		t.Fatal(err)
	}
	stream := follow(t, c)
	knows := func(want ...int64) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			if got := stream.told(); !slices.Equal(got, want) {
				return fmt.Errorf("told versions %v, want %v", got, want)
			}
			return nil
		})
	}
	knows(1)

	// The platform refuses the value in the middle of many calls.
	api := &http.Client{Transport: newHealingTransport(t, c)}
	if !r.box.KillToken(held.Value) {
		t.Fatal("the value did not live")
	}
	var calling sync.WaitGroup
	for range 20 {
		calling.Go(func() {
			if err := callPlatform(t.Context(), api, r.boxAt); err != nil {
				t.Error(err)
			}
		})
	}
	calling.Wait()
	knows(1, 2)
	if issued := r.calls(shopID).Issued[sandbox.LinePlain]; issued != 2 {
		t.Errorf("%d values were issued, want the first and one more", issued)
	}

	// The node that tells us dies, and the next version comes while nobody does.
	others[0].kill()
	leader.ask(t)
	knows(1, 2, 3)
	if err := callPlatform(t.Context(), api, r.boxAt); err != nil {
		t.Error(err)
	}
}

func newHealingTransport(t *testing.T, c *client.Client) *client.Transport {
	t.Helper()
	cache, err := client.NewCache(c, client.CacheConfig{Names: []string{"shop"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = cache.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	transport, err := client.NewTransport(client.TransportConfig{
		Reader: cache, Name: "shop", Query: "access_token",
		Dead: func(_ int, _ http.Header, body []byte) (string, bool) {
			return "40001", strings.Contains(string(body), `"errcode":40001`)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

// callPlatform makes a call that only a living token passes.
func callPlatform(ctx context.Context, api *http.Client, platform string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, platform+"/cgi-bin/getcallbackip", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := api.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), `"errcode":0`) {
		return errors.New("the platform answered " + string(text))
	}
	return nil
}
