package httpapi

import (
	"net/http"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/wechat"
)

func (f *fakeNode) DropIn(string) (coordinator.DropIn, bool) { return nil, false }
func (f *fakeNode) Identified(string) (string, bool)         { return "", false }

func (f *fakeNode) Recognize(coordinator.Secret) []coordinator.Name { return nil }

// wechatNode is a fakeNode with WeChat's drop-in surface.
type wechatNode struct {
	*fakeNode

	identities map[string]string             // :: identity → app
	values     map[string][]coordinator.Name // :: value → its tokens
}

const testAppID = "wx0000000000000001"

// newWechatNode has the app shop, of the stable line, which the key "orders" may read.
func newWechatNode() *wechatNode {
	n := &wechatNode{
		fakeNode:   newFake().root(),
		identities: map[string]string{"wechat:" + testAppID + ":stable": "shop"},
		values:     map[string][]coordinator.Name{},
	}
	n.apps["shop"] = wechatApp("shop", "access_token", "jsapi_ticket")
	n.person("orders", map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*"}})
	return n
}

func wechatApp(name string, tokens ...string) coordinator.App {
	app := coordinator.App{Name: name, Provider: "wechat", Tokens: map[string]coordinator.TokenSettings{}}
	for _, token := range tokens {
		app.Tokens[token] = coordinator.TokenSettings{}
	}
	return app
}

func (n *wechatNode) DropIn(provider string) (coordinator.DropIn, bool) {
	return wechat.New(wechat.Config{}), provider == "wechat"
}

func (n *wechatNode) Identified(identity string) (string, bool) {
	app, ok := n.identities[identity]
	return app, ok
}

func (n *wechatNode) Recognize(value coordinator.Secret) []coordinator.Name {
	return n.values[value.Reveal()]
}

// newCompat builds an API with WeChat's surface.
func newCompat(t testing.TB, node Node, change ...func(*Config)) http.Handler {
	t.Helper()
	c := Config{Node: node, Compat: CompatConfig{Providers: []string{"wechat"}}}
	for _, f := range change {
		f(&c)
	}
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a.Handler()
}
