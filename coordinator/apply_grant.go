package coordinator

import (
	"maps"
	"slices"
)

// grantedBefore returns the credentials of an app that is applied with the
// refresh token that is kept for it, unless a given one replaces it or it would
// be sent somewhere else than it was given for.
func grantedBefore(app, former App, replace bool) map[string]Secret {
	kept, ok := former.Credentials[CredentialRefresh]
	if !ok || replace || app.Credentials == nil || elsewhere(app, former) {
		return app.Credentials
	}
	credentials := maps.Clone(app.Credentials)
	credentials[CredentialRefresh] = kept
	return credentials
}

// otherGrant reports whether an app that is applied brings another refresh token
// than the one that is kept for it.
func otherGrant(app, former App) bool {
	kept, ok := former.Credentials[CredentialRefresh]
	return ok && !kept.Equal(app.Credentials[CredentialRefresh])
}

// unspent refuses, for a grant, a refresh token that the platform has exchanged for
// the one that is kept, as when a file is applied twice: to present it again may
// revoke everything. One that a human replaced may have never been presented.
func (n *Node) unspent(r *records, app App) error {
	grant, kept := r.grants[app.Name]
	consumes := slices.ContainsFunc(n.providers[app.Provider].Groups(app), func(g Group) bool { return g.Rotation.Consumes() })
	if !kept || !consumes || grant.IntentRevision == 0 || !grant.Previous.Equal(app.Credentials[CredentialRefresh]) {
		return nil
	}
	return Invalidf("app %q: this refresh token was used already, for the one that the cluster keeps: leave that one, or authorise the app at the platform again and give the new one", app.Name)
}

// changeGrant moves a refresh token that is new from the app's credentials to
// its grant. Where credentials change beside a grant that stays, no refresh may
// be under way: it would be voided, and the refresh token it gets with it.
func (n *Node) changeGrant(r *records, app *App, former, effective App, replace bool, change *AppChange) {
	refresh, given := app.Credentials[CredentialRefresh]
	if !given {
		return
	}
	app.Credentials = withoutRefresh(app.Credentials)
	_, had := former.Credentials[CredentialRefresh]
	if had && !replace {
		if app.Incarnation != former.Incarnation {
			change.Calm = n.groupNames(effective)
		}
		return
	}
	grant := r.grants[app.Name]
	change.Grant = &Grant{
		App: app.Name, Incarnation: app.Incarnation, Generation: grant.Generation + 1, Current: refresh, Previous: grant.Current,
		Rotated: n.now(), Base: grant.Generation, Revision: grant.Revision,
	}
}
