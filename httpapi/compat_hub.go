package httpapi

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
)

// hubFound and hubMissing are what programs of feng19/wechat expect of a hub.
type hubFound struct {
	Error int      `json:"error"`
	Store hubStore `json:"store_map"`
}

type hubStore struct {
	Value   string `json:"value"`
	Expires int64  `json:"expired_time"` // seconds since 1970
}

type hubMissing struct {
	Error int    `json:"error"`
	Text  string `json:"msg"`
}

// hubTokens are the tokens by the hub's names. Refresh tokens and pushed tickets
// are nobody's business.
func hubTokens() map[string]string {
	return map[string]string{
		"access_token":           "access_token",
		"component_access_token": "component_access_token",
		"js_api_ticket":          "jsapi_ticket",
		"agent_js_api_ticket":    "agent_jsapi_ticket",
		"wx_card_ticket":         "wx_card_ticket",
	}
}

// hubEntry answers one entry of a hub's store. The client key is the password of
// basic authentication, whatever the user; as a hub does, it says with status
// 200 that there is no such entry.
func (a *API) hubEntry(c *gin.Context) {
	client, err := a.hubClient(c.Request)
	switch {
	case errors.Is(err, coordinator.ErrNotSynced):
		a.writeHub(c, http.StatusServiceUnavailable, hubMissing{http.StatusServiceUnavailable, err.Error()})
		return
	case err != nil:
		c.Writer.Header().Set("WWW-Authenticate", `Basic realm="freshet"`)
		a.writeHub(c, http.StatusUnauthorized, hubMissing{http.StatusUnauthorized, err.Error()})
		return
	}
	v, err := a.hubValue(c, client)
	if err != nil {
		a.writeHub(c, http.StatusOK, hubMissing{http.StatusNotFound, err.Error()})
		return
	}
	a.writeHub(c, http.StatusOK, hubFound{0, hubStore{v.Token.Value.Reveal(), v.Token.Expires.Unix()}})
}

func (a *API) hubClient(r *http.Request) (coordinator.Client, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return coordinator.Client{}, errNoHubKey
	}
	if _, password, ok := r.BasicAuth(); ok && len(values) == 1 {
		return a.keyHolder(password)
	}
	return a.authenticate(r)
}

// hubValue finds the value of an entry: of an app named by the platform's id of
// it or by ours, which the client may read.
func (a *API) hubValue(c *gin.Context, client coordinator.Client) (*coordinator.View, error) {
	token, ok := hubTokens()[c.Param("entry")]
	if !ok {
		return nil, coordinator.ErrUnknownToken
	}
	name, err := a.hubName(client, c.Param("store"), token)
	if err != nil {
		return nil, err
	}
	return a.handOut(c.Request.Context(), client.Name, name)
}

// hubName finds the token of an entry among the apps of all platforms that have
// a drop-in surface, and among those of that name.
func (a *API) hubName(client coordinator.Client, store, token string) (coordinator.Name, error) {
	var found []coordinator.Name
	add := func(name coordinator.Name) {
		app, err := a.node.Effective(name.App)
		if err != nil || !client.May(coordinator.VerbRead, name) {
			return
		}
		if _, kept := app.Tokens[token]; kept {
			found = append(found, name)
		}
	}
	for _, provider := range a.compat.Providers {
		dropIn, _ := a.node.DropIn(provider) // New has checked it
		for _, identity := range dropIn.Identities(store) {
			if app, ok := a.node.Identified(identity); ok && len(found) == 0 {
				add(coordinator.Name{App: app, Token: token})
			}
		}
	}
	if name := (coordinator.Name{App: store, Token: token}); len(found) == 0 && name.Check() == nil {
		add(name)
	}
	if len(found) == 0 {
		return coordinator.Name{}, errNoHubEntry
	}
	return found[0], nil
}

func (a *API) writeHub(c *gin.Context, status int, body any) {
	a.headers.set(c.Writer.Header(), a.node.Health())
	_ = writeJSON(c, answer{status, body}, "application/json; charset=utf-8") // texts and numbers always encode
}
