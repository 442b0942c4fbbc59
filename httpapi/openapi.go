package httpapi

import (
	_ "embed"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
)

// openAPIDocument describes the routes of this API, as OpenAPI 3.1. The test
// TestOpenAPIDocument writes it from the table of operations and the wire types.
//
//go:embed openapi.json
var openAPIDocument []byte

func (a *API) openAPIRoutes(r router) {
	r.handle(http.MethodGet, "/v1/openapi.json", a.describe)
}

// describe answers the document. It asks for no key: there is no secret in it.
func (a *API) describe(c *gin.Context) {
	header := c.Writer.Header()
	a.headers.set(header, a.node.Health())
	if _, err := parseQuery(c.Request.URL.RawQuery, nil); err != nil {
		a.fail(c, err)
		return
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(openAPIDocument)))
	c.Status(http.StatusOK)
	_, _ = c.Writer.Write(openAPIDocument)
}
