package store

import "freshet/coordinator"

// The numbers below are part of the stored format: one that is no longer used
// is never given to another field.

func appFields(w *wire, a *coordinator.App) {
	text(w, 1, &a.Provider)
	text(w, 2, &a.Parent)
	text(w, 3, &a.Upstream)
	dict(w, 4, &a.Options, textValue)
	dict(w, 5, &a.Tokens, tokenSettingsFields)
	part(w, 6, &a.Refresh, refreshFields)
	dict(w, 7, &a.Labels, textValue)
	w.flag(8, &a.Paused)
	text(w, 9, &a.Owner)
	integer(w, 10, &a.Incarnation)
	w.newer(10, &a.Newer)
}

// tokenSettingsFields begin at 2: they are values of a map.
func tokenSettingsFields(w *wire, s *coordinator.TokenSettings) {
	part(w, 2, &s.Window, windowFields)
	dict(w, 3, &s.Options, textValue)
}

func refreshFields(w *wire, r *coordinator.RefreshSettings) {
	part(w, 1, &r.Window, windowFields)
	integer(w, 2, &r.RetryMin)
	integer(w, 3, &r.RetryMax)
	integer(w, 4, &r.Timeout)
	integer(w, 5, &r.Budget)
	integer(w, 6, &r.Probe)
}

func windowFields(w *wire, o *coordinator.Window) {
	w.float(1, &o.Share)
	integer(w, 2, &o.Length)
}

func credentialsFields(w *wire, c *coordinator.Credentials) {
	integer(w, 1, &c.Incarnation)
	dict(w, 2, &c.Fields, secretValue)
}

func clientFields(w *wire, c *coordinator.Client) {
	w.digest(1, &c.Digest)
	dict(w, 2, &c.Can, textsValue)
	text(w, 3, &c.Note)
	text(w, 4, &c.Owner)
	w.instant(5, &c.Expires)
	w.instant(6, &c.Created)
}
