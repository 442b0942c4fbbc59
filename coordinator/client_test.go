package coordinator_test

import (
	"errors"
	"testing"
	"time"

	"freshet/coordinator"
)

func TestPermissionsAreDeniedByDefault(t *testing.T) {
	name := func(s string) coordinator.Name {
		n, err := coordinator.ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tests := []struct {
		glob, name string
		want       bool
	}{
		{"shop/access_token", "shop/access_token", true},
		{"shop/access_token", "shop/jsapi_ticket", false},
		{"shop/*", "shop/jsapi_ticket", true},
		{"shop/*", "shop2/access_token", false},
		{"shop*/*", "shop2/access_token", true},
		{"*", "shop/access_token", false}, // stays within one segment
		{"*/access_token", "shop/access_token", true},
		{"**", "shop/access_token", true},
		{"shop**", "shop-eu/access_token", true},
		{"**/access_token", "shop/access_token", true},
		{"**ticket", "shop/jsapi_ticket", true},
		{"**ticket", "shop/access_token", false},
		{"", "shop/access_token", false},
		{"[", "shop/access_token", false},
	}
	for _, tt := range tests {
		client := coordinator.Client{Can: map[coordinator.Verb][]string{coordinator.VerbRead: {tt.glob}}}
		if got := client.May(coordinator.VerbRead, name(tt.name)); got != tt.want {
			t.Errorf("%q on %s: %t", tt.glob, tt.name, got)
		}
		for _, verb := range coordinator.Verbs() {
			if verb != coordinator.VerbRead && client.May(verb, name(tt.name)) {
				t.Errorf("%q grants %s too", tt.glob, verb)
			}
		}
	}
	if (coordinator.Client{}).May(coordinator.VerbRead, name("shop")) {
		t.Error("nobody may read")
	}
}

func TestClientKeys(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		key := coordinator.NewSecret("a-client-key-of-some-length")
		orders := coordinator.Client{Name: "orders", Digest: coordinator.DigestOf(key), Can: map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*"}}, Expires: time.Now().Add(time.Hour)}
		c.must(c.nodes[0].AddClient(c.Context(), orders))
		if err := c.nodes[0].AddClient(c.Context(), orders); !errors.Is(err, coordinator.ErrClientExists) {
			c.Errorf("added twice: %v", err)
		}
		time.Sleep(time.Second)
		if known, ok := c.nodes[1].Authenticate(key); !ok || known.Name != "orders" {
			c.Errorf("on the other node: %q, %t", known.Name, ok)
		}
		for _, wrong := range []coordinator.Secret{{}, coordinator.NewSecret("wrong"), coordinator.NewSecret("a-client-key-of-some-lengt")} {
			if _, ok := c.nodes[1].Authenticate(wrong); ok {
				c.Error("a wrong key was taken")
			}
		}
		time.Sleep(time.Hour)
		if _, ok := c.nodes[1].Authenticate(key); ok {
			c.Error("an expired key was taken")
		}
		c.must(c.nodes[1].RemoveClient(c.Context(), "api:test", "orders"))
		if err := c.nodes[1].RemoveClient(c.Context(), "api:test", "orders"); !errors.Is(err, coordinator.ErrUnknownClient) {
			c.Errorf("removed twice: %v", err)
		}
		for _, bad := range []coordinator.Client{
			{Name: "no key"},
			{Name: "nokey"},
			{Name: coordinator.BootstrapName, Digest: coordinator.DigestOf(key)},
			{Name: "x", Digest: coordinator.DigestOf(key), Can: map[coordinator.Verb][]string{"rule": {"**"}}},
			{Name: "x", Digest: coordinator.DigestOf(key), Can: map[coordinator.Verb][]string{coordinator.VerbRead: {"["}}},
		} {
			if err := c.nodes[0].AddClient(c.Context(), bad); !errors.Is(err, coordinator.ErrInvalid) {
				c.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{"shop": "shop/access_token", "shop/jsapi_ticket": "shop/jsapi_ticket", "a.b-c_1/x": "a.b-c_1/x"} {
		if got, err := coordinator.ParseName(in); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "/", "shop/", "/x", "a/b/c", "../x", ".x", "a b", "a\r\nb", "shöp", "-x"} {
		if got, err := coordinator.ParseName(in); err == nil {
			t.Errorf("%q is taken as %v", in, got)
		}
	}
}

func TestAppInheritsWhatItLeavesOpen(t *testing.T) {
	parent := coordinator.App{
		Name: "p", Provider: "wechat", Upstream: "https://up", Options: map[string]string{"mode": "plain", "x": "1"},
		Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret("ps")},
		Tokens:      map[string]coordinator.TokenSettings{"access_token": {}},
		Refresh:     coordinator.RefreshSettings{Window: coordinator.Window{Length: time.Minute}, Timeout: 3 * time.Second},
	}
	child := coordinator.App{Name: "c", Parent: "p", Options: map[string]string{"x": "2"}, Refresh: coordinator.RefreshSettings{Timeout: time.Second}}
	got := child.Inherit(parent).WithDefaults()
	if got.Provider != "wechat" || got.Upstream != "https://up" || got.Options["mode"] != "plain" || got.Options["x"] != "2" ||
		got.Credentials["secret"].Reveal() != "ps" || got.Refresh.Timeout != time.Second || got.Refresh.Window.Length != time.Minute ||
		got.Refresh.RetryMin != coordinator.DefaultRetryMin || len(got.Tokens) != 1 {
		t.Errorf("%+v", got)
	}
	if parent.Options["x"] != "1" {
		t.Error("the parent was changed")
	}
}
