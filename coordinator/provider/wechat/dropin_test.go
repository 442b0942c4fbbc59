package wechat

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
)

func programCall(t *testing.T, method, target, body string) (coordinator.TokenCall, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	return New(Config{}).TokenCall(r)
}

func TestTokenCallsOfProgramsAreRead(t *testing.T) {
	const plainFirst, stableFirst = "wechat:wx1:plain wechat:wx1:stable", "wechat:wx1:stable wechat:wx1:plain"
	for _, c := range []struct {
		method, target, body        string
		id, key, value, token, line string
		force                       bool
	}{
		{"GET", "/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=k", "", "wx1", "k", "", AccessToken, plainFirst, false},
		{"GET", "/cgi-bin/token?appid=wx1&secret=a%2Bb%26&grant_type=client_credential&more=1", "", "wx1", "a+b&", "", AccessToken, plainFirst, false},
		{"POST", "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wx1","secret":"k"}`, "wx1", "k", "", AccessToken, stableFirst, false},
		{"POST", "/cgi-bin/stable_token?appid=other", `{"grant_type":"client_credential","appid":"wx1","secret":"k","force_refresh":true,"more":[]}`, "wx1", "k", "", AccessToken, stableFirst, true},
		{"GET", "/cgi-bin/ticket/getticket?access_token=tok&type=jsapi", "", "", "", "tok", JSAPITicket, "", false},
		{"GET", "/cgi-bin/ticket/getticket?type=wx_card&access_token=tok", "", "", "", "tok", WxCardTicket, "", false},
	} {
		got, err := programCall(t, c.method, c.target, c.body)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		line := strings.Join(got.Identities, " ")
		if got.ID != c.id || got.Key.Reveal() != c.key || got.Value.Reveal() != c.value || got.Token != c.token || line != c.line || got.Force != c.force {
			t.Errorf("%s %s is read as id %q key %q value %q token %q lines %q force %t", c.method, c.target,
				got.ID, got.Key.Reveal(), got.Value.Reveal(), got.Token, line, got.Force)
		}
	}
}

func TestMalformedTokenCallsMeetThePlatformsCodes(t *testing.T) {
	const grant = "grant_type=client_credential"
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"POST", "/cgi-bin/token?" + grant + "&appid=wx1&secret=k", "", 43001},
		{"HEAD", "/cgi-bin/token?" + grant + "&appid=wx1&secret=k", "", 43001},
		{"GET", "/cgi-bin/token", "", 40002},
		{"GET", "/cgi-bin/token?grant_type=client_credentials&appid=wx1&secret=k", "", 40002},
		{"GET", "/cgi-bin/token?" + grant + "&secret=k", "", 41002},
		{"GET", "/cgi-bin/token?" + grant + "&appid=wx1", "", 41004},
		{"GET", "/cgi-bin/token?" + grant + "&appid=wx1&appid=wx2&secret=k", "", 40097},
		{"GET", "/cgi-bin/token?" + grant + "&appid=wx1&secret=%zz", "", 40097},
		{"GET", "/cgi-bin/token?" + grant + "&appid=wx1;secret=k", "", 40097},
		{"GET", "/cgi-bin/stable_token", "", 43002},
		{"POST", "/cgi-bin/stable_token", "", 44002},
		{"POST", "/cgi-bin/stable_token", `{"grant_type":`, 47001},
		{"POST", "/cgi-bin/stable_token", `[]`, 47001},
		{"POST", "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wx1","secret":"k","force_refresh":"yes"}`, 47001},
		{"POST", "/cgi-bin/stable_token", `{"grant_type":"client_credential","secret":"k"}`, 41002},
		{"POST", "/cgi-bin/ticket/getticket?access_token=tok&type=jsapi", "", 43001},
		{"GET", "/cgi-bin/ticket/getticket?type=jsapi", "", 41001},
		{"GET", "/cgi-bin/ticket/getticket?access_token=tok", "", 40097},
		{"GET", "/cgi-bin/ticket/getticket?access_token=tok&type=sdk", "", 40097},
		{"GET", "/cgi-bin/ticket/getticket?access_token=tok&access_token=other&type=jsapi", "", 40097},
	} {
		_, err := programCall(t, c.method, c.target, c.body)
		if code, ok := errors.AsType[refusal](err); !ok || int(code) != c.want {
			t.Errorf("%s %s %s: %v, want errcode %d", c.method, c.target, c.body, err, c.want)
		}
	}
}

func TestOtherCallsAreLeftAsTheyCame(t *testing.T) {
	for _, path := range []string{
		"/", "/cgi-bin/user/info", "/cgi-bin/token/", "/cgi-bin/Token", "//cgi-bin/token", "/cgi-bin%2Ftoken", "/cgi-bin/./token", "/sns/jscode2session",
	} {
		body := &touched{Reader: strings.NewReader("body")}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://x"+path, body)
		if _, err := New(Config{}).TokenCall(r); !errors.Is(err, coordinator.ErrNoTokenCall) || body.read {
			t.Errorf("%s: %v, its body was read: %t", path, err, body.read)
		}
	}
}

// touched tells whether it was read.
type touched struct {
	io.Reader
	read bool
}

func (b *touched) Read(p []byte) (int, error) {
	b.read = true
	return b.Reader.Read(p)
}

func TestGrantsHaveThePlatformsBodies(t *testing.T) {
	p := New(Config{})
	for token, want := range map[string]string{
		AccessToken:  `{"access_token":"a<b","expires_in":7199}`,
		JSAPITicket:  `{"errcode":0,"errmsg":"ok","ticket":"a<b","expires_in":7199}`,
		WxCardTicket: `{"errcode":0,"errmsg":"ok","ticket":"a<b","expires_in":7199}`,
	} {
		got := p.Grant(coordinator.TokenCall{Token: token}, coordinator.NewSecret("a<b"), 2*time.Hour-time.Millisecond)
		if string(got.Body) != want || got.Status != http.StatusOK || !strings.HasPrefix(got.ContentType, "application/json") {
			t.Errorf("%s: %d %s %s", token, got.Status, got.ContentType, got.Body)
		}
	}
}

func TestRefusalsHaveThePlatformsCodes(t *testing.T) {
	missing := &coordinator.NoValueError{Err: coordinator.ErrTokenPending, View: &coordinator.View{}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{coordinator.ErrKeyRefused, `{"errcode":40125,"errmsg":"invalid appsecret, hint: [`},
		{coordinator.ErrUnknownApp, `{"errcode":40013,"errmsg":"invalid appid, hint: [`},
		{coordinator.ErrValueRefused, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest"}`},
		{coordinator.ErrNoValue, `{"errcode":41001,"errmsg":"access_token missing, hint: [`},
		{coordinator.ErrNotKept, `{"errcode":48001,"errmsg":"api unauthorized, hint: [`},
		{refusal(codeNoAppID), `{"errcode":41002,"errmsg":"appid missing"}`},
		{coordinator.Invalidf("say so"), `{"errcode":40097,"errmsg":"invalid args, hint: [say so]"}`},
		{missing, `{"errcode":-1,"errmsg":"system error, hint: [the token has no value yet]"}`},
		{coordinator.ErrNotSynced, `{"errcode":-1,"errmsg":"system error"}`},
		{errors.New("an error of our inside"), `{"errcode":-1,"errmsg":"system error"}`},
	} {
		got := New(Config{}).Refusal(c.err)
		if !strings.HasPrefix(string(got.Body), c.want) || got.Status != http.StatusOK {
			t.Errorf("%v: %d %s, want %s", c.err, got.Status, got.Body, c.want)
		}
	}
}

// What a program calls an app must be what the app's settings say of it, or
// nobody would ever be found.
func TestProgramsMeanAppsByTheirIdentity(t *testing.T) {
	p := New(Config{})
	for _, line := range []mode{modeStable, modePlain} {
		app := testApp("", line)
		if identity := p.Identity(app); !slices.Contains(p.Identities(testAppID), identity) {
			t.Errorf("%s is none of %v", identity, p.Identities(testAppID))
		}
	}
}

func FuzzTokenCall(f *testing.F) {
	f.Add("GET", "/cgi-bin/token", "grant_type=client_credential&appid=wx1&secret=k", "")
	f.Add("POST", "/cgi-bin/stable_token", "", `{"grant_type":"client_credential","appid":"wx1","secret":"k","force_refresh":true}`)
	f.Add("GET", "/cgi-bin/ticket/getticket", "access_token=t&type=jsapi", "")
	f.Add("GET", "/cgi-bin/token", "appid=%zz;&secret", "{")
	p := New(Config{})
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = method, path, path, query
		call, err := p.TokenCall(r)
		if errors.Is(err, coordinator.ErrNoTokenCall) {
			return
		}
		if err != nil {
			if _, ok := errors.AsType[refusal](err); !ok {
				t.Errorf("%v is no code of the platform", err)
			}
			return
		}
		if call.Token == "" || call.Value.IsZero() == call.Key.IsZero() || call.Key.IsZero() != (call.ID == "") {
			t.Errorf("%s %s?%s is read as %+v", method, path, query, call)
		}
	})
}
