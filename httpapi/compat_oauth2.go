package httpapi

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
)

// oauthGranted is the success of a token endpoint (RFC 6749, section 5.1).
type oauthGranted struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope,omitempty"`
}

// oauthProblem is its failure (section 5.2).
type oauthProblem struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// oauthError is an error of a token call, with the code that programs read.
type oauthError struct {
	status int
	code   string
	text   string
}

func (e *oauthError) Error() string { return e.code + ": " + e.text }

// The codes of RFC 6749, and one of its section 4.1.2.1 that token endpoints use too.
func badForm(text string) error { return &oauthError{http.StatusBadRequest, "invalid_request", text} }

func badScope(text string) error { return &oauthError{http.StatusBadRequest, "invalid_scope", text} }

func badGrant(text string) error {
	return &oauthError{http.StatusBadRequest, "unsupported_grant_type", text}
}

// unknownClient refuses a key, and with the same words an app that does not
// exist or that the client may not read.
func unknownClient() error {
	return &oauthError{http.StatusUnauthorized, "invalid_client", "the client_secret is no valid client key, or the client_id no app whose token it may read"}
}

// oauthToken stands in for a token endpoint and its grant client_credentials
// (RFC 6749, section 4.4): the client_id names an app, or one of its tokens as
// "app/token", and the client_secret is a client key.
func (a *API) oauthToken(c *gin.Context) {
	v, err := a.oauthValue(c)
	if err != nil {
		a.refuseOAuth(c, err)
		return
	}
	token := v.Token
	granted := oauthGranted{
		AccessToken: token.Value.Reveal(), TokenType: token.Type,
		ExpiresIn: expiresIn(v, time.Now()), Scope: token.Scope,
	}
	if granted.TokenType == "" {
		granted.TokenType = "Bearer"
	}
	c.Writer.Header()["Freshet-Version"] = []string{strconv.FormatInt(token.Version, 10)}
	a.writeOAuth(c, http.StatusOK, granted)
}

func (a *API) oauthValue(c *gin.Context) (*coordinator.View, error) {
	form, err := readOAuthForm(c.Writer, c.Request)
	if err != nil {
		return nil, err
	}
	client, err := a.oauthClient(form.secrets)
	if err != nil {
		return nil, err
	}
	name, err := a.oauthTarget(client, form)
	if err != nil {
		return nil, err
	}
	return a.handOut(c.Request.Context(), client.Name, name)
}

// oauthClient returns the client of the first secret that is a client key.
func (a *API) oauthClient(secrets []string) (coordinator.Client, error) {
	for _, secret := range secrets {
		client, err := a.keyHolder(secret)
		if err == nil || !errors.Is(err, errWrongKey) {
			return client, err
		}
	}
	return coordinator.Client{}, unknownClient()
}

// oauthTarget finds the token that a client asks for: the one it names, the
// access_token of the app it names, or whichever of the app's has the scope.
func (a *API) oauthTarget(client coordinator.Client, form oauthForm) (coordinator.Name, error) {
	for _, id := range form.ids {
		name, err := coordinator.ParseName(id)
		if err != nil {
			continue
		}
		app, err := a.node.Effective(name.App)
		if err != nil {
			continue
		}
		candidates := readable(client, app, name.App)
		if id == name.String() || form.scope == "" {
			candidates = slices.DeleteFunc(candidates, func(n coordinator.Name) bool { return n != name })
		}
		switch {
		case len(candidates) == 0:
			continue
		case form.scope != "":
			return a.scoped(app, candidates, form.scope)
		}
		return name, nil
	}
	return coordinator.Name{}, unknownClient()
}

// readable returns the tokens of an app that a client may read, sorted.
func readable(client coordinator.Client, app coordinator.App, name string) []coordinator.Name {
	var names []coordinator.Name
	for _, token := range slices.Sorted(maps.Keys(app.Tokens)) {
		n := coordinator.Name{App: name, Token: token}
		if client.May(coordinator.VerbRead, n) {
			names = append(names, n)
		}
	}
	return names
}

// refuseOAuth answers with an error in the words of RFC 6749.
func (a *API) refuseOAuth(c *gin.Context, err error) {
	own := oauthErrorOf(err)
	if own.status == http.StatusUnauthorized {
		c.Writer.Header().Set("WWW-Authenticate", `Basic realm="freshet"`)
	}
	if own.status == http.StatusServiceUnavailable {
		c.Writer.Header().Set("Retry-After", strconv.Itoa(retryAfter(err)))
	}
	a.writeOAuth(c, own.status, oauthProblem{own.code, own.text})
}

// oauthErrorOf gives what readers of tokens meet a code of RFC 6749.
func oauthErrorOf(err error) *oauthError {
	if own, ok := errors.AsType[*oauthError](err); ok {
		return own
	}
	if errors.Is(err, coordinator.ErrReauthorize) {
		return &oauthError{http.StatusBadRequest, "invalid_grant", err.Error()}
	}
	text := "the token cannot be had now: try again"
	if missing, ok := errors.AsType[*coordinator.NoValueError](err); ok {
		text = missing.Error()
	}
	return &oauthError{http.StatusServiceUnavailable, "temporarily_unavailable", text}
}

func (a *API) writeOAuth(c *gin.Context, status int, body any) {
	header := c.Writer.Header()
	a.headers.set(header, a.node.Health())
	header["Pragma"] = []string{"no-cache"}
	_ = writeJSON(c, answer{status, body}, "application/json") // texts and numbers always encode
}
