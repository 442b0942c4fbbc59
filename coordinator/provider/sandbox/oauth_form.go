package sandbox

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
)

// tokenRequest is a request to the token endpoint, with what was wrong with its form.
type tokenRequest struct {
	fields   url.Values // parameters with a value
	body     string     // form or json
	id       string     // the client it claims to be
	secret   string
	auth     ClientAuth
	wrong    *oauthError
	basicBad bool // the Authorization header makes no sense
}

// Bodies of OAuthClient.Body.
const (
	bodyForm = "form"
	bodyJSON = "json"
)

// readTokenRequest understands a request as strictly as RFC 6749 words it:
// parameters stand in the body and come once (resource excepted, see RFC 8707),
// and those without a value count as absent.
func readTokenRequest(r *http.Request, body []byte) tokenRequest {
	var t tokenRequest
	switch kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case r.Method != http.MethodPost:
		t.refuse(oauthError{
			code: oauthInvalidRequest, text: "the token endpoint is asked by POST",
			status: http.StatusMethodNotAllowed, header: map[string]string{"Allow": http.MethodPost},
		})
	case r.URL.RawQuery != "":
		t.refuse(oauthError{code: oauthInvalidRequest, text: "parameters belong into the body, not into the URL"})
	case err == nil && kind == "application/x-www-form-urlencoded":
		t.body = bodyForm
		t.readForm(body)
	case err == nil && kind == "application/json":
		t.body = bodyJSON
		t.readJSON(body)
	default:
		t.refuse(oauthError{code: oauthInvalidRequest, text: "the body must be a form or JSON"})
	}
	t.once()
	t.authenticate(r)
	return t
}

// refuse keeps the first thing that was wrong.
func (t *tokenRequest) refuse(e oauthError) {
	if t.wrong == nil {
		t.wrong = &e
	}
}

func (t *tokenRequest) readForm(body []byte) {
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		t.refuse(oauthError{code: oauthInvalidRequest, text: "the body is not a form"})
		return
	}
	t.fields = fields
}

// readJSON takes texts, and for resource a list of them. No RFC knows such a body;
// several platforms do.
func (t *tokenRequest) readJSON(body []byte) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil || raw == nil {
		t.refuse(oauthError{code: oauthInvalidRequest, text: "the body is not a JSON object"})
		return
	}
	t.fields = make(url.Values, len(raw))
	for name, value := range raw {
		var one string
		var many []string
		switch {
		case json.Unmarshal(value, &one) == nil:
			t.fields[name] = []string{one}
		case name == "resource" && json.Unmarshal(value, &many) == nil:
			t.fields[name] = many
		default:
			t.refuse(oauthError{code: oauthInvalidRequest, text: "parameters must be texts"})
		}
	}
}

// once refuses repeated parameters and forgets empty ones.
func (t *tokenRequest) once() {
	for name, values := range t.fields {
		if len(values) > 1 && name != "resource" {
			t.refuse(oauthError{code: oauthInvalidRequest, text: "a parameter is repeated"})
		}
		if len(values) == 0 || values[0] == "" {
			delete(t.fields, name)
		}
	}
}

// authenticate reads who the client claims to be. More than one method at once is
// refused, as is an id that differs between header and body.
func (t *tokenRequest) authenticate(r *http.Request) {
	t.id, t.secret, t.auth = t.fields.Get("client_id"), t.fields.Get("client_secret"), AuthNone
	if t.fields.Has("client_secret") {
		t.auth = AuthPost
	}
	if r.Header.Get("Authorization") == "" {
		return
	}
	id, secret, ok := r.BasicAuth()
	user, errUser := url.QueryUnescape(id)
	password, errPassword := url.QueryUnescape(secret)
	t.basicBad = !ok || errUser != nil || errPassword != nil
	if t.auth == AuthPost {
		t.refuse(oauthError{code: oauthInvalidRequest, text: "the client authenticates in two ways at once"})
	}
	if t.id != "" && !t.basicBad && t.id != user {
		t.refuse(oauthError{code: oauthInvalidRequest, text: "two client_ids"})
	}
	t.auth, t.id, t.secret = AuthBasic, user, password
}
