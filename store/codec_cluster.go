package store

import "freshet/coordinator"

func nodeFields(w *wire, n *coordinator.NodeInfo) {
	text(w, 1, &n.Instance)
	text(w, 2, &n.Address)
	text(w, 3, &n.Build)
	w.flag(4, &n.Refresher)
	w.instant(5, &n.Started)
	integer(w, 6, &n.Applied)
	integer(w, 7, &n.SchemaMin)
	integer(w, 8, &n.SchemaMax)
	dict(w, 9, &n.Hazards, integerValue)
	list(w, 10, &n.SealKeys, func(w *wire, id *int) { integer(w, 1, id) })
	text(w, 11, &n.Egress)
}

func heartbeatFields(w *wire, h *coordinator.Heartbeat) {
	integer(w, 1, &h.Epoch)
	text(w, 2, &h.Node)
	w.instant(3, &h.At)
	list(w, 4, &h.Upstreams, upstreamFields)
}

func upstreamFields(w *wire, u *coordinator.UpstreamState) {
	text(w, 1, &u.Name)
	text(w, 2, &u.State)
	w.instant(3, &u.Since)
	integer(w, 4, &u.Waiting)
}

func electedFields(w *wire, e *coordinator.Elected) {
	integer(w, 1, &e.Epoch)
	text(w, 2, &e.Node)
	w.instant(3, &e.At)
}

func pausedFields(w *wire, p *coordinator.Paused) {
	text(w, 1, &p.By)
	w.instant(2, &p.At)
}

func fingerprintFields(w *wire, f *coordinator.FingerprintKey) { w.secret(1, &f.Key) }

func appliedFields(w *wire, f *coordinator.AppliedFile) {
	text(w, 1, &f.Hash)
	w.instant(2, &f.At)
}

func auditFields(w *wire, a *coordinator.Audit) {
	w.instant(1, &a.At)
	text(w, 2, &a.By)
	text(w, 3, &a.Action)
	list(w, 4, &a.Objects, func(w *wire, s *string) { text(w, 1, s) })
	list(w, 5, &a.Changed, func(w *wire, s *string) { text(w, 1, s) })
	text(w, 6, &a.Node)
	text(w, 7, &a.Traceparent)
}

// schema is what sys/schema holds: the oldest format a node must read to work
// with this cluster.
type schema struct{ Format int }

func schemaFields(w *wire, s *schema) { integer(w, 1, &s.Format) }

// appChange is what sys/apps holds, for people; only its revision is compared.
type appChange struct{ App string }

func appChangeFields(w *wire, c *appChange) { text(w, 1, &c.App) }
