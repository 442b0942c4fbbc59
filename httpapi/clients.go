package httpapi

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func (a *API) clientRoutes(r router) {
	r.handle(http.MethodGet, "/v1/clients", a.json(a.listClients, "prefix", "limit", "cursor"))
	r.handle(http.MethodPost, "/v1/clients", a.json(a.addClient))
	r.handle(http.MethodGet, "/v1/clients/{client}", a.json(a.getClient))
	r.handle(http.MethodDelete, "/v1/clients/{client}", a.json(a.deleteClient))
}

func (a *API) listClients(r request) (answer, error) {
	if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
		return answer{}, err
	}
	everyone := func(coordinator.Client) bool { return true }
	clients, next, err := page(a.node.Clients(), nameOfClient, r.query, everyone)
	if err != nil {
		return answer{}, err
	}
	list := client.ClientList{Clients: []client.ClientInfo{}, NextCursor: next}
	for _, c := range clients {
		list.Clients = append(list.Clients, clientInfo(c))
	}
	return ok(list), nil
}

func nameOfClient(c coordinator.Client) string { return c.Name }

func (a *API) getClient(r request) (answer, error) {
	if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
		return answer{}, err
	}
	for _, c := range a.node.Clients() {
		if c.Name == r.Param("client") {
			return ok(clientInfo(c)), nil
		}
	}
	return answer{}, coordinator.ErrUnknownClient
}

// clientInfo shows a client, without its digest.
func clientInfo(c coordinator.Client) client.ClientInfo {
	info := client.ClientInfo{
		Name:      c.Name,
		Can:       client.Permissions{},
		Note:      c.Note,
		Owner:     c.Owner,
		ExpiresAt: seconds(c.Expires),
		CreatedAt: seconds(c.Created),
	}
	for verb, globs := range c.Can {
		info.Can[string(verb)] = globs
	}
	return info
}

// maxNote bounds the note of a client, in bytes.
const maxNote = 500

// addClient makes a client. Its key is in this answer and nowhere else.
func (a *API) addClient(r request) (answer, error) {
	if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
		return answer{}, err
	}
	var body client.ClientBody
	if err := r.readBody(maxBody, &body); err != nil {
		return answer{}, err
	}
	if err := checkClient(body); err != nil {
		return answer{}, err
	}
	key := newKey()
	made := coordinator.Client{
		Name:    body.Name,
		Digest:  coordinator.DigestOf(coordinator.NewSecret(key)),
		Can:     map[coordinator.Verb][]string{},
		Note:    body.Note,
		Owner:   r.actor(),
		Expires: body.ExpiresAt,
	}
	for verb, globs := range body.Can {
		made.Can[coordinator.Verb(verb)] = globs
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	if err := a.node.AddClient(ctx, made); err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, client.ClientKey{Client: body.Name, Key: key}}, nil
}

func checkClient(body client.ClientBody) error {
	switch {
	case body.Name == "":
		return coordinator.Invalidf("field %q is missing", "name")
	case len(body.Can) == 0:
		return coordinator.Invalidf("field %q is missing: a client without permissions may do nothing", "can")
	case len(body.Note) > maxNote:
		return coordinator.Invalidf("field %q is longer than %d bytes", "note", maxNote)
	case !body.ExpiresAt.IsZero() && !body.ExpiresAt.After(time.Now()):
		return coordinator.Invalidf("field %q lies in the past", "expires_at")
	}
	return checkPermissions(body.Can)
}

// checkPermissions refuses what would permit nothing, or not what it seems to.
func checkPermissions(can client.Permissions) error {
	for _, verb := range slices.Sorted(maps.Keys(can)) {
		if len(can[verb]) == 0 {
			return coordinator.Invalidf("field %q: %.40q has no names: give it at least one, such as shop/*, or leave it out", "can", verb)
		}
		for _, glob := range can[verb] {
			if strings.Contains(glob, "***") {
				return coordinator.Invalidf("field %q: %.80q: use * within a segment, or ** across segments", "can", glob)
			}
		}
	}
	return nil
}

// newKey makes a client key of 256 random bits or more. Its beginning lets
// scanners for lost secrets find it.
func newKey() string { return "freshet_" + rand.Text() + rand.Text() }

func (a *API) deleteClient(r request) (answer, error) {
	if err := r.mayCluster(coordinator.VerbAdmin); err != nil {
		return answer{}, err
	}
	ctx, cancel := a.limited(r, 0)
	defer cancel()
	return answer{status: http.StatusNoContent}, a.node.RemoveClient(ctx, r.actor(), r.Param("client"))
}
