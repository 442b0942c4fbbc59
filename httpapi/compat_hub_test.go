package httpapi

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"freshet/coordinator"
)

// hubAsk asks a hub for an entry, as feng19/wechat's storage for hub clients does.
func hubAsk(entry, key string) ask {
	q := ask{method: http.MethodGet, target: "/compat/hub/" + entry, key: "-"}
	if key != "" {
		q.header = http.Header{"Authorization": {basicAuth("hub", key)}}
	}
	return q
}

func hubNode() *wechatNode {
	node := newWechatNode()
	node.hold(token("shop", 7, "the-value"), token("shop/jsapi_ticket", 3, "the-ticket"), token("crm", 1, "crm-value"))
	node.apps["crm"] = wechatApp("crm", "access_token")
	node.identities["wechat:wx2:plain"] = "crm"
	return node
}

func TestTheHubAnswersAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := hubNode()
		h := newCompat(t, node)
		view, _ := node.View(coordinator.Name{App: "shop", Token: "access_token"})
		expires := strconv.FormatInt(view.Token.Expires.Unix(), 10)
		for entry, value := range map[string]string{
			testAppID + "/access_token":  "the-value",
			testAppID + "/js_api_ticket": "the-ticket",
			"shop/access_token":          "the-value",
			"shop/js_api_ticket":         "the-ticket",
		} {
			want := `{"error":0,"store_map":{"value":"` + value + `","expired_time":` + expires + "}}\n"
			if w := do(t, h, hubAsk(entry, "orders")); w.Code != http.StatusOK || w.Body.String() != want {
				t.Errorf("%s: status %d, %s, want %s", entry, w.Code, w.Body, want)
			}
		}
		bearer := hubAsk(testAppID+"/access_token", "")
		bearer.key = "orders"
		if w := do(t, h, bearer); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "the-value") {
			t.Errorf("with our own header: status %d, %s", w.Code, w.Body)
		}
	})
}

func TestTheHubShowsNothingElse(t *testing.T) {
	node := hubNode()
	node.hold(token("shop/authorizer_refresh_token", 1, "secret"), token("shop/wx_card_ticket", 1, "secret"))
	node.apps["shop"] = wechatApp("shop", "access_token", "jsapi_ticket", "authorizer_refresh_token")
	h := newCompat(t, node)
	for name, c := range map[string]struct {
		ask    ask
		status int
		code   string
	}{
		"an app of others":         {hubAsk("wx2/access_token", "orders"), 200, `{"error":404,`},
		"an unknown app":           {hubAsk("wx9/access_token", "orders"), 200, `{"error":404,`},
		"our name of a token":      {hubAsk("shop/jsapi_ticket", "orders"), 200, `{"error":404,`},
		"a refresh token":          {hubAsk("shop/authorizer_refresh_token", "orders"), 200, `{"error":404,`},
		"a token that is not kept": {hubAsk("shop/wx_card_ticket", "orders"), 200, `{"error":404,`},
		"a name that is no name":   {hubAsk("sh%20op/access_token", "orders"), 200, `{"error":404,`},
		"no key":                   {hubAsk("shop/access_token", ""), 401, `{"error":401,`},
		"a wrong key":              {hubAsk("shop/access_token", "wrong"), 401, `{"error":401,`},
		"a key too long":           {hubAsk("shop/access_token", strings.Repeat("k", maxKey+1)), 401, `{"error":401,`},
	} {
		w := do(t, h, c.ask)
		if w.Code != c.status || !strings.HasPrefix(w.Body.String(), c.code) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: status %d, %s, want %d %s", name, w.Code, w.Body, c.status, c.code)
		}
		if (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401) {
			t.Errorf("%s: WWW-Authenticate %q", name, w.Header().Get("WWW-Authenticate"))
		}
	}
	node.health.Synced = false
	if w := do(t, h, hubAsk("shop/access_token", "unknown")); w.Code != http.StatusServiceUnavailable {
		t.Errorf("before the keys are known: status %d", w.Code)
	}
	if len(node.calls) > 0 {
		t.Errorf("refused calls did %v", node.calls)
	}
}
