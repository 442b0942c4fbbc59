package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"freshet/coordinator"
)

// maxKey bounds a client key.
const maxKey = 512

// authenticate returns the client whose key the request carries. Only the
// Authorization header counts: a key in a query would end up in logs.
func (a *API) authenticate(r *http.Request) (coordinator.Client, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return coordinator.Client{}, errNoKey
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return coordinator.Client{}, errWrongKey
	}
	return a.keyHolder(key)
}

// keyHolder returns the client of a key.
func (a *API) keyHolder(key string) (coordinator.Client, error) {
	if key == "" || len(key) > maxKey {
		return coordinator.Client{}, errWrongKey
	}
	client, ok := a.node.Authenticate(coordinator.NewSecret(key))
	switch {
	case ok:
		return client, nil
	case !a.node.Health().Synced:
		return coordinator.Client{}, coordinator.ErrNotSynced // the keys are not known here yet
	}
	return coordinator.Client{}, errWrongKey
}

// everyToken stands for all tokens of an app, and everyApp for all apps, when
// permissions are looked up: only a glob that covers them all ("shop/*", "**")
// matches a star.
const (
	everyToken = "*"
	everyApp   = "*"
)

// may returns errForbidden unless the client may use one of the verbs on the
// token. It is asked before whether the token exists, so that the answer tells
// nothing about names the client may not see.
func (r request) may(name coordinator.Name, verbs ...coordinator.Verb) error {
	for _, verb := range verbs {
		if r.client.May(verb, name) {
			return nil
		}
	}
	return errForbidden
}

// mayApp is may for a whole app: the permission must cover all tokens it could have.
func (r request) mayApp(app string, verbs ...coordinator.Verb) error {
	return r.may(coordinator.Name{App: app, Token: everyToken}, verbs...)
}

// mayCluster is may for everything there is.
func (r request) mayCluster(verbs ...coordinator.Verb) error {
	return r.mayApp(everyApp, verbs...)
}

// mayAny returns errForbidden unless the client may use one of the verbs on
// anything at all.
func (r request) mayAny(verbs ...coordinator.Verb) error {
	if slices.ContainsFunc(verbs, r.client.MayAny) {
		return nil
	}
	return errForbidden
}

// tokenName reads the name of a token in the path. Its form is no secret, so it
// is checked before permissions are.
func (r request) tokenName() (coordinator.Name, error) {
	name := coordinator.Name{App: r.Param("app"), Token: r.Param("token")}
	if _, given := r.Params.Get("token"); !given {
		name.Token = coordinator.DefaultToken
	}
	if err := name.Check(); err != nil {
		return name, coordinator.Invalidf("%v", err)
	}
	return name, nil
}

// appName reads the name of an app in the path.
func (r request) appName() (string, error) {
	app := r.Param("app")
	if err := coordinator.CheckAppName(app); err != nil {
		return "", coordinator.Invalidf("%v", err)
	}
	return app, nil
}
