package store

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
)

func TestKeysAreTheDocumentedOnes(t *testing.T) {
	k := newKeys("/freshet/")
	got := map[string]string{}
	for _, r := range samples() {
		key := k.of(r)
		section, _, _ := strings.Cut(strings.TrimPrefix(key, "/freshet/v1/"), "/")
		if section == "sys" {
			section = key
		}
		got[section] = key
	}
	want := map[string]string{
		"apps":                        "/freshet/v1/apps/shop",
		"credentials":                 "/freshet/v1/credentials/shop",
		"grants":                      "/freshet/v1/grants/shop",
		"states":                      "/freshet/v1/states/shop/access_token",
		"tokens":                      "/freshet/v1/tokens/shop/access_token",
		"intents":                     "/freshet/v1/intents/shop/access_token",
		"salvage":                     "/freshet/v1/salvage/shop/access_token/a2",
		"requests":                    "/freshet/v1/requests/shop/access_token",
		"inputs":                      "/freshet/v1/inputs/shop/access_token",
		"budgets":                     "/freshet/v1/budgets/shop/2026-11-22/token",
		"clients":                     "/freshet/v1/clients/orders",
		"audit":                       "/freshet/v1/audit/01JFRESHET0000000000000001",
		"/freshet/v1/sys/nodes/n1":    "/freshet/v1/sys/nodes/n1",
		"/freshet/v1/sys/heartbeat":   "/freshet/v1/sys/heartbeat",
		"/freshet/v1/sys/epoch":       "/freshet/v1/sys/epoch",
		"/freshet/v1/sys/paused":      "/freshet/v1/sys/paused",
		"/freshet/v1/sys/fingerprint": "/freshet/v1/sys/fingerprint",
		"/freshet/v1/sys/applied//etc/freshet/apps.yaml": "/freshet/v1/sys/applied//etc/freshet/apps.yaml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestASlashInANameMakesNoOtherKey(t *testing.T) {
	k := newKeys("/p")
	for _, r := range []coordinator.Record{
		coordinator.Salvage{App: "a", Group: "g/h", Attempt: "x/y"},
		coordinator.Intent{App: "a/b", Group: "g"},
		coordinator.Budget{App: "a%2Fb", Window: "d/w"},
	} {
		got, ok := k.identify(k.of(r))
		if diff := cmp.Diff(r, got); !ok || diff != "" {
			t.Errorf("%s (-kept +identified):\n%s", k.of(r), diff)
		}
	}
	one, other := k.salvage("a", "g/h", "x"), k.salvage("a", "g", "h/x")
	if one == other {
		t.Errorf("two results are kept under one key %s", one)
	}
}

func TestKeysWithoutARecordIdentifyNothing(t *testing.T) {
	k := newKeys("/p")
	for _, key := range []string{
		"", "/", "/p/v1/", "/q/v1/apps/a", "/p/v1/apps/", "/p/v1/grants/", "/p/v1/apps", k.schema(), k.changed(), k.candidates() + "694d", k.election(),
		"/p/v1/states/a", "/p/v1/states/a/", "/p/v1/states//t", "/p/v1/inputs/a", "/p/v1/salvage/a/g", "/p/v1/salvage/a/g/", "/p/v1/salvage/%zz/g/x",
		"/p/v1/sys/nodes/", "/p/v1/newer/a/b", "/p/v1/newer/a", "/p/v1/audit/", "/p/v2/apps/a",
	} {
		if r, ok := k.identify(key); ok {
			t.Errorf("%q identifies %+v", key, r)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	k := newKeys("/p")
	for _, r := range samples() {
		f.Add(k.of(r))
	}
	f.Fuzz(func(t *testing.T, key string) {
		if r, ok := k.identify(key); ok && k.of(r) == "" {
			t.Errorf("%q identifies %+v, which has no key", key, r)
		}
	})
}
