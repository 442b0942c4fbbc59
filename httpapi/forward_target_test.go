package httpapi

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"freshet/coordinator"
)

// TestNoPathLeavesTheBase sends request lines as they are.
func TestNoPathLeavesTheBase(t *testing.T) {
	for line, want := range map[string]string{ // :: request target → what the platform is asked for; empty: refused with 400
		"/proxy/shop/x":                           "/base/x",
		"/proxy/shop/":                            "/base/",
		"/proxy/shop/x/":                          "/base/x/",
		"/proxy/shop/a%2Fb":                       "/base/a%2Fb",
		"/proxy/shop/a%20b/%E4%BD%A0":             "/base/a%20b/%E4%BD%A0",
		"/proxy/shop/a%2520b":                     "/base/a%2520b",
		"/proxy/shop/100%25":                      "/base/100%25",
		"/proxy/shop/a;v=1/b":                     "/base/a;v=1/b",
		"/proxy/shop/.well-known/x":               "/base/.well-known/x",
		"/proxy/shop/...":                         "/base/...",
		"/proxy/shop/user@evil.example":           "/base/user@evil.example",
		"/proxy/shop/:8080":                       "/base/:8080",
		"/proxy/%73hop/x":                         "/base/x",
		"http://evil.example/proxy/shop/x":        "/base/x",
		"/proxy/shop/..":                          "",
		"/proxy/shop/../x":                        "",
		"/proxy/shop/x/../../../etc":              "",
		"/proxy/shop/./x":                         "",
		"/proxy/shop/%2e%2e/x":                    "",
		"/proxy/shop/.%2E/x":                      "",
		"/proxy/shop/%252e%252e/x":                "",
		"/proxy/shop/%25252e%25252e/x":            "",
		"/proxy/shop/a%2F..%2F..%2Fx":             "",
		"/proxy/shop/..;/x":                       "",
		"/proxy/shop/..%3Bv=1/x":                  "",
		"/proxy/shop/..%5Cx":                      "",
		"/proxy/shop/a%5Cb":                       "",
		"/proxy/shop//evil.example/x":             "",
		"/proxy/shop/x//y":                        "",
		"/proxy/shop/%2F%2Fevil.example":          "",
		"/proxy/shop/%2Fevil.example":             "",
		"/proxy/shop/http://evil.example":         "",
		"/proxy/shop/x%00":                        "",
		"/proxy/shop/x%0d%0aX-Injected:%20yes":    "",
		"/proxy/shop/x%250d%250aHost:%20evil":     "",
		"/proxy/shop/x?a=1;access_token=mine":     "",
		"/proxy/shop/x?%zz=1":                     "",
		"/proxy/shop/x?a=%zz":                     "/base/x?a=%zz",
		"/proxy/shop/x?a=1%0d%0aX-Injected:%20y":  "/base/x?a=1%0d%0aX-Injected:%20y",
		"/proxy/shop/x?url=http://evil.example//": "/base/x?url=http://evil.example//",
	} {
		platform := recording(nil)
		r := relayTo(t, platform, func(_ *Config, i *coordinator.Injection) { i.Base.Path = "/base" })
		got := send(t, r.address, "GET "+line+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+rootKey+"\r\n\r\n")
		sent := platform.sent()
		switch {
		case want == "" && (got.status != http.StatusBadRequest || len(sent) > 0 || got.header.Get("Freshet-Problem") != "invalid_request"):
			t.Errorf("%s: status %d, sent %+v, want a refusal", line, got.status, sent)
		case want != "" && (got.status != http.StatusOK || len(sent) != 1 || sent[0].target != want):
			t.Errorf("%s: status %d, sent %+v, want %s", line, got.status, sent, want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, seed := range [][2]string{
		{"/x", "a=1"},
		{"/..", ""},
		{"/%2e%2e/x", "access_token=1"},
		{"//evil", "a;b"},
		{"/a%2F..", "%61ccess_token=1&a=%zz"},
		{"/..;/x", "&&"},
		{"/%", "="},
		{"/x%0d%0a", "a=\r\n"},
		{"/%252e%252e/", "ACCESS_TOKEN"},
		{"/\xff", "\xff"},
	} {
		f.Add(seed[0], seed[1])
	}
	base := url.URL{Scheme: "https", Host: "api.example.com", Path: "/v2/base"}
	injection := coordinator.Injection{Base: base, Place: coordinator.Place{Query: "access_token"}}
	f.Fuzz(func(t *testing.T, sent, query string) {
		u, err := url.ParseRequestURI(sent + "?" + query) // as net/http reads a request line
		if err != nil || !strings.HasPrefix(sent, "/") {
			return
		}
		target, err := targetOf(injection, u.EscapedPath(), u.RawQuery)
		if err != nil {
			return
		}
		target.RawQuery = withParameter(target.RawQuery, "access_token", "va&l=ue")
		line := target.RequestURI()
		if target.Host != base.Host || target.Scheme != base.Scheme || target.User != nil || target.Opaque != "" {
			t.Errorf("%q leads to %v", sent, target)
		}
		if strings.ContainsAny(line, " \r\n\x00#") || !strings.HasPrefix(line, base.Path+u.EscapedPath()+"?") {
			t.Errorf("%q is sent as %q", sent, line)
		}
		if clean := path.Clean(target.Path); clean != base.Path && !strings.HasPrefix(clean, base.Path+"/") {
			t.Errorf("%q leaves the base: %q", sent, clean)
		}
		// The strictest reader of the query finds the value, and nobody else's.
		var given []string
		for pair := range strings.SplitSeq(target.RawQuery, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(name); err != nil || strings.EqualFold(plain, "access_token") {
				given = append(given, value)
			}
		}
		if len(given) != 1 || given[0] != "va%26l%3Due" {
			t.Errorf("%q has the values %q", target.RawQuery, given)
		}
	})
}
