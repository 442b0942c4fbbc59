//go:build unix

package main

import (
	"context"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

// walkSubject is whose consent the OAuth apps of a walk have.
const walkSubject = "somebody"

// rotations are the classes of rotation that the nodes of this rig can keep. One
// that rotates needs a spool.
func (r *rig) rotations() []sandbox.RefreshRotation {
	if r.disk == "" {
		return []sandbox.RefreshRotation{sandbox.RotateNone}
	}
	return []sandbox.RefreshRotation{sandbox.RotateNone, sandbox.RotateOldStays, sandbox.RotateGrace, sandbox.RotateStrict}
}

// oauth is an app that lives on a user's consent.
func (r *rig) oauth(class sandbox.RefreshRotation, life time.Duration) walkApp {
	a := walkApp{id: "client-" + string(class), kind: sandbox.KindOAuthToken}
	a.oauth = &sandbox.OAuthClient{ID: a.id, Secret: shopSecret, Rotation: class, Lifetime: life, Grace: life}
	a.app = r.shop(a.id)
	a.app.Provider, a.app.Upstream = "oauth2", r.boxAt+"/oauth/token"
	a.app.Options = map[string]string{"grant": "refresh_token", "rotation": string(class)}
	if class == sandbox.RotateGrace {
		a.app.Options["grace"] = life.String()
	}
	a.app.Credentials = client.Credentials{"client_id": a.id, "client_secret": shopSecret}
	return a.named("oauth-" + string(class))
}

func (w *walk) enrollOAuth(t *testing.T, a *walkApp) {
	t.Helper()
	err := w.box.UpdateOAuthClient(a.id, func(c *sandbox.OAuthClient) error {
		*c = *a.oauth
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if a.app.Credentials["refresh_token"], err = w.box.Issue(a.id, walkSubject); err != nil {
		t.Fatal(err)
	}
}

const (
	lookEvery = 2 * time.Second
	// settled is how long a token that needs a human stays so before one comes: a
	// result that was saved may still be applied.
	settled = 8 * time.Second
)

// human looks after the apps that live on a consent until ctx ends. Whoever asks
// for a new one gets it, and has to explain why the last one is gone.
func (w *walk) human(ctx context.Context, t *testing.T) {
	waiting, given := map[string]time.Time{}, map[string]time.Time{}
	began := time.Now()
	for pause(ctx, lookEvery) {
		for _, a := range w.apps {
			if a.oauth == nil {
				continue
			}
			switch since := waiting[a.id]; {
			case !w.needsHuman(ctx, a):
				delete(waiting, a.id)
			case since.IsZero():
				waiting[a.id] = time.Now()
			case time.Since(since) > settled:
				if given[a.id].IsZero() {
					given[a.id] = began
				}
				if current, ok := w.box.CurrentRefresh(a.id, walkSubject); !ok || !w.ledger.Holds(a.name.App, current) {
					w.grants.Lost(w.windows, a.name.App, given[a.id])
				}
				w.consent(ctx, t, a)
				given[a.id] = time.Now()
				delete(waiting, a.id)
			}
		}
	}
}

// needsHuman reports whether some node says that only a human can help.
func (w *walk) needsHuman(ctx context.Context, a walkApp) bool {
	ctx, cancel := context.WithTimeout(ctx, clientLimit)
	defer cancel()
	for _, p := range w.posts {
		state, err := p.living.Load().State(ctx, a.name.String())
		if err == nil {
			return state.State == "reauthorize" || state.State == "uncertain"
		}
	}
	return false
}

// consent gives an app a new refresh token.
func (w *walk) consent(ctx context.Context, t *testing.T, a walkApp) {
	ctx, cancel := context.WithTimeout(ctx, 4*clientLimit)
	defer cancel()
	app := a.app
	var err error
	app.Credentials = client.Credentials{"client_id": a.id, "client_secret": shopSecret}
	if app.Credentials["refresh_token"], err = w.box.Issue(a.id, walkSubject); err != nil {
		t.Error(err)
		return
	}
	w.note("consent for " + a.name.App)
	for _, p := range w.posts {
		if _, err = p.living.Load().PutApp(ctx, a.name.App, app, client.ApplyOptions{ReplaceGrant: true}); err == nil {
			w.grants.Consented()
			return
		}
	}
}

// recoverable complains of refresh tokens that nobody holds although nothing is
// under way any more.
func (w *walk) recoverable(t *testing.T) {
	t.Helper()
	for _, a := range w.apps {
		if a.oauth == nil {
			continue
		}
		if current, ok := w.box.CurrentRefresh(a.id, walkSubject); !ok || !w.ledger.Holds(a.name.App, current) {
			w.grants.Lost(w.windows, a.name.App, time.Now().Add(-time.Minute))
		}
	}
}
