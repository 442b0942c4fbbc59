package httpapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"freshet/coordinator"
	"freshet/coordinator/provider/wechat"
)

// upstream is WeChat as a transport: it takes down what is sent to it.
type upstream struct {
	mu     sync.Mutex
	urls   []string
	dead   map[string]bool // :: value → it is refused
	broken bool
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.urls = append(u.urls, r.Method+" "+r.URL.String())
	if u.broken {
		return nil, errors.New("no way")
	}
	body := `{"errcode":0,"errmsg":"ok"}`
	if u.dead[r.URL.Query().Get("access_token")] {
		body = `{"errcode":40001,"errmsg":"invalid credential"}`
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// newPassing is a surface before an upstream; the node holds version 7 of shop.
func newPassing(t testing.TB) (http.Handler, *wechatNode, *upstream) {
	t.Helper()
	node := newWechatNode()
	node.hold(token("shop", 7, "the-value"), token("shop/jsapi_ticket", 3, "the-ticket"))
	for _, value := range []string{"former-value", "the-value"} {
		node.values[value] = []coordinator.Name{{App: "shop", Token: "access_token"}}
	}
	node.values["the-ticket"] = []coordinator.Name{{App: "shop", Token: "jsapi_ticket"}}
	node.apps["other"] = coordinator.App{Name: "other", Provider: "oauth2"}
	node.values["other-value"] = []coordinator.Name{{App: "other", Token: "access_token"}}
	injection, err := wechat.New(wechat.Config{}).Injection(node.apps["shop"])
	if err != nil {
		t.Fatal(err)
	}
	node.injections = map[string]coordinator.Injection{"shop": injection, "other": injection}
	u := &upstream{dead: map[string]bool{}}
	h := newCompat(t, node, func(c *Config) { c.Forward.Transport = u })
	return h, node, u
}

// passed checks an answer of the platform's: to its body and headers nothing is
// added that could be taken for its own.
func passed(t testing.TB, w *httptest.ResponseRecorder, want string) {
	t.Helper()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("status %d, body %s, want %s", w.Code, w.Body, want)
	}
	if got := w.Header(); len(got.Values("Content-Type")) != 1 || len(got.Values("Cache-Control")) != 0 || len(got.Values("Freshet-Node")) != 1 {
		t.Errorf("headers %v", got)
	}
}

func TestCallsArePassedOnWithTheValueHeldNow(t *testing.T) {
	h, _, u := newPassing(t)
	for _, value := range []string{"the-value", "former-value"} {
		passed(t, keyless(t, h, "/compat/wechat/cgi-bin/user%20s/info?openid=a%2Bb&access_token="+value+"&lang=zh"), `{"errcode":0,`)
	}
	post := do(t, h, ask{method: http.MethodPost, target: "/compat/wechat/cgi-bin/menu?access_token=the-value", key: "-", body: `{}`})
	passed(t, post, `{"errcode":0,`)
	const get = "GET https://api.weixin.qq.com/cgi-bin/user%20s/info?openid=a%2Bb&lang=zh&access_token=the-value"
	want := []string{get, get, "POST https://api.weixin.qq.com/cgi-bin/menu?access_token=the-value"}
	if diff := cmp.Diff(want, u.urls); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// A copy of the value that another app holds, as one that is pushed, hinders no call.
func TestAValueThatOtherTokensHaveAsWellIsPassedOn(t *testing.T) {
	h, node, u := newPassing(t)
	node.apps["mirror"] = coordinator.App{Name: "mirror", Provider: "static"}
	node.values["the-value"] = []coordinator.Name{
		{App: "gone", Token: "access_token"},
		{App: "mirror", Token: "access_token"},
		{App: "shop", Token: "jsapi_ticket"},
		{App: "shop", Token: "access_token"},
	}
	passed(t, keyless(t, h, "/compat/wechat/cgi-bin/menu?access_token=the-value"), `{"errcode":0,`)
	if diff := cmp.Diff([]string{"GET https://api.weixin.qq.com/cgi-bin/menu?access_token=the-value"}, u.urls); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotAuthorisedByAValueIsNotPassedOn(t *testing.T) {
	h, node, u := newPassing(t)
	for name, c := range map[string]struct{ target, want string }{
		"an unknown value":           {"/cgi-bin/user/info?access_token=guess", `{"errcode":40001,`},
		"no value":                   {"/cgi-bin/user/info", `{"errcode":41001,`},
		"an empty value":             {"/cgi-bin/user/info?access_token=", `{"errcode":41001,`},
		"two values":                 {"/cgi-bin/user/info?access_token=the-value&access_token=guess", `{"errcode":40097,`},
		"the parameter capitalised":  {"/cgi-bin/user/info?Access_Token=the-value", `{"errcode":41001,`},
		"a ticket":                   {"/cgi-bin/user/info?access_token=the-ticket", `{"errcode":40001,`},
		"another platform's value":   {"/cgi-bin/user/info?access_token=other-value", `{"errcode":40001,`},
		"a client key as the value":  {"/cgi-bin/user/info?access_token=orders", `{"errcode":40097,`},
		"a client key beside it":     {"/cgi-bin/clear_quota/v2?access_token=the-value&appsecret=orders", `{"errcode":40097,`},
		"a user's code and the key":  {"/sns/jscode2session?appid=" + testAppID + "&secret=orders&js_code=c&grant_type=authorization_code", `{"errcode":40097,`},
		"a bad escape":               {"/cgi-bin/user/info?access_token=the-value&x=%zz", `{"errcode":40097,`},
		"a semicolon":                {"/cgi-bin/user/info?access_token=the-value;x=1", `{"errcode":40097,`},
		"dots":                       {"/cgi-bin/../token?access_token=the-value", `{"errcode":40097,`},
		"escaped dots":               {"/cgi-bin/%2e%2e/token?access_token=the-value", `{"errcode":40097,`},
		"dots escaped twice":         {"/cgi-bin/%252e%252e/token?access_token=the-value", `{"errcode":40097,`},
		"an empty segment":           {"//evil.example/?access_token=the-value", `{"errcode":40097,`},
		"a line break":               {"/cgi-bin/%0d%0aHost:%20evil/?access_token=the-value", `{"errcode":40097,`},
		"a backslash":                {"/cgi-bin/%5c..%5c/?access_token=the-value", `{"errcode":40097,`},
		"the token call in disguise": {"/cgi-bin/./token?access_token=the-value", `{"errcode":40097,`},
	} {
		t.Run(name, func(t *testing.T) {
			said(t, keyless(t, h, "/compat/wechat"+c.target), c.want)
		})
	}
	if w := do(t, h, ask{method: http.MethodTrace, target: "/compat/wechat/cgi-bin/user/info?access_token=the-value"}); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("TRACE: status %d", w.Code)
	}
	if len(u.urls) > 0 || len(node.calls) > 0 {
		t.Errorf("passed on: %v; done: %v", u.urls, node.calls)
	}
}

func TestACallThatCannotReachThePlatformIsBusy(t *testing.T) {
	h, node, u := newPassing(t)
	u.broken = true
	said(t, keyless(t, h, "/compat/wechat/cgi-bin/user/info?access_token=the-value"), `{"errcode":-1,"errmsg":"system error"}`)
	delete(node.injections, "shop")
	said(t, keyless(t, h, "/compat/wechat/cgi-bin/user/info?access_token=the-value"), `{"errcode":`)
	if len(u.urls) != 1 {
		t.Errorf("sent %v", u.urls)
	}
}

// A dead value that cannot be replaced in time is shown to the program, which asks
// for a token: it waits for the next one rather than to be given the same again.
func TestAProgramWhoseCallMetADeadValueWaitsForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, node, u := newPassing(t)
		node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
		u.dead["the-value"] = true
		passed(t, keyless(t, h, "/compat/wechat/cgi-bin/user/info?access_token=the-value"), `{"errcode":40001,`)
		if len(node.reported) != 1 || node.reported[0] != (coordinator.ReportCall{Version: 7, Code: "40001"}) {
			t.Errorf("reports %+v", node.reported)
		}
		began := time.Now()
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"the-value",`)
		if took := time.Since(began); took != DefaultPatience {
			t.Errorf("waited %s", took)
		}
		time.AfterFunc(time.Second, func() { node.publish(token("shop", 8, "next-value")) })
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"next-value",`)
		began = time.Now()
		said(t, keyless(t, h, tokenQuery+"orders"), `{"access_token":"next-value",`)
		if time.Since(began) != 0 {
			t.Error("waited although the next value is there")
		}
	})
}

// The API's own readers wait for nobody, whatever programs of a surface have met.
func TestReadersOfTheAPIDoNotWaitForReportsOfASurface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, node, u := newPassing(t)
		node.report = coordinator.Report{Answer: coordinator.AnswerRefreshing, After: 7}
		u.dead["the-value"] = true
		passed(t, keyless(t, h, "/compat/wechat/cgi-bin/user/info?access_token=the-value"), `{"errcode":40001,`)
		began := time.Now()
		if w := get(t, h, "/v1/tokens/shop"); w.Code != http.StatusOK || time.Since(began) != 0 {
			t.Errorf("status %d after %s", w.Code, time.Since(began))
		}
	})
}

func FuzzCarried(f *testing.F) {
	for _, seed := range []string{"access_token=the-value", "access_token=a&access_token=b", "access_token=%zz", "x=1;access_token=the-value", "access_token", "secret=orders&access_token=the-value"} {
		f.Add(seed)
	}
	node := newWechatNode()
	a, err := New(Config{Node: node, Compat: CompatConfig{Providers: []string{"wechat"}}})
	if err != nil {
		f.Fatal(err)
	}
	p := platform{API: a, provider: "wechat", dropIn: wechat.New(wechat.Config{})}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		value, err := p.carried(r)
		if err == nil && (value.IsZero() || value.Reveal() == "orders") {
			t.Errorf("%q carries %q", query, value.Reveal())
		}
		if err != nil && !errors.Is(err, coordinator.ErrInvalid) && !errors.Is(err, coordinator.ErrNoValue) {
			t.Errorf("%q: %v", query, err)
		}
	})
}
