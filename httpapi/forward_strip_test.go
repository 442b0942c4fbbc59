package httpapi

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"freshet/coordinator"
)

// inQuery puts values where WeChat has them.
func inQuery(_ *Config, i *coordinator.Injection) {
	i.Place = coordinator.Place{Query: "access_token"}
}

// recording is a platform that keeps what it was sent and answers with headers.
func recording(answer http.Header) *platformOf {
	p := &platformOf{}
	p.open = true
	p.answer = func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), answer)
		_, _ = io.WriteString(w, "done")
	}
	return p
}

func TestWhatIsNotThePlatformsBusinessStaysBehind(t *testing.T) {
	platform := recording(nil)
	r := relayTo(t, platform, func(_ *Config, i *coordinator.Injection) { i.Place = coordinator.Place{Header: "X-Token"} })
	hidden := map[string]string{
		"Cookie": "session=canary", "Proxy-Authorization": "Basic canary", "Connection": "close, Upgrade, X-Secret, X-Token", "X-Secret": "canary",
		"Keep-Alive": "canary", "Te": "canary", "Trailer": "X-Canary", "Upgrade": "h2c", "Http2-Settings": "canary", "Proxy-Connection": "canary",
		"Forwarded": "for=canary", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "canary", "X-Forwarded-Proto": "canary",
		"X-Forwarded-Prefix": "canary", "X-Real-Ip": "1.2.3.4", "X-Original-Url": "/admin", "X-Rewrite-Url": "/admin", "Via": "canary",
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "canary", "Baggage": "canary",
		"X_token": "canary", "x-token": "canary", "X_Forwarded_For": "canary", "authorization_": "kept", "Freshet-Wait": "1s", "Freshet-Other": "canary",
	}
	var raw strings.Builder
	raw.WriteString("GET /proxy/shop/x HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer " + rootKey + "\r\nX-Kept: yes\r\n")
	for name, value := range hidden {
		raw.WriteString(name + ": " + value + "\r\n")
	}
	got := send(t, r.address, raw.String()+"\r\n")
	if got.status != http.StatusOK {
		t.Fatalf("answer %+v", got)
	}
	sent := platform.sent()[0]
	host, _ := url.Parse("http://" + sent.host)
	if host.Port() == "" || strings.Contains(sent.host, "evil") {
		t.Errorf("host %q", sent.host)
	}
	text := fmt.Sprint(sent.header)
	for _, wrong := range []string{"canary-", "canary]", "canary ", "1.2.3.4", "/admin", rootKey, "h2c", "0af7651916cd43dd"} {
		if strings.Contains(strings.ReplaceAll(text, deadValue, ""), wrong) {
			t.Errorf("%q was sent: %s", wrong, text)
		}
	}
	if values := sent.header["X-Token"]; len(values) != 1 || values[0] != deadValue || sent.header.Get("X-Kept") != "yes" {
		t.Errorf("sent %v", sent.header)
	}
}

func TestTheInjectedParameterReplacesTheCallers(t *testing.T) {
	for query, want := range map[string]string{
		"":                                       "access_token=" + deadValue,
		"access_token=mine":                      "access_token=" + deadValue,
		"a=1&access_token=mine&b=2&access_token": "a=1&b=2&access_token=" + deadValue,
		"access%5Ftoken=mine&A=%2F&ACCESS_TOKEN=x": "A=%2F&access_token=" + deadValue,
		"access_token_=mine&q=access_token":        "access_token_=mine&q=access_token&access_token=" + deadValue,
		"&&":                                       "&&&access_token=" + deadValue,
	} {
		platform := recording(nil)
		r := relayTo(t, platform, inQuery)
		got := r.call(t, http.MethodGet, "/proxy/shop/x?"+query, nil, nil)
		if got.status != http.StatusOK {
			t.Errorf("%s: %+v", query, got)
			continue
		}
		if sent := platform.sent()[0].target; sent != "/x?"+want {
			t.Errorf("%s: sent %s", query, sent)
		}
	}
}

func TestAnAnswersHeadersAreFitToPass(t *testing.T) {
	escaped := url.QueryEscape(deadValue)
	platform := recording(http.Header{
		"Set-Cookie": {"a=b", "c=d"}, "Strict-Transport-Security": {"max-age=1"}, "Clear-Site-Data": {`"*"`}, "Alt-Svc": {"h3"},
		"Connection": {"X-Hop"}, "X-Hop": {"x"}, "Freshet-Problem": {"forged"}, "Freshet-Version": {"99"}, "Freshet-Node": {"forged"},
		"Location": {"https://elsewhere.example/x?access_token=" + escaped + "&b=2"}, "X-Echo": {"you sent " + deadValue},
		"Link": {"<https://a.example/?access_token=" + escaped + ">; rel=next"}, "X-Kept": {"yes"}, "Content-Security-Policy": {"default-src *"},
	})
	r := relayTo(t, platform, inQuery)
	got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil)
	for _, name := range []string{"Set-Cookie", "Strict-Transport-Security", "Clear-Site-Data", "Alt-Svc", "X-Hop", "Freshet-Problem"} {
		if got.header[name] != nil {
			t.Errorf("%s: %v", name, got.header[name])
		}
	}
	for name, want := range map[string]string{
		"Location": "https://elsewhere.example/x?b=2", "X-Echo": "you sent [redacted]", "X-Kept": "yes",
		"Link": "<https://a.example/?access_token=[redacted]>; rel=next", "Freshet-Version": "7", "Freshet-Node": "n1",
		"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff",
	} {
		if values := got.header[name]; len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q, want %q", name, values, want)
		}
	}
}

// Who may have calls made but not read the value must not find it in an answer's
// headers, in whatever way a platform writes it.
func TestAValueIsFoundInHeadersHoweverItIsEscaped(t *testing.T) {
	const value = "canary/a+b=="
	for text, want := range map[string]string{
		"https://a.example/x?access_token=canary%2fa%2bb%3d%3d&b=2":                                      "https://a.example/x?b=2",
		"https://a.example/x?access_token=canary/a%2Bb%3D%3d":                                            "https://a.example/x",
		"https://a.example/login?next=https%3A%2F%2Fb.example%2F%3Ftoken%3Dcanary%252Fa%252Bb%253D%253D": hidden,
		"https://a.example/%63anary%2Fa%2Bb%3D%3D":                                                       hidden,
		"https://a.example/x?b=canary%2F":                                                                "https://a.example/x?b=canary%2F",
	} {
		platform := recording(http.Header{"Location": {text}, "X-Echo": {text}})
		r := relayTo(t, platform, inQuery)
		r.node.hold(token("shop", 9, value))
		got := r.call(t, http.MethodGet, "/proxy/shop/x", nil, nil)
		if location := got.header.Get("Location"); location != want {
			t.Errorf("%s: Location %s, want %s", text, location, want)
		}
		if echo := got.header.Get("X-Echo"); (want == text) != (echo == text) || strings.Contains(echo, "anary%2Fa") || strings.Contains(echo, "canary%2fa") {
			t.Errorf("%s: X-Echo %s", text, echo)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	platform := &platformOf{open: true}
	platform.answer = func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, "/elsewhere", http.StatusTemporaryRedirect)
	}
	r := relayTo(t, platform, nil)
	got := r.call(t, http.MethodPost, "/proxy/shop/x", strings.NewReader("pay"), nil)
	if got.status != http.StatusTemporaryRedirect || got.header.Get("Location") != "/elsewhere" || len(platform.sent()) != 1 {
		t.Errorf("%d calls, answer %+v", len(platform.sent()), got)
	}
}

func TestOnlyCodingsAreAskedForThatCanBeLookedInto(t *testing.T) {
	for asked, want := range map[string]string{
		"gzip, deflate, br, zstd": "gzip, deflate", "br": "identity", "br;q=1, gzip;q=0.5": "gzip;q=0.5", "*": "identity",
		"identity;q=0, GZIP": "identity;q=0, GZIP", "": "identity",
	} {
		header := http.Header{"Accept-Encoding": {asked}}
		narrowEncodings(header)
		if got := header.Get("Accept-Encoding"); got != want {
			t.Errorf("%q becomes %q, want %q", asked, got, want)
		}
	}
	header := http.Header{}
	if narrowEncodings(header); len(header) != 0 {
		t.Errorf("nothing becomes %v", header)
	}
}
