package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
)

// The surfaces that belong to no provider.
const (
	SurfaceOAuth2 = "oauth2"
	SurfaceHub    = "hub"
)

// CompatConfig says which drop-in surfaces there are, and what they hand out.
type CompatConfig struct {
	// Providers are those whose platforms' own calls are served, each below
	// /compat/<provider>; the node must have them as a coordinator.DropIn.
	Providers []string

	// MinExpiresIn is how long a value should live that is handed out: one with
	// less left is given only where no newer one can be had. Zero: any.
	MinExpiresIn time.Duration

	// Patience is how long a call waits for the next value, where the one held was
	// reported dead or lives too short. Zero: DefaultPatience.
	Patience time.Duration
}

func (c CompatConfig) check(node Node) error {
	for _, provider := range c.Providers {
		if _, ok := node.DropIn(provider); !ok {
			return fmt.Errorf("provider %q has no drop-in surface", provider)
		}
	}
	return nil
}

// compatRoutes mounts every surface below /compat.
func (a *API) compatRoutes(r router) {
	for _, provider := range a.compat.Providers {
		a.mount(r, provider, "/compat/"+provider)
	}
	a.mount(r, SurfaceOAuth2, "/compat/"+SurfaceOAuth2)
	a.mount(r, SurfaceHub, "/compat/"+SurfaceHub)
}

// Surfaces returns the names of the drop-in surfaces there are, sorted.
func (a *API) Surfaces() []string {
	names := append([]string{SurfaceOAuth2, SurfaceHub}, a.compat.Providers...)
	slices.Sort(names)
	return names
}

// SurfaceHandler returns the handler of a listener whose root one surface is,
// for programs that can be told a host only. It must be one of Surfaces.
func (a *API) SurfaceHandler(surface string) http.Handler {
	r := a.newRouter()
	a.mount(r, surface, "")
	return a.tracer.Handler(r.engine, pattern)
}

// mount serves a surface below a prefix.
func (a *API) mount(r router, surface, prefix string) {
	switch surface {
	case SurfaceOAuth2:
		r.handle(http.MethodPost, prefix+"/token", a.oauthToken)
	case SurfaceHub:
		r.handle(http.MethodGet, prefix+"/{store}/{entry}", a.hubEntry)
	default:
		dropIn, ok := a.node.DropIn(surface)
		if !ok {
			return // New has refused it
		}
		p := platform{API: a, provider: surface, dropIn: dropIn, prefix: prefix}
		r.all(prefix+"/", p.serve)
	}
}

// all serves every path below a route, which is named with a star: no fixed route
// may stand beside it. TRACE is left out: a platform would answer it with the
// value that we put in.
func (r router) all(route string, h gin.HandlerFunc) {
	mark := func(c *gin.Context) { c.Request.Pattern = route + "*" }
	r.engine.Match([]string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}, route+"*rest", mark, h)
}

// below returns a request as it looks below a prefix, which is not escaped. It
// shares the body.
func below(r *http.Request, prefix string) *http.Request {
	shifted := new(http.Request)
	*shifted = *r
	shifted.URL = new(url.URL)
	*shifted.URL = *r.URL
	shifted.URL.Path = strings.TrimPrefix(r.URL.Path, prefix)
	shifted.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, prefix)
	return shifted
}

// writeReply writes an answer in a platform's words.
func (a *API) writeReply(c *gin.Context, reply coordinator.Reply) {
	header := c.Writer.Header()
	a.headers.set(header, a.node.Health())
	header["Content-Type"] = []string{reply.ContentType}
	c.Status(reply.Status)
	_, _ = c.Writer.Write(reply.Body) // a client that has gone needs no error
}
