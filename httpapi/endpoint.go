package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
)

// request is one request of a known client, with its query read.
type request struct {
	*gin.Context

	client coordinator.Client
	query  query
}

// ctx is the context of the request: it ends when the client goes away.
func (r request) ctx() context.Context { return r.Request.Context() }

// actor is who changes something by this request, as records of it say.
func (r request) actor() string { return "api:" + r.client.Name }

// answer is what an endpoint answers with: a status and a value to encode as
// JSON, nil for none.
type answer struct {
	status int
	body   any
}

func ok(body any) answer { return answer{http.StatusOK, body} }

// endpoint serves one route.
type endpoint func(r request) (answer, error)

// authenticated serves a route for known clients. Its query may have the known
// parameters and no others.
func (a *API) authenticated(serve func(r request) error, known ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		a.headers.set(c.Writer.Header(), a.node.Health())
		client, err := a.authenticate(c.Request)
		if err != nil {
			a.fail(c, err)
			return
		}
		q, err := parseQuery(c.Request.URL.RawQuery, known)
		if err != nil {
			a.fail(c, err)
			return
		}
		if err := serve(request{Context: c, client: client, query: q}); err != nil {
			a.fail(c, err)
		}
	}
}

// json serves a route whose answers are JSON.
func (a *API) json(serve endpoint, known ...string) gin.HandlerFunc {
	return a.authenticated(func(r request) error {
		reply, err := serve(r)
		if err != nil {
			return err
		}
		return writeJSON(r.Context, reply, "application/json")
	}, known...)
}

// writeJSON writes an answer.
func writeJSON(c *gin.Context, reply answer, mediaType string) error {
	if reply.body == nil {
		c.Status(reply.status)
		c.Writer.WriteHeaderNow()
		return nil
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // for people: "<" in a reason stays readable
	if err := encoder.Encode(reply.body); err != nil {
		return err
	}
	header := c.Writer.Header()
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	c.Status(reply.status)
	_, _ = c.Writer.Write(body.Bytes()) // a client that has gone needs no error
	return nil
}

// limited returns the context of a request that writes to the store: a store
// that does not answer must not hold the client for ever.
func (a *API) limited(r request, wait time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.ctx(), a.timeLimit+wait)
}

// constantHeaders are the headers of every answer. The slices are shared by all
// of them, and nobody may append to them.
type constantHeaders struct {
	noStore, vary, noSniff, node []string
}

func newConstantHeaders(node string) constantHeaders {
	return constantHeaders{
		noStore: []string{"no-store"},
		vary:    []string{"Accept, Authorization"},
		noSniff: []string{"nosniff"},
		node:    []string{node},
	}
}

// set sets them, and how long ago this node heard from the cluster.
func (h constantHeaders) set(header http.Header, health coordinator.Health) {
	header["Cache-Control"] = h.noStore
	header["Vary"] = h.vary
	header["X-Content-Type-Options"] = h.noSniff
	header["Freshet-Node"] = h.node
	header["Freshet-Watch-Age"] = []string{strconv.FormatInt(int64(health.Age/time.Second), 10)}
}
