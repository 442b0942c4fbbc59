package wechat

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"freshet/coordinator"
)

func TestBusinessCallsCarryTheTokenInTheQuery(t *testing.T) {
	p := New(Config{})
	for upstream, base := range map[string]string{
		"":                           DefaultUpstream,
		"http://127.0.0.1:7490":      "http://127.0.0.1:7490",
		"https://API2.weixin.qq.com": "https://api2.weixin.qq.com",
	} {
		got, err := p.Injection(testApp(upstream, modeStable))
		if err != nil {
			t.Fatal(err)
		}
		place := coordinator.Place{Query: "access_token"}
		if got.Base.String() != base || got.Token != AccessToken || got.Any || got.Place != place {
			t.Errorf("upstream %q: %+v", upstream, got)
		}
	}
	if _, err := p.Injection(testApp("ftp://x", modeStable)); !errors.Is(err, coordinator.ErrInvalid) {
		t.Errorf("a bad upstream: %v", err)
	}
}

func TestOnlyTheCodesOfDeadTokensAreDead(t *testing.T) {
	injection, err := New(Config{}).Injection(testApp("", modeStable))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status int
		body   string
		code   string
	}{
		{200, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest"}`, "40001"},
		{200, `{"errcode":40014,"errmsg":"invalid access_token"}`, "40014"},
		{200, `{"errcode":42001,"errmsg":"access_token expired"}`, "42001"},
		{200, `{"errcode":"42001"}`, "42001"},
		{200, `{"errcode":42007,"errmsg":"a user's"}`, ""},
		{200, `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`, ""},
		{200, `{"errcode":99999}`, ""},
		{200, `{"errcode":0,"errmsg":"ok"}`, ""},
		{200, `{"subscribe":1}`, ""},
		{200, `[40001]`, ""},
		{200, `{"errcode":40001`, ""},
		{200, ``, ""},
		{502, `{"errcode":40001}`, ""},
	} {
		code, dead := injection.Dead(c.status, http.Header{}, []byte(c.body))
		if code != c.code || dead != (c.code != "") {
			t.Errorf("%d %s: code %q, dead %t", c.status, c.body, code, dead)
		}
	}
	long := `{"errcode":40001,"errmsg":"` + strings.Repeat("a", coordinator.DeadBody) + `"}`
	if _, dead := injection.Dead(200, nil, []byte(long[:coordinator.DeadBody])); dead {
		t.Error("a cut body is taken for a refusal")
	}
}
