package httpapi

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
)

// passOn passes a call on to the platform with the value that is held now, in the
// place of the one it carries. That one authorises it, for its app alone: a
// program that keeps a token until its end works on while it is replaced.
func (p platform) passOn(c *gin.Context) {
	if err := p.passed(c); err != nil && !c.Writer.Written() {
		p.refuse(c, err)
	}
}

func (p platform) passed(c *gin.Context) error {
	r := below(c.Request, p.prefix)
	value, err := p.carried(r)
	if err != nil {
		return err
	}
	name, err := p.recognize(value)
	if err != nil {
		return err
	}
	injection, err := p.node.Injection(name.App)
	if err != nil {
		return err
	}
	return p.forward(c, forwarding{
		client: bearer(name), name: name, injection: injection,
		path: r.URL.EscapedPath(), query: r.URL.RawQuery, wait: p.compat.Patience,
	})
}

// carried returns the value that a call carries. It must be one, for of two the
// platform might take the other for true; and a client key, which programs send in
// the place of the app's secret, is nothing for the platform to see.
func (p platform) carried(r *http.Request) (coordinator.Secret, error) {
	parameters, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return coordinator.Secret{}, coordinator.Invalidf("the query is not well formed")
	}
	for _, all := range parameters {
		for _, text := range all {
			if _, err := p.keyHolder(text); err == nil {
				return coordinator.Secret{}, errKeyCarried
			}
		}
	}
	values := parameters[p.dropIn.Carries().Query]
	switch {
	case len(values) == 0, len(values) == 1 && values[0] == "":
		return coordinator.Secret{}, coordinator.ErrNoValue
	case len(values) > 1:
		return coordinator.Secret{}, coordinator.Invalidf("the call carries several values: send one")
	}
	return coordinator.NewSecret(values[0]), nil
}

// errKeyCarried refuses calls that need the app's real secret.
var errKeyCarried = coordinator.Invalidf("the call carries a client key in the place of the app's secret, which stays in the cluster: " +
	"it cannot be passed on")
