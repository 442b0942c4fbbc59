package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"freshet/coordinator"
)

// platform is a surface in the place of a platform: it answers the calls for
// tokens itself and passes on every other.
type platform struct {
	*API

	provider string
	dropIn   coordinator.DropIn
	prefix   string
}

func (p platform) serve(c *gin.Context) {
	r := below(c.Request, p.prefix)
	r.Body = http.MaxBytesReader(c.Writer, r.Body, maxBody)
	call, err := p.dropIn.TokenCall(r)
	if errors.Is(err, coordinator.ErrNoTokenCall) {
		p.passOn(c)
		return
	}
	var v *coordinator.View
	if err == nil {
		v, err = p.value(r.Context(), call)
	}
	if err != nil {
		p.refuse(c, err)
		return
	}
	c.Writer.Header()["Freshet-Version"] = []string{strconv.FormatInt(v.Version(), 10)}
	p.writeReply(c, p.dropIn.Grant(call, v.Token.Value, v.Lives(time.Now(), 0)))
}

// refuse answers with an error in the platform's words.
func (p platform) refuse(c *gin.Context, err error) {
	p.writeReply(c, p.dropIn.Refusal(err))
}

// value finds the value that a call asks for.
func (p platform) value(ctx context.Context, call coordinator.TokenCall) (*coordinator.View, error) {
	name, client, err := p.target(call)
	if err != nil {
		return nil, err
	}
	app, err := p.node.Effective(name.App)
	if err != nil {
		return nil, err
	}
	if _, kept := app.Tokens[name.Token]; !kept {
		return nil, coordinator.ErrNotKept
	}
	if call.Force {
		p.reportHeld(ctx, client, name)
	}
	return p.handOut(ctx, client, name)
}

// target finds the token that a call asks for, and who asks.
func (p platform) target(call coordinator.TokenCall) (name coordinator.Name, client string, err error) {
	if !call.Value.IsZero() {
		held, err := p.recognize(call.Value)
		return coordinator.Name{App: held.App, Token: call.Token}, bearer(held), err
	}
	holder, err := p.holderOf(call.Key)
	if err != nil {
		return name, "", err
	}
	app, err := p.appOf(holder, p.provider, call)
	return coordinator.Name{App: app, Token: call.Token}, holder.Name, err
}

// recognize finds the access_token of an app of this platform by its value, which
// may be that of other tokens as well, such as a copy that is pushed.
func (p platform) recognize(value coordinator.Secret) (coordinator.Name, error) {
	for _, name := range p.node.Recognize(value) {
		if name.Token != coordinator.DefaultToken {
			continue
		}
		if app, err := p.node.Effective(name.App); err == nil && app.Provider == p.provider {
			return name, nil
		}
	}
	return coordinator.Name{}, coordinator.ErrValueRefused
}

// holderOf returns the client of a key that did not come in the Authorization header.
func (a *API) holderOf(key coordinator.Secret) (coordinator.Client, error) {
	client, err := a.keyHolder(key.Reveal())
	if errors.Is(err, errWrongKey) {
		return client, coordinator.ErrKeyRefused
	}
	return client, err
}

// appOf finds the app that a client means by an id: the platform's, or our own
// name of it. Apps whose token it may not read are not there for it.
func (a *API) appOf(client coordinator.Client, provider string, call coordinator.TokenCall) (string, error) {
	known := ""
	for _, identity := range call.Identities {
		app, ok := a.node.Identified(identity)
		if ok && client.May(coordinator.VerbRead, coordinator.Name{App: app, Token: call.Token}) {
			known = app
			break
		}
	}
	name := coordinator.Name{App: call.ID, Token: call.Token}
	if name.Check() != nil || !client.May(coordinator.VerbRead, name) {
		name.App = ""
	} else if app, err := a.node.Effective(name.App); err != nil || app.Provider != provider {
		name.App = ""
	}
	switch {
	case known != "" && name.App != "" && known != name.App:
		return "", coordinator.Invalidf("%q is the id of app %q and the name of another one: rename one of them", call.ID, known)
	case known == "" && name.App == "":
		return "", coordinator.ErrUnknownApp
	case known == "":
		return name.App, nil
	}
	return known, nil
}
