package coordinator_test

import (
	"errors"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/wechat"
	"freshet/store/memory"
)

// silent is a provider that does not say how calls carry its tokens.
type silent struct{ coordinator.Provider }

func TestInjectionIsWhatTheAppAndItsProviderSay(t *testing.T) {
	bubbleWith(t, 1, memory.Config{}, map[string]coordinator.Provider{"silent": silent{wechat.New(wechat.Config{})}}, func(c *cluster) {
		n, app := c.nodes[0], shop("stable")
		app.Upstream = "https://proxy.example.com"
		c.apply(n, app)
		got, err := n.Injection("shop")
		if err != nil || got.Base.Host != "proxy.example.com" || got.Token != coordinator.DefaultToken || got.Dead == nil {
			t.Errorf("%+v, %v", got, err)
		}
		child := coordinator.App{Name: "child", Parent: "shop", Paused: true, Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret("wx2")}}
		c.apply(n, child)
		if got, err := n.Injection("child"); err != nil || got.Base.Host != "proxy.example.com" {
			t.Errorf("what an app inherits does not count: %+v, %v", got, err)
		}
		if _, err := n.Injection("nothere"); !errors.Is(err, coordinator.ErrUnknownApp) {
			t.Errorf("an app that is not there: %v", err)
		}
		app.Name, app.Provider, app.Paused = "mute", "silent", true
		app.Credentials = map[string]coordinator.Secret{"appid": coordinator.NewSecret("wx3"), "secret": coordinator.NewSecret("x")}
		c.apply(n, app)
		if _, err := n.Injection("mute"); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("a provider that does not say how: %v", err)
		}
	})
}

func TestInjectionOfANodeThatHasReadNothingIsNotSynced(t *testing.T) {
	n, err := coordinator.New(coordinator.Config{Name: "n1", Store: memory.New(memory.Config{}).Store()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Injection("shop"); !errors.Is(err, coordinator.ErrNotSynced) {
		t.Errorf("error %v, want %v", err, coordinator.ErrNotSynced)
	}
}
