package httpapi

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"freshet/coordinator"
)

// ours is what the headers begin with that mean something to us alone.
const ours = "Freshet-"

// stripCall takes out of a call's headers what is not the platform's business: the
// client's key and cookies, what proxies say of each other, traces, and whatever
// could be taken for the place of the value.
func stripCall(header http.Header, place string) {
	for name := range header {
		// Some servers read an underscore as a dash.
		plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if private(plain) || strings.HasPrefix(plain, ours) || place != "" && strings.EqualFold(plain, place) {
			delete(header, name)
		}
	}
	narrowEncodings(header)
}

// private reports whether a header of a call stays behind.
func private(name string) bool {
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie", "Cookie2",
		"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
		"X-Original-Url", "X-Original-Host", "X-Rewrite-Url", "X-Host",
		"Traceparent", "Tracestate", "Baggage", "Http2-Settings",
		"Expect": // what it asks for has been done
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded")
}

// onlyWebSocket takes out the wish to speak another protocol: over HTTP/2 in clear
// text a client could ask the platform for what we would not forward.
func onlyWebSocket(header http.Header) {
	if wish := header["Upgrade"]; len(wish) != 1 || !strings.EqualFold(wish[0], "websocket") {
		header.Del("Upgrade")
	}
}

// narrowEncodings leaves only content codings that we can look into.
func narrowEncodings(header http.Header) {
	asked, given := header["Accept-Encoding"]
	if !given {
		return
	}
	var kept []string
	for coding := range strings.SplitSeq(strings.Join(asked, ","), ",") {
		coding = strings.TrimSpace(coding)
		name, _, _ := strings.Cut(coding, ";")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip", "deflate", "identity":
			kept = append(kept, coding)
		}
	}
	if len(kept) == 0 {
		kept = []string{"identity"}
	}
	header["Accept-Encoding"] = []string{strings.Join(kept, ", ")}
}

// stripAnswer takes out of an answer's headers what the platform says to browsers
// about its own address, which is not ours, and what only we may say.
func stripAnswer(header http.Header) {
	for name := range header {
		switch name {
		case "Set-Cookie", "Set-Cookie2", "Strict-Transport-Security", "Alt-Svc", "Clear-Site-Data", "Service-Worker-Allowed":
			delete(header, name)
		}
		if strings.HasPrefix(name, ours) {
			delete(header, name)
		}
	}
}

// stripTrailer is stripAnswer for what comes behind a body: net/http takes what
// belongs to one connection out of headers only. A length that comes so late is
// none, and many clients refuse an answer that announces it.
func stripTrailer(trailer http.Header) {
	stripAnswer(trailer)
	for name := range trailer {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
			"Content-Length":
			delete(trailer, name)
		}
	}
}

// mark adds what we say of a forwarded answer. A page that a platform sends must
// not run as one of ours.
func (a *API) mark(header http.Header, f *carrying) {
	header["Freshet-Node"] = a.headers.node
	header["Freshet-Version"] = []string{strconv.FormatInt(f.view.Version(), 10)}
	header["X-Content-Type-Options"] = a.headers.noSniff
	header["Content-Security-Policy"] = []string{"sandbox"}
	if f.replayed {
		header["Freshet-Replayed"] = []string{"true"}
	}
}

const hidden = "[redacted]"

// scrub takes the values of the call out of headers, as when a platform redirects
// to the address it was called at.
func (f *carrying) scrub(header http.Header) {
	for _, view := range []*coordinator.View{f.view, f.former} {
		if view == nil {
			continue
		}
		for name, texts := range header {
			for i, text := range texts {
				texts[i] = f.withoutValue(name, text, view.Token.Value)
			}
		}
	}
}

// withoutValue takes a value out of a header. An address loses the parameter; a
// text in which the value stands in another way than any of ours is not passed on.
func (f *carrying) withoutValue(name, text string, value coordinator.Secret) string {
	if !holds(text, value) {
		return text
	}
	if name == "Location" || name == "Content-Location" {
		if at, err := url.Parse(text); err == nil {
			at.RawQuery, err = withoutParameter(at.RawQuery, f.injection.Place.Query)
			if err == nil {
				text = at.String()
			}
		}
	}
	for _, form := range forms(value) {
		text = strings.ReplaceAll(text, form, hidden)
	}
	if holds(text, value) {
		return hidden
	}
	return text
}

// holds reports whether a value stands in a text, escaped however and, in an
// address within an address, several times over.
func holds(text string, value coordinator.Secret) bool {
	for range mostEscapes {
		if strings.Contains(text, value.Reveal()) {
			return true
		}
		text = escape.ReplaceAllStringFunc(text, func(code string) string {
			plain, _ := url.PathUnescape(code) // it is a whole escape
			return plain
		})
	}
	return strings.Contains(text, value.Reveal())
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// forms are the ways in which a value is usually written in headers.
func forms(value coordinator.Secret) []string {
	plain := value.Reveal()
	return []string{plain, url.QueryEscape(plain), url.PathEscape(plain)}
}
