package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
)

const tokenQuery = "/compat/wechat/cgi-bin/token?grant_type=client_credential&appid=" + testAppID + "&secret="

func stableBody(id, key, more string) ask {
	return ask{
		method: http.MethodPost, target: "/compat/wechat/cgi-bin/stable_token", key: "-",
		body: `{"grant_type":"client_credential","appid":"` + id + `","secret":"` + key + `"` + more + `}`,
	}
}

// keyless is a call as programs make it: without our header.
func keyless(t testing.TB, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, ask{method: http.MethodGet, target: target, key: "-"})
}

// said checks status and body of a platform's answer.
func said(t testing.TB, w *httptest.ResponseRecorder, want string) {
	t.Helper()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("status %d, body %s, want %s", w.Code, w.Body, want)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

func TestWeChatTokenCallsGetTheValueHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newWechatNode()
		node.hold(token("shop", 7, "the-value"), token("shop/jsapi_ticket", 3, "the-ticket"))
		node.values["the-value"] = []coordinator.Name{{App: "shop", Token: "access_token"}}
		h := newCompat(t, node)
		const want = `{"access_token":"the-value","expires_in":7140}`
		said(t, keyless(t, h, tokenQuery+"orders"), want)
		said(t, do(t, h, stableBody(testAppID, "orders", "")), want)
		said(t, do(t, h, stableBody("shop", "orders", "")), want) // by our own name
		said(t, keyless(t, h, "/compat/wechat/cgi-bin/ticket/getticket?type=jsapi&access_token=the-value"),
			`{"errcode":0,"errmsg":"ok","ticket":"the-ticket","expires_in":7140}`)
		time.Sleep(90 * time.Second)
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"the-value","expires_in":7050}`)
		if len(node.calls) > 0 {
			t.Errorf("reads did %v", node.calls)
		}
	})
}

func TestWeChatTokenCallsAreRefusedByDefault(t *testing.T) {
	node := newWechatNode()
	node.hold(token("shop", 7, "the-value"), token("shop/jsapi_ticket", 3, "the-ticket"), token("crm", 1, "crm-value"))
	node.apps["crm"] = wechatApp("crm", "access_token")
	node.apps["other"] = coordinator.App{Name: "other", Provider: "oauth2", Tokens: map[string]coordinator.TokenSettings{"access_token": {}}}
	node.hold(token("other", 1, "other-value"))
	node.identities["wechat:wx2:plain"] = "crm"
	node.values["crm-value"] = []coordinator.Name{{App: "crm", Token: "access_token"}}
	node.values["the-ticket"] = []coordinator.Name{{App: "shop", Token: "jsapi_ticket"}}
	node.values["other-value"] = []coordinator.Name{{App: "other", Token: "access_token"}}
	node.person("nobody", nil)
	node.person("tickets", map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/jsapi_ticket"}})
	node.person("refreshes", map[coordinator.Verb][]string{coordinator.VerbRefresh: {"**"}, coordinator.VerbAdmin: {"**"}})
	node.person("all", map[coordinator.Verb][]string{coordinator.VerbRead: {"**"}})
	h := newCompat(t, node)
	const ticket = "/compat/wechat/cgi-bin/ticket/getticket?type=jsapi&access_token="
	for name, c := range map[string]struct {
		ask  ask
		want string
	}{
		"a wrong key":                   {ask{target: tokenQuery + "wrong"}, `{"errcode":40125,`},
		"a wrong key for an unknown id": {stableBody("wx9", "wrong", ""), `{"errcode":40125,`}, // not told apart
		"a key too long":                {stableBody(testAppID, strings.Repeat("k", maxKey+1), ""), `{"errcode":40125,`},
		"an unknown id":                 {stableBody("wx9", "orders", ""), `{"errcode":40013,`},
		"an app of others":              {stableBody("wx2", "orders", ""), `{"errcode":40013,`},
		"an app of others by its name":  {stableBody("crm", "orders", ""), `{"errcode":40013,`},
		"a client that may nothing":     {ask{target: tokenQuery + "nobody"}, `{"errcode":40013,`},
		"a client with other verbs":     {ask{target: tokenQuery + "refreshes"}, `{"errcode":40013,`},
		"a client of another token":     {ask{target: tokenQuery + "tickets"}, `{"errcode":40013,`},
		"an app of another platform":    {stableBody("other", "all", ""), `{"errcode":40013,`},
		"a name that is no name":        {stableBody("../shop", "orders", ""), `{"errcode":40013,`},
		"our header instead of a key":   {ask{target: tokenQuery, key: rootKey}, `{"errcode":41004,`},
		"a ticket by an unknown value":  {ask{target: ticket + "guess"}, `{"errcode":40001,`},
		"a ticket by a ticket":          {ask{target: ticket + "the-ticket"}, `{"errcode":40001,`},
		"a ticket by another platform":  {ask{target: ticket + "other-value"}, `{"errcode":40001,`},
		"a ticket that is not kept":     {ask{target: ticket + "crm-value"}, `{"errcode":48001,`},
		"a body too large":              {stableBody(testAppID, "orders", `,"more":"`+strings.Repeat("a", maxBody)+`"`), `{"errcode":47001,`},
	} {
		t.Run(name, func(t *testing.T) {
			c.ask.method, c.ask.key = firstOf(c.ask.method, http.MethodGet), firstOf(c.ask.key, "-")
			said(t, do(t, h, c.ask), c.want)
		})
	}
	if len(node.calls) > 0 {
		t.Errorf("refused calls did %v", node.calls)
	}
}

func firstOf(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

func TestOneIDOnBothLinesIsToldApartByTheCall(t *testing.T) {
	node := newWechatNode()
	node.identities["wechat:"+testAppID+":plain"] = "till"
	node.apps["till"] = wechatApp("till", "access_token")
	node.hold(token("shop", 1, "stable-value"), token("till", 1, "plain-value"))
	node.person("both", map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*", "till/*"}})
	node.apps[testAppID] = wechatApp(testAppID, "access_token")
	node.person("named", map[coordinator.Verb][]string{coordinator.VerbRead: {"**"}})
	h := newCompat(t, node)
	said(t, keyless(t, h, tokenQuery+"both"), `{"access_token":"plain-value",`)
	said(t, do(t, h, stableBody(testAppID, "both", "")), `{"access_token":"stable-value",`)
	said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"stable-value",`) // the other is not there for it
	said(t, do(t, h, stableBody(testAppID, "named", "")), `{"errcode":40097,`)
}

func TestAForcedCallIsAReportAndNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newWechatNode()
		node.hold(token("shop", 7, "dead"))
		node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
		h := newCompat(t, node)
		time.AfterFunc(time.Second, func() { node.publish(token("shop", 8, "new")) })
		said(t, do(t, h, stableBody(testAppID, "orders", `,"force_refresh":true`)), `{"access_token":"new",`)
		if len(node.reported) != 1 || node.reported[0] != (coordinator.ReportCall{Version: 7, Code: codeForced}) || len(node.refreshed) > 0 {
			t.Errorf("reports %+v, refreshes %+v", node.reported, node.refreshed)
		}
	})
}

func TestForcedCallsAreLimitedAndStillAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newWechatNode()
		node.hold(token("shop", 7, "alive"))
		node.report = coordinator.Report{Answer: coordinator.AnswerAlive, After: 7}
		h := newCompat(t, node)
		for range 3 * reportBurst {
			said(t, do(t, h, stableBody(testAppID, "orders", `,"force_refresh":true`)), `{"access_token":"alive",`)
		}
		if len(node.reported) != reportBurst {
			t.Errorf("%d reports, want %d", len(node.reported), reportBurst)
		}
	})
}

func TestAProgramThatAsksAgainAfterAForcedCallWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newWechatNode()
		node.hold(token("shop", 7, "dead"))
		node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
		node.person("other", map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*"}})
		h := newCompat(t, node)
		took := func(w func() *httptest.ResponseRecorder) time.Duration {
			began := time.Now()
			said(t, w(), `{"access_token":"dead",`)
			return time.Since(began)
		}
		forced := took(func() *httptest.ResponseRecorder {
			return do(t, h, stableBody(testAppID, "orders", `,"force_refresh":true`))
		})
		again := took(func() *httptest.ResponseRecorder { return keyless(t, h, tokenQuery+"orders") })
		other := took(func() *httptest.ResponseRecorder { return keyless(t, h, tokenQuery+"other") })
		if forced != DefaultPatience || again != DefaultPatience || other != 0 {
			t.Errorf("waited %s, %s, and somebody else %s", forced, again, other)
		}
	})
}

func TestTheFloorAsksForALongerLifeOnceForEachVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newWechatNode()
		node.hold(token("shop", 7, "short"))
		h := newCompat(t, node, func(c *Config) { c.Compat.MinExpiresIn = 3 * time.Hour })
		began := time.Now()
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"short","expires_in":7138}`) // the truth, after a moment
		if took := time.Since(began); took != DefaultPatience {
			t.Errorf("waited %s", took)
		}
		for range 20 {
			said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"short","expires_in":7138}`)
		}
		if time.Since(began) != DefaultPatience || len(node.refreshed) != 1 || node.refreshed[0].Force {
			t.Errorf("after %s: %+v", time.Since(began), node.refreshed)
		}
		node.publish(token("shop", 8, "next"))
		time.AfterFunc(time.Second, func() {
			long := token("shop", 9, "long")
			long.Token.Expires = time.Now().Add(4 * time.Hour)
			node.publish(long)
		})
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"long","expires_in":14400}`)
		if len(node.refreshed) != 2 {
			t.Errorf("refreshes %+v", node.refreshed)
		}
	})
}

func TestAValueAboveTheFloorIsHandedOutAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newWechatNode()
		node.hold(token("shop", 7, "v"))
		h := newCompat(t, node, func(c *Config) { c.Compat.MinExpiresIn = 1500 * time.Second })
		began := time.Now()
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"v","expires_in":7140}`)
		if time.Since(began) != 0 || len(node.calls) > 0 {
			t.Errorf("took %s, did %v", time.Since(began), node.calls)
		}
	})
}

func TestAnAppWithoutAValueIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newWechatNode()
		pending := token("shop", 0, "")
		pending.Token = nil
		node.hold(pending)
		h := newCompat(t, node)
		said(t, keyless(t, h, tokenQuery+"orders"), `{"errcode":-1,"errmsg":"system error, hint: [the token has no value yet]"}`)
		time.AfterFunc(time.Second, func() { node.publish(token("shop", 1, "first")) })
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"first",`)
		node.health.Synced = false
		said(t, keyless(t, h, tokenQuery+"unknown"), `{"errcode":-1,`) // the keys are not known here yet
	})
}

func TestASurfaceCanBeTheRootOfAListener(t *testing.T) {
	node := newWechatNode()
	node.hold(token("shop", 7, "the-value"))
	a, err := New(Config{Node: node, Compat: CompatConfig{Providers: []string{"wechat"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := a.SurfaceHandler("wechat")
	said(t, keyless(t, h, strings.TrimPrefix(tokenQuery, "/compat/wechat")+"orders"), `{"access_token":"the-value",`)
	if w := get(t, h, "/v1/tokens/shop"); strings.Contains(w.Body.String(), "the-value") {
		t.Errorf("the API is on the listener of a surface: %s", w.Body)
	}
}

func TestASurfaceNeedsItsProvider(t *testing.T) {
	if _, err := New(Config{Node: newFake(), Compat: CompatConfig{Providers: []string{"wechat"}}}); err == nil || !strings.Contains(err.Error(), `"wechat"`) {
		t.Errorf("got %v", err)
	}
}
