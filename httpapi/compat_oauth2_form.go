package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"freshet/coordinator"
)

// oauthForm is a token request, understood.
type oauthForm struct {
	ids     []string // what the client_id may be; the likeliest first
	secrets []string // what the client_secret may be
	scope   string
}

// readOAuthForm reads a token request. Its errors are *oauthError and repeat
// nothing of it.
func readOAuthForm(w http.ResponseWriter, r *http.Request) (oauthForm, error) {
	if r.URL.RawQuery != "" {
		return oauthForm{}, badForm("send the parameters in the body: what stands in a URL ends up in logs")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return oauthForm{}, badForm("send the body as a form: Content-Type: application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return oauthForm{}, &oauthError{http.StatusRequestEntityTooLarge, "invalid_request", errTooLarge.Error()}
	}
	if err != nil {
		return oauthForm{}, badForm("the body could not be read to its end")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return oauthForm{}, badForm("the body is not a well-formed form")
	}
	return parseOAuthForm(values, r.Header["Authorization"])
}

// parseOAuthForm reads the parameters; those it does not know are passed over, as
// the RFC demands.
func parseOAuthForm(values url.Values, authorization []string) (oauthForm, error) {
	for _, all := range values {
		if len(all) > 1 {
			return oauthForm{}, badForm("a parameter is given twice")
		}
	}
	switch grant := values.Get("grant_type"); grant {
	case "client_credentials":
	case "":
		return oauthForm{}, badForm("the parameter grant_type is missing")
	default:
		return oauthForm{}, badGrant("this endpoint knows the grant client_credentials only")
	}
	form := oauthForm{scope: values.Get("scope")}
	secret := values.Get("client_secret")
	switch {
	case len(authorization) > 1, len(authorization) == 1 && secret != "":
		return oauthForm{}, badForm("authenticate once: by the Authorization header, or by client_secret in the body")
	case len(authorization) == 1:
		return form.basic(authorization[0], values.Get("client_id"))
	}
	form.ids, form.secrets = []string{values.Get("client_id")}, []string{secret}
	return form, nil
}

// basic reads client_secret_basic. Id and secret are encoded as in a form before
// they are put together, which many programs leave out: both readings are tried.
func (f oauthForm) basic(header, id string) (oauthForm, error) {
	user, password, ok := (&http.Request{Header: http.Header{"Authorization": {header}}}).BasicAuth()
	if !ok {
		return f, unknownClient()
	}
	f.ids, f.secrets = readings(user), readings(password)
	if id != "" && !slices.Contains(f.ids, id) {
		return f, badForm("the client_id of the body is another one than that of the Authorization header")
	}
	return f, nil
}

// readings returns what a text of an encoded pair may mean.
func readings(text string) []string {
	decoded, err := url.QueryUnescape(text)
	if err != nil || decoded == text {
		return []string{text}
	}
	return []string{decoded, text}
}

// scoped returns the one of some tokens of an app that a scope asks for: that
// whose settings have this very scope, or the only one that was granted all of it.
func (a *API) scoped(app coordinator.App, names []coordinator.Name, scope string) (coordinator.Name, error) {
	want := strings.Fields(scope)
	var exact, wider []coordinator.Name
	for _, name := range names {
		if sameWords(strings.Fields(app.Tokens[name.Token].Options["scope"]), want) {
			exact = append(exact, name)
		}
		if a.grants(app, name, want) {
			wider = append(wider, name)
		}
	}
	switch {
	case len(exact) == 1:
		return exact[0], nil
	case len(wider) == 1:
		return wider[0], nil
	case len(wider) > 1:
		return coordinator.Name{}, badScope("several tokens have this scope: name one by a client_id like " + wider[0].String())
	}
	return coordinator.Name{}, badScope("no token that this client may read has this scope")
}

// grants reports whether a token has all of a scope, by its settings or by what
// the platform has granted.
func (a *API) grants(app coordinator.App, name coordinator.Name, want []string) bool {
	have := strings.Fields(app.Tokens[name.Token].Options["scope"])
	if v, ok := a.node.View(name); ok && v.Token != nil {
		have = append(have, strings.Fields(v.Token.Scope)...)
	}
	return !slices.ContainsFunc(want, func(word string) bool { return !slices.Contains(have, word) })
}

// sameWords compares without regard to order.
func sameWords(a, b []string) bool {
	slices.Sort(a)
	b = slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
