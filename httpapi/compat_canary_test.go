package httpapi_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"freshet/coordinator/provider/sandbox"
)

// secrets are what must be seen nowhere but in the answers that they belong to.
func (d *drop) secrets() map[string]string {
	d.Helper()
	secrets := map[string]string{"the client key": d.key, "the bootstrap key": bootstrapKey, "the app's secret": realSecret}
	for _, name := range []string{"shop", "till", "crm", "shop/jsapi_ticket", "till/jsapi_ticket"} {
		secrets["the value of "+name] = d.held(name).Value
	}
	return secrets
}

// Programs send keys and values in queries, as their platforms want it. Every kind
// of call is made, and those that fail too; then everything that was recorded is
// searched.
func TestNoLogOrSpanHoldsWhatProgramsSend(t *testing.T) {
	d := serveDrop(t)
	before := d.secrets()
	d.everyCall()
	for _, s := range sdks()[:2] { // one of each line, with a token that dies
		p := &program{sdk: s, drop: d, base: d.wechat}
		p.usesAToken()
		p.survivesItsDeath()
	}
	d.everyCall()
	after := d.secrets()
	if before["the value of shop"] == after["the value of shop"] {
		t.Error("the value of shop did not change: nothing was healed")
	}
	spans := d.spans.Spans()
	recorded := d.log.String() + fmt.Sprintf("%+v", spans)
	for _, want := range []string{"/compat/wechat/*", "/compat/oauth2/token", "/compat/hub/{store}/{entry}"} {
		if !strings.Contains(recorded, want) {
			t.Errorf("nothing is recorded of %s: %d spans", want, len(spans))
		}
	}
	for _, secrets := range []map[string]string{before, after} {
		for what, secret := range secrets {
			for _, form := range forms(secret) {
				if strings.Contains(recorded, form) {
					t.Errorf("%s was recorded", what)
				}
			}
		}
	}
}

// forms are how a text may be written down.
func forms(secret string) []string {
	return []string{secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte("hub:" + secret))}
}

// everyCall makes one call of each kind, in forms that work and in forms that do not.
func (d *drop) everyCall() {
	d.Helper()
	value, key := url.QueryEscape(d.held("shop").Value), url.QueryEscape(d.key)
	const token = "/cgi-bin/token?grant_type=client_credential"
	for _, base := range []string{d.wechat, d.url + "/compat/wechat"} {
		for _, path := range []string{
			token + "&appid=" + stableID + "&secret=" + key,
			token + "&appid=unknown&secret=" + key,
			token + "&appid=" + stableID + "&secret=" + key + "x",
			token + "&appid=" + stableID + "&secret=" + key + "&secret=" + key,
			token + "&secret=" + key,
			token + "&appid=" + stableID + "&secret=" + key + "&x=%zz",
			"/cgi-bin/stable_token?secret=" + key,
			"/cgi-bin/ticket/getticket?type=jsapi&access_token=" + value,
			"/cgi-bin/ticket/getticket?type=other&access_token=" + value,
			"/cgi-bin/user/info?access_token=" + value,
			"/cgi-bin/user/info?access_token=" + value + "x",
			"/cgi-bin/user/info?access_token=" + value + "&access_token=" + value,
			"/cgi-bin/user/info?access_token=" + value + "&secret=" + key,
			"/cgi-bin/../user/info?access_token=" + value,
			"/sns/jscode2session?appid=" + stableID + "&secret=" + key,
			"/" + key + "/" + value,
		} {
			d.fetch(base+path, "")
		}
	}
	for _, path := range []string{"/compat/hub/shop/access_token", "/compat/hub/" + key + "/access_token", "/compat/oauth2/token?client_secret=" + key, "/compat/other/" + key} {
		d.fetch(d.url+path, d.key)
		d.fetch(d.url+path, d.key+"x")
	}
	for _, id := range []string{"crm", "unknown"} {
		for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
			_, _ = d.program(id, d.key, style, "no-such-scope").Token(d.Context())
			_, _ = d.program(id, d.key, style).Token(d.Context())
		}
	}
	d.must(d.sandbox.AddFault(sandbox.Fault{Kind: sandbox.KindBusiness, Do: sandbox.Reset, Count: 1}))
	d.fetch(d.wechat+"/cgi-bin/user/info?access_token="+value, "")
}

// fetch makes a call and drops what it answers.
func (d *drop) fetch(target, password string) {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), http.MethodGet, target, nil)
	d.must(err)
	if password != "" {
		r.SetBasicAuth("hub", password)
	}
	answer, err := http.DefaultClient.Do(r)
	d.must(err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	d.must(err)
	for _, secret := range []string{realSecret, bootstrapKey, d.key} {
		if strings.Contains(string(body), secret) {
			d.Errorf("an answer holds a secret: %s", body)
		}
	}
}
