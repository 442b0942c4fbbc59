package httpapi

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
)

// Headers of a call that are meant for us.
const (
	headerWhich = "Freshet-Token" // another of the app's tokens than its usual one
	headerWait  = "Freshet-Wait"  // how long to wait for a value where there is none
)

const proxyPrefix = "/proxy/"

// proxyRoutes forwards what is below /proxy/{app}. TRACE is left out: a platform
// would answer it with the value that we put in.
func (a *API) proxyRoutes(r router) {
	for _, method := range []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		r.handle(method, proxyPrefix+"{app}/{path...}", a.proxy)
	}
}

// proxy carries a call to the platform of an app. What it refuses itself it marks
// with the header Freshet-Problem.
func (a *API) proxy(c *gin.Context) {
	if err := a.proxied(c); err != nil && !c.Writer.Written() {
		a.fail(c, err)
	}
}

func (a *API) proxied(c *gin.Context) error {
	client, err := a.authenticate(c.Request)
	if err != nil {
		return err
	}
	f, err := a.forwardingOf(request{Context: c, client: client})
	if err != nil {
		return err
	}
	return a.forward(c, f)
}

// forwardingOf reads what shall be forwarded. Whether the app exists is told only
// to those who may call it.
func (a *API) forwardingOf(r request) (forwarding, error) {
	app, err := r.appName()
	if err != nil {
		return forwarding{}, err
	}
	token, err := r.single(headerWhich)
	if err != nil {
		return forwarding{}, err
	}
	wait, err := r.waitHeader()
	if err != nil {
		return forwarding{}, err
	}
	injection, unknown := a.node.Injection(app)
	name := coordinator.Name{App: app, Token: cmp.Or(token, injection.Token, coordinator.DefaultToken)}
	if err := name.Check(); err != nil {
		return forwarding{}, coordinator.Invalidf("%v", err)
	}
	if err := r.may(name, coordinator.VerbProxy); err != nil {
		return forwarding{}, err
	}
	if unknown != nil {
		return forwarding{}, unknown
	}
	if name.Token != injection.Token && !injection.Any {
		return forwarding{}, coordinator.Invalidf("calls for app %q carry its %s and no other token: leave the header %s out", app, injection.Token, headerWhich)
	}
	return forwarding{
		client: r.client.Name, name: name, injection: injection,
		path: pathBelow(r.Request.URL.EscapedPath()), query: r.Request.URL.RawQuery, wait: wait,
	}, nil
}

// pathBelow cuts "/proxy/{app}" off an escaped path.
func pathBelow(path string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(path, proxyPrefix), "/")
	return "/" + rest
}

// single reads a header that may be given once; absent is empty.
func (r request) single(name string) (string, error) {
	values := r.Request.Header[name]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", coordinator.Invalidf("header %s is given %d times; give it once", name, len(values))
}

func (r request) waitHeader() (time.Duration, error) {
	text, err := r.single(headerWait)
	if err != nil || text == "" {
		return 0, err
	}
	wait, ok := parseDuration(text)
	if !ok {
		return 0, coordinator.Invalidf("header %s: %.40q: use a duration such as 30s or 5m", headerWait, text)
	}
	return wait, nil
}
