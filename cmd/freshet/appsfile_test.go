package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
)

const goodApps = `
apps:
  shop:
    provider: wechat
    upstream: http://127.0.0.1:7490
    credentials: {appid: wx0000000000000001, secret: {env: SHOP_SECRET}, zeros: 0012}
    options: {mode: plain}
    tokens: {access_token: {}, jsapi_ticket: {window: 25%, scope: "a b"}}
    refresh: {window: 30m, retry: 6s..4m, timeout: 9s, budget: 500/day}
    labels: {team: retail}
    paused: true
  kid: {parent: shop, credentials: {appid: wx0000000000000002, secret: {file: kid.secret}}}
clients:
  orders:
    key: {value: an-orders-key-of-good-length}
    can: {read: ["shop/*", "kid/**"], refresh: shop/access_token}
    note: the order service
    expires: 2030-01-01T00:00:00Z
`

func readGoodApps(t *testing.T, text, secret string) *appsFile {
	t.Helper()
	file := written(t, "apps.yaml", text)
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "kid.secret"), []byte("kid-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := readAppsFile(file, given(map[string]string{"SHOP_SECRET": secret}))
	if err := f.doc.err(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAppsFileReadsEverySetting(t *testing.T) {
	f := readGoodApps(t, goodApps, "shop-secret")
	secret := coordinator.NewSecret
	wantApps := []coordinator.App{
		{
			Name: "shop", Provider: "wechat", Upstream: "http://127.0.0.1:7490", Owner: "file:apps.yaml",
			Credentials: map[string]coordinator.Secret{"appid": secret("wx0000000000000001"), "secret": secret("shop-secret"), "zeros": secret("0012")},
			Options:     map[string]string{"mode": "plain"},
			Tokens: map[string]coordinator.TokenSettings{
				"access_token": {},
				"jsapi_ticket": {Window: coordinator.Window{Share: 0.25}, Options: map[string]string{"scope": "a b"}},
			},
			Refresh: coordinator.RefreshSettings{
				Window:   coordinator.Window{Length: 30 * time.Minute},
				RetryMin: 6 * time.Second, RetryMax: 4 * time.Minute, Timeout: 9 * time.Second, Budget: 500,
			},
			Labels: map[string]string{"team": "retail"},
			Paused: true,
		},
		{
			Name: "kid", Parent: "shop", Owner: "file:apps.yaml",
			Credentials: map[string]coordinator.Secret{"appid": secret("wx0000000000000002"), "secret": secret("kid-secret")},
		},
	}
	if diff := cmp.Diff(wantApps, f.apps, sameSecrets()); diff != "" {
		t.Errorf("apps (-want +got):\n%s", diff)
	}
	wantClients := []coordinator.Client{{
		Name: "orders", Owner: "file:apps.yaml", Note: "the order service",
		Digest:  coordinator.DigestOf(secret("an-orders-key-of-good-length")),
		Can:     map[coordinator.Verb][]string{"read": {"shop/*", "kid/**"}, "refresh": {"shop/access_token"}},
		Expires: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
	}}
	if diff := cmp.Diff(wantClients, f.clients); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
}

func TestAliasesAndMergesAreFollowed(t *testing.T) {
	f := readAppsFile(written(t, "apps.yaml", `
apps:
  one: &one
    provider: wechat
    tokens: &tokens {access_token: {}}
  two:
    <<: *one
    provider: other
    tokens: *tokens
`), given(nil))
	if err := f.doc.err(); err != nil {
		t.Fatal(err)
	}
	want := []coordinator.App{
		{Name: "one", Provider: "wechat", Owner: "file:apps.yaml", Tokens: map[string]coordinator.TokenSettings{"access_token": {}}},
		{Name: "two", Provider: "other", Owner: "file:apps.yaml", Tokens: map[string]coordinator.TokenSettings{"access_token": {}}},
	}
	if diff := cmp.Diff(want, f.apps, sameSecrets()); diff != "" {
		t.Errorf("apps (-want +got):\n%s", diff)
	}
}

func TestAliasesInACircleEnd(t *testing.T) {
	readAppsFile(written(t, "apps.yaml", "apps: &a\n  x: *a\n  <<: *a\n"), given(nil))
}

func TestHashCoversSecretsAndNotTheWayThingsAreWritten(t *testing.T) {
	text := goodApps
	hash := func(text, secret string) string {
		seed, err := readGoodApps(t, text, secret).seed()
		if err != nil {
			t.Fatal(err)
		}
		if seed.File != "apps.yaml" || len(seed.Apps) != 2 || len(seed.Clients) != 1 {
			t.Fatalf("seed of %q with %d apps and %d clients", seed.File, len(seed.Apps), len(seed.Clients))
		}
		return seed.Hash
	}
	first := hash(text, "one")
	if again := hash("# a comment\n"+strings.Replace(text, "labels: {team: retail}", "labels:\n      team: \"retail\"", 1), "one"); again != first {
		t.Error("a comment and quotes make another content")
	}
	others := map[string]string{
		"secret":  hash(text, "two"),
		"key":     hash(strings.Replace(text, "an-orders-key", "my-orders-key", 1), "one"),
		"window":  hash(strings.Replace(text, "25%", "26%", 1), "one"),
		"paused":  hash(strings.Replace(text, "paused: true", "paused: false", 1), "one"),
		"allowed": hash(strings.Replace(text, "kid/**", "kid/*", 1), "one"),
	}
	for what, other := range others {
		if other == first {
			t.Errorf("another %s makes no other content", what)
		}
	}
}

// TestNoMistakeShowsASecret damages a file in every way a slip of the finger
// can, and looks for its secrets in what people are told.
func TestNoMistakeShowsASecret(t *testing.T) {
	const text = `apps:
  shop:
    provider: wechat
    credentials: {appid: wx0000000000000001, secret: {value: CANARYcanaryCANARY}}
    tokens: {access_token: {}}
  kid:
    parent: shop
    credentials:
      secret:
        value: "CANARYcanaryCANARY"
clients:
  orders:
    key: {value: CANARYcanaryCANARY}
    can: {read: ["shop/*"]}
`
	providers := checkingProviders()
	told := 0
	for i := range text {
		for _, damaged := range []string{
			text[:i], text[:i] + text[i+1:], text[:i] + " " + text[i+1:], text[:i] + "\"" + text[i:],
			text[:i] + "[" + text[i:], text[:i] + ": " + text[i:], text[:i] + "|" + text[i:], text[:i] + "\t" + text[i:], text[:i] + "\n" + text[i:],
		} {
			f := readAppsFile(written(t, "apps.yaml", damaged), given(nil))
			f.check(providers)
			err := f.doc.err()
			if err == nil {
				continue
			}
			told++
			for _, part := range []string{"CANARY", "ANARY", "canary"} {
				if strings.Contains(err.Error(), part) {
					t.Fatalf("damaged at %d:\n%s\nthe mistake shows a secret:\n%s", i, damaged, err)
				}
			}
		}
	}
	if told < 1000 {
		t.Errorf("only %d damaged files were found wrong", told)
	}
}
