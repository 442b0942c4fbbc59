package coordinator

import (
	"maps"
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
