package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// hostileToSurfaces are requests of the worst kind, with the beginning of what
// refuses each: a body, or nothing where the status says it all.
func hostileToSurfaces() map[string]struct {
	raw    string
	status int
	body   string
} {
	const head = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	get := func(target string) string { return "GET " + target + head + "\r\n" }
	post := func(target, media, body string) string {
		return fmt.Sprintf("POST %s%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", target, head, media, len(body), body)
	}
	const user, form = "/compat/wechat/cgi-bin/user/info", "application/x-www-form-urlencoded"
	type refusal = struct {
		raw    string
		status int
		body   string
	}
	return map[string]refusal{
		"line break in a path":    {get("/compat/wechat/cgi-bin/a%0d%0aSet-Cookie:%20a=b?access_token=the-value"), 200, `{"errcode":40097,`},
		"line break in a value":   {get(user + "?access_token=the-value%0d%0aX:y"), 200, `{"errcode":40001,`},
		"line break in a query":   {get(user + "?access_token=the-value&a=b%0d%0aX:y"), 200, `{"errcode":0,`}, // escaped, it is only a text
		"nul":                     {get("/compat/wechat/cgi-bin/%00?access_token=the-value"), 200, `{"errcode":40097,`},
		"climbing":                {get("/compat/wechat/../../v1/tokens/shop?access_token=the-value"), 200, `{"errcode":40097,`},
		"climbing within":         {get("/compat/wechat/cgi-bin/../../?access_token=the-value"), 200, `{"errcode":40097,`},
		"another host":            {get("http://evil.example/compat/wechat/cgi-bin/user/info?access_token=the-value"), 200, `{"errcode":0,`}, // goes to the app's own
		"no surface":              {get("/compat/"), 404, ""},
		"unknown surface":         {get("/compat/wecom/cgi-bin/gettoken?corpid=a&corpsecret=orders"), 404, ""},
		"surface without a slash": {get("/compat/wechat?access_token=the-value"), 404, ""},
		"in other case":           {get("/compat/WeChat/cgi-bin/user/info?access_token=the-value"), 404, ""},
		"method":                  {"BREW " + user + "?access_token=the-value" + head + "\r\n", 405, ""},
		"trace":                   {"TRACE " + user + "?access_token=the-value" + head + "\r\n", 405, ""},
		"connect":                 {"CONNECT " + user + "?access_token=the-value" + head + "\r\n", 405, ""},
		"long query":              {get(user + "?access_token=the-value&a=" + strings.Repeat("b", 32<<10)), 431, ""},
		"token call in a body":    {post("/compat/wechat/cgi-bin/token", form, "grant_type=client_credential&appid="+testAppID+"&secret=orders"), 200, `{"errcode":43001,`},
		"deep JSON":               {post("/compat/wechat/cgi-bin/stable_token", "application/json", `{"appid":`+strings.Repeat("[", 30000)), 200, `{"errcode":47001,`},
		"too large JSON":          {post("/compat/wechat/cgi-bin/stable_token", "application/json", `{"appid":"`+strings.Repeat("a", 70<<10)+`"}`), 200, `{"errcode":47001,`},
		"half a body":             {"POST /compat/oauth2/token" + head + "Content-Type: " + form + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ngrant\r\nzz\r\n", 400, `{"error":"invalid_request"`},
		"below the token":         {post("/compat/oauth2/token/", form, "grant_type=client_credentials"), 404, ""},
		"escaped slash in a hub":  {get("/compat/hub/shop%2Faccess_token"), 404, ""},
		"dots in a hub":           {get("/compat/hub/%2e%2e/access_token"), 401, `{"error":401,`},
	}
}

func TestHostileCallsOfSurfacesChangeNothing(t *testing.T) {
	h, node, u := newPassing(t)
	address := listen(t, h)
	for name, c := range hostileToSurfaces() {
		t.Run(name, func(t *testing.T) {
			got := send(t, address, c.raw)
			if got.status != c.status || !strings.HasPrefix(got.body, c.body) {
				t.Errorf("status %d, %.200s, want %d %s", got.status, got.body, c.status, c.body)
			}
			if got.header.Get("Set-Cookie") != "" || got.header.Get("Location") != "" || got.header.Get("X") != "" {
				t.Errorf("headers %v", got.header)
			}
			if strings.Contains(got.body, "the-value") {
				t.Error("the answer holds the value")
			}
		})
	}
	if len(node.calls) > 0 {
		t.Errorf("hostile calls did %v", node.calls)
	}
	for _, sent := range u.urls {
		if !strings.HasPrefix(sent, http.MethodGet+" https://api.weixin.qq.com/cgi-bin/user/info?") {
			t.Errorf("sent %s", sent)
		}
	}
}
