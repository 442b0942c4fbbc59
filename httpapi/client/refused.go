package client

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// deadBody is how much of a body is looked at to tell whether a value was refused.
const deadBody = 4 << 10

// isDead tells whether an answer says that the value was refused. The answer is
// whole afterwards.
func (t *Transport) isDead(resp *http.Response) (code string, dead bool) {
	if t.cfg.Dead == nil {
		return "401", resp.StatusCode == http.StatusUnauthorized
	}
	var begin []byte
	if tells(resp) {
		begin, _ = io.ReadAll(io.LimitReader(resp.Body, deadBody)) // an error comes again to who reads on
		resp.Body = &begun{Reader: io.MultiReader(bytes.NewReader(begin), resp.Body), Closer: resp.Body}
	}
	return t.cfg.Dead(resp.StatusCode, resp.Header, begin)
}

// tells reports whether the beginning of a body is a text that may say that a
// value was refused. A stream is none: its beginning may be long in coming.
func tells(resp *http.Response) bool {
	upgraded := resp.StatusCode == http.StatusSwitchingProtocols
	if upgraded || resp.Body == nil || resp.Body == http.NoBody || resp.Header.Get("Content-Encoding") != "" {
		return false
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media == "text/plain" || media == "text/html" {
		return resp.ContentLength >= 0
	}
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// begun is a body of which the beginning was read already.
type begun struct {
	io.Reader
	io.Closer
}

// withParameter sets one parameter of a query and leaves the others as they are written.
func withParameter(query, name, value string) string {
	parts := make([]string, 0, strings.Count(query, "&")+2)
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); part != "" && (err != nil || plain != name) {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, url.QueryEscape(name)+"="+url.QueryEscape(value)), "&")
}

// leftHome reports whether a redirect led to a host other than the one that was
// called first, or from TLS to plain text: a token is not for whoever is there.
func leftHome(req *http.Request) bool {
	first := req
	for first.Response != nil {
		if first = first.Response.Request; first == nil {
			return true // who knows where it came from
		}
	}
	return req.URL.Host != first.URL.Host || first.URL.Scheme == "https" && req.URL.Scheme != "https"
}
