package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func (a *API) healthRoutes(r router) {
	r.handle(http.MethodGet, "/livez", a.open(a.livez))
	r.handle(http.MethodGet, "/readyz", a.open(a.readyz, "verbose", "fresh"))
}

// open serves a route that asks for no key.
func (a *API) open(serve func(q query) (answer, error), known ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		a.headers.set(c.Writer.Header(), a.node.Health())
		q, err := parseQuery(c.Request.URL.RawQuery, known)
		if err != nil {
			a.fail(c, err)
			return
		}
		reply, err := serve(q)
		if err == nil {
			err = writeJSON(c, reply, "application/json")
		}
		if err != nil {
			a.fail(c, err)
		}
	}
}

// health is the body of the health routes. What follows the first four fields is shown by ?verbose.
type health struct {
	Status   string  `json:"status"` // "ok", "ready", or "not_ready"
	Stale    bool    `json:"stale"`
	WatchAge float64 `json:"watch_age_seconds"`
	Source   string  `json:"source"` // of what is served: "cluster", "snapshot", or "none" yet

	Node         string `json:"node,omitempty"`
	Build        string `json:"build,omitempty"`
	Synced       *bool  `json:"synced,omitempty"`
	Draining     *bool  `json:"draining,omitempty"`
	FromSnapshot *bool  `json:"from_snapshot,omitempty"`
}

// livez says that the process answers.
func (a *API) livez(query) (answer, error) {
	h := a.node.Health()
	return ok(healthOf("ok", h)), nil
}

// readyz says whether the node should be given requests: it can serve and is
// not going away. That it hears nothing from the cluster does not count, or the
// loss of etcd would empty every load balancer although reads go on; who wants
// to know asks ?fresh.
func (a *API) readyz(q query) (answer, error) {
	verbose, err := q.flag("verbose")
	if err != nil {
		return answer{}, err
	}
	fresh, err := q.flag("fresh")
	if err != nil {
		return answer{}, err
	}
	h := a.node.Health()
	body := healthOf("ready", h)
	if verbose {
		a.tell(&body, h)
	}
	if h.Ready() && (!fresh || !h.Stale) {
		return ok(body), nil
	}
	body.Status = "not_ready"
	return answer{http.StatusServiceUnavailable, body}, nil
}

func healthOf(status string, h coordinator.Health) health {
	return health{Status: status, Stale: h.Stale, WatchAge: h.Age.Seconds(), Source: sourceOf(h)}
}

// sourceOf says where what is served came from.
func sourceOf(h coordinator.Health) string {
	switch {
	case h.FromSnapshot:
		return client.SourceSnapshot
	case h.Synced:
		return client.SourceCluster
	}
	return client.SourceNone
}

func (a *API) tell(body *health, h coordinator.Health) {
	body.Node, body.Build = a.node.Name(), a.build
	body.Synced, body.Draining, body.FromSnapshot = &h.Synced, &h.Draining, &h.FromSnapshot
}
