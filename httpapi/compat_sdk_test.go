package httpapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"freshet/coordinator/provider/sandbox"
)

// sdk is a WeChat SDK as far as the platform sees it: the requests it sends for a
// token and with one, what it keeps of an answer, and what it does when it is
// told that its token is dead.
type sdk struct {
	name    string
	app     string // ours
	appid   string
	line    sandbox.Line
	ask     func(p *program) *http.Request
	dead    []int // codes after which it asks again
	retries int   // how often it repeats the call then
}

// sdks are five, from three languages, with all reactions there are: none, one
// more try, three more, and tries without end.
func sdks() []sdk {
	return []sdk{
		{"WxJava, stable", "shop", stableID, sandbox.LineStable, stableWith(`,"force_refresh":false`), []int{40001, 40014, 42001}, 1},
		{"WxJava", "till", plainID, sandbox.LinePlain, plain, []int{40001, 40014, 42001}, 1},
		{"silenceper/wechat", "till", plainID, sandbox.LinePlain, plain, nil, 0},
		{"silenceper/wechat, stable", "shop", stableID, sandbox.LineStable, stableWith(""), nil, 0},
		{"node-easywechat", "shop", stableID, sandbox.LineStable, plain, nil, 0},
		{"co-wechat-api", "till", plainID, sandbox.LinePlain, plain, []int{40001, 42001}, 3},
		{"chanxuehong/wechat", "till", plainID, sandbox.LinePlain, plain, []int{40001, 42001}, 1},
		{"wechatpy", "till", plainID, sandbox.LinePlain, plain, []int{40001, 40014, 42001}, 1000}, // until Python's stack is full
	}
}

func plain(p *program) *http.Request {
	q := "grant_type=client_credential&appid=" + p.appid + "&secret=" + url.QueryEscape(p.drop.key)
	return p.request(http.MethodGet, "/cgi-bin/token?"+q, "")
}

func stableWith(more string) func(p *program) *http.Request {
	return func(p *program) *http.Request {
		body := `{"grant_type":"client_credential","appid":"` + p.appid + `","secret":"` + p.drop.key + `"` + more + `}`
		return p.request(http.MethodPost, "/cgi-bin/stable_token", body)
	}
}

// program is a process with an SDK in it.
type program struct {
	sdk

	drop  *drop
	base  string
	token string // as it keeps it
	asked int    // token calls
	seen  []int  // codes that its SDK met
}

func (p *program) request(method, path, body string) *http.Request {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(p.drop.Context(), method, p.base+path, content)
	p.drop.must(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// platformAnswer is whatever the platform answers.
type platformAnswer struct {
	Errcode     *int   `json:"errcode"`
	Errmsg      string `json:"errmsg"`
	AccessToken string `json:"access_token"`
	Ticket      string `json:"ticket"`
	ExpiresIn   int64  `json:"expires_in"`
	Subscribe   int    `json:"subscribe"`
}

func (a platformAnswer) code() int {
	if a.Errcode == nil {
		return 0
	}
	return *a.Errcode
}

func (p *program) send(r *http.Request) platformAnswer {
	p.drop.Helper()
	response, err := http.DefaultClient.Do(r)
	p.drop.must(err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	p.drop.must(err)
	var a platformAnswer
	if err := json.Unmarshal(body, &a); err != nil || response.StatusCode != http.StatusOK {
		p.drop.Fatalf("%s: %s %s: status %d, %s", p.name, r.Method, r.URL.Path, response.StatusCode, body)
	}
	return a
}

// fetch asks for a token and keeps it.
func (p *program) fetch(ask func(*program) *http.Request) {
	p.drop.Helper()
	p.asked++
	a := p.send(ask(p))
	if a.Errcode != nil || a.AccessToken == "" || a.ExpiresIn <= 1500 || a.ExpiresIn > 7200 {
		p.drop.Fatalf("%s: the token call was answered %+v", p.name, a)
	}
	p.token = a.AccessToken
}

// call makes a call as the SDK does, retries included.
func (p *program) call(method, path, body string) platformAnswer {
	p.drop.Helper()
	if p.token == "" {
		p.fetch(p.ask)
	}
	for try := 0; ; try++ {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		a := p.send(p.request(method, path+separator+"access_token="+url.QueryEscape(p.token), body))
		if a.code() == 0 {
			return a
		}
		p.seen = append(p.seen, a.code())
		if !slices.Contains(p.dead, a.code()) || try == p.retries {
			return a
		}
		p.fetch(p.ask)
	}
}

// issued counts the values of the SDK's line that the platform has given.
func (p *program) issued() int { return p.drop.sandbox.Oracle().Apps[p.appid].Issued[p.line] }

// kill ends the value that the program keeps, at the platform.
func (p *program) kill() {
	p.drop.Helper()
	if !p.drop.sandbox.KillToken(p.token) {
		p.drop.Fatalf("%s: the token it keeps did not live", p.name)
	}
}

func TestUnmodifiedWeChatSDKsHealThroughTheSurface(t *testing.T) {
	for _, s := range sdks() {
		t.Run(s.name, func(t *testing.T) {
			d := serveDrop(t)
			p := &program{sdk: s, drop: d, base: d.wechat}
			p.usesAToken()
			p.survivesItsDeath()
			p.asksForTickets()
			p.asksAgainAndAgain()
			if len(p.seen) > 0 || p.issued() != 2 {
				t.Errorf("the SDK met %v, the platform issued %d values, want none and 2", p.seen, p.issued())
			}
		})
	}
}

func (p *program) usesAToken() {
	p.drop.Helper()
	if a := p.call(http.MethodGet, "/cgi-bin/user/info?openid=o1&lang=zh_CN", ""); a.Subscribe != 1 {
		p.drop.Errorf("a call with the token was answered %+v", a)
	}
	if a := p.call(http.MethodPost, "/cgi-bin/message/custom/send", `{"touser":"o1","msgtype":"text"}`); a.Errcode == nil || *a.Errcode != 0 {
		p.drop.Errorf("a call with a body was answered %+v", a)
	}
}

// survivesItsDeath goes on with a token that is dead, as an SDK does that keeps it
// until it expires.
func (p *program) survivesItsDeath() {
	p.drop.Helper()
	p.kill()
	for range 3 {
		if a := p.call(http.MethodPost, "/cgi-bin/message/custom/send", `{"touser":"o1"}`); a.code() != 0 {
			p.drop.Errorf("with the dead token: %+v", a)
		}
		if a := p.call(http.MethodGet, "/cgi-bin/user/info?openid=o1", ""); a.Subscribe != 1 {
			p.drop.Errorf("with the dead token: %+v", a)
		}
	}
}

func (p *program) asksForTickets() {
	p.drop.Helper()
	calls := p.drop.sandbox.Oracle().Apps[p.appid].Calls[sandbox.KindTicket].Calls
	for range 5 {
		if a := p.call(http.MethodGet, "/cgi-bin/ticket/getticket?type=jsapi", ""); a.Ticket == "" || a.Errcode == nil || a.Errmsg != "ok" || a.ExpiresIn <= 1500 {
			p.drop.Errorf("a ticket call was answered %+v", a)
		}
	}
	if more := p.drop.sandbox.Oracle().Apps[p.appid].Calls[sandbox.KindTicket].Calls - calls; more != 0 {
		p.drop.Errorf("ticket calls reached the platform %d times", more)
	}
}

func (p *program) asksAgainAndAgain() {
	p.drop.Helper()
	former := p.token
	for range 30 {
		p.fetch(p.ask)
	}
	if p.token == former || !p.drop.sandbox.Alive(p.token) {
		p.drop.Errorf("asked again it got a value that does not live, or the one before")
	}
}

// A body that cannot be kept cannot be sent again: the SDK meets the platform's
// code once, asks for a token as it always does, and is not given the dead one.
func TestSDKsThatMustRepeatACallThemselvesGetTheNextToken(t *testing.T) {
	for _, s := range sdks() {
		if s.retries == 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			d := serveDrop(t)
			p := &program{sdk: s, drop: d, base: d.url + "/compat/wechat"}
			p.usesAToken()
			p.kill()
			large := `{"media":"` + strings.Repeat("a", 3<<20) + `"}`
			if a := p.call(http.MethodPost, "/cgi-bin/media/upload?type=image", large); a.code() != 0 {
				t.Errorf("answered %+v in the end", a)
			}
			if len(p.seen) != 1 || p.asked != 2 || p.issued() != 2 {
				t.Errorf("the SDK met %v and asked %d times, the platform issued %d values; want one code, 2 and 2", p.seen, p.asked, p.issued())
			}
		})
	}
}

// However many programs meet one dead token at once, it is replaced once.
func TestManyProgramsHealOnOneRefresh(t *testing.T) {
	d := serveDrop(t)
	for _, s := range sdks()[:2] { // one of each line
		first := &program{sdk: s, drop: d, base: d.wechat}
		first.usesAToken()
		programs := make([]*program, 20)
		for i := range programs {
			programs[i] = &program{sdk: s, drop: d, base: d.wechat, token: first.token}
		}
		first.kill()
		var all sync.WaitGroup
		for _, p := range programs {
			all.Go(func() { p.call(http.MethodPost, "/cgi-bin/message/custom/send", `{"touser":"o1"}`) })
		}
		all.Wait()
		for _, p := range programs {
			if len(p.seen) > 0 {
				t.Errorf("%s: a program met %v", s.name, p.seen)
			}
		}
		if first.issued() != 2 {
			t.Errorf("%s: the platform issued %d values, want 2", s.name, first.issued())
		}
	}
}
