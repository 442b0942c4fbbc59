package sandbox

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// route is one line of the sandbox's mux and of its landing page.
type route struct {
	pattern string
	does    string
	handler http.HandlerFunc
}

// maxRequestBody bounds what is read of a request; the platforms' own calls are
// far smaller.
const maxRequestBody = 1 << 20

func (s *Sandbox) mount() {
	s.routes = slices.Concat(s.wechatRoutes(), s.oauthRoutes(), s.commandRoutes())
	for _, r := range s.routes {
		s.mux.HandleFunc(r.pattern, r.handler)
	}
	s.mux.HandleFunc("GET /{$}", s.landing)
}

// platform makes a handler of a function that understands a request. The body is
// read first, because net/http notices a caller who hangs up only afterwards.
func (s *Sandbox) platform(understand func(r *http.Request, body []byte) call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody))
		if err != nil {
			http.Error(w, "reading the request body", http.StatusBadRequest)
			return
		}
		s.serve(w, r, understand(r, body))
	}
}

func (s *Sandbox) landing(w http.ResponseWriter, _ *http.Request) {
	var text strings.Builder
	text.WriteString("Freshet sandbox: emulated token platforms with faults on command and an oracle.\n" +
		"Nothing here is real; no value it hands out works anywhere else.\n\n")
	for _, r := range s.routes {
		fmt.Fprintf(&text, "%-34s %s\n", r.pattern, r.does)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text.String()) // the caller left; there is nobody to tell
}
