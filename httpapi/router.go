package httpapi

import (
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
)

// router is a gin engine without gin's habits: it redirects nowhere (a redirect
// would carry secrets along), trusts no proxy, and prints nothing.
type router struct {
	engine *gin.Engine
}

func (a *API) newRouter() router {
	gin.SetMode(gin.ReleaseMode) // the only switch for gin's printing; it is global, and the same from everywhere
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	engine.RemoveExtraSlash = false
	engine.ForwardedByClientIP = false
	// An escaped slash stays inside its segment, where the check of the name
	// refuses it, so that what a proxy before us took for one name is one for us.
	engine.UseEscapedPath = true
	_ = engine.SetTrustedProxies(nil) // cannot fail for none

	engine.Use(a.rescue, a.logAccess)
	engine.NoRoute(func(c *gin.Context) { a.fail(c, errNoRoute) })
	engine.NoMethod(func(c *gin.Context) { a.fail(c, errMethod) })
	return router{engine: engine}
}

// ginParam finds the "{app}" of a pattern, which gin writes ":app", and ginRest the
// "{path...}" that takes the rest of a path, which it writes "*path".
var (
	ginParam = regexp.MustCompile(`\{([a-z]+)\}`)
	ginRest  = regexp.MustCompile(`\{([a-z]+)\.\.\.\}`)
)

// handle serves a pattern such as "/v1/apps/{app}". A GET route answers HEAD too.
func (r router) handle(method, route string, h gin.HandlerFunc) {
	path := ginRest.ReplaceAllString(ginParam.ReplaceAllString(route, ":$1"), "*$1")
	mark := func(c *gin.Context) { c.Request.Pattern = route }
	r.engine.Handle(method, path, mark, h)
	if method == http.MethodGet {
		r.engine.Handle(http.MethodHead, path, mark, h)
	}
}

// pattern returns the route that matched, for traces and logs: never a path,
// which may hold what nobody should keep.
func pattern(r *http.Request) string { return r.Pattern }

// wrap serves a plain handler.
func wrap(h http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) { h.ServeHTTP(c.Writer, c.Request) }
}

// rescue answers a panic with a problem and logs it, without the request,
// whose headers hold a client key.
func (a *API) rescue(c *gin.Context) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if err, ok := value.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // net/http compares so
			panic(value)
		}
		a.log.ErrorContext(c.Request.Context(), "handler panicked",
			"route", pattern(c.Request), "panic", value, "stack", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler) // a broken answer must not look whole
		}
		a.fail(c, errPanic)
	}()
	c.Next()
}

// logAccess logs each request at debug level, by its route.
func (a *API) logAccess(c *gin.Context) {
	if !a.log.Enabled(c.Request.Context(), slog.LevelDebug) {
		return
	}
	began := time.Now()
	c.Next()
	a.log.DebugContext(c.Request.Context(), "request answered", "method", c.Request.Method,
		"route", pattern(c.Request), "status", c.Writer.Status(), "elapsed", time.Since(began))
}
