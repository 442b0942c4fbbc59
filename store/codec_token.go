package store

import "freshet/coordinator"

func tokenFields(w *wire, t *coordinator.Token) {
	w.secret(1, &t.Value)
	text(w, 2, &t.Type)
	text(w, 3, &t.Scope)
	dict(w, 4, &t.Extra, textValue)
	integer(w, 5, &t.Version)
	w.instant(6, &t.Issued)
	w.instant(7, &t.Expires)
	integer(w, 8, &t.Epoch)
	text(w, 9, &t.Traceparent)
	w.flag(10, &t.Moved)
}

func stateFields(w *wire, s *coordinator.State) {
	integer(w, 1, &s.Incarnation)
	w.flag(2, &s.Deleted)
	integer(w, 3, &s.Version)
	text(w, 4, &s.Status)
	text(w, 5, &s.Reason)
	w.instant(6, &s.Issued)
	w.instant(7, &s.Expires)
	w.instant(8, &s.Due)
	integer(w, 9, &s.Failures)
	w.instant(10, &s.Forced)
	integer(w, 11, &s.Deaths)
	part(w, 12, &s.Verdict, verdictFields)
	integer(w, 13, &s.Epoch)
	text(w, 14, &s.Attempt)
	list(w, 15, &s.Outcomes, outcomeFields)
	w.instant(16, &s.Unresolved)
	w.instant(17, &s.Hold)
	w.newer(17, &s.Newer)
}

func verdictFields(w *wire, v *coordinator.Verdict) {
	integer(w, 1, &v.Version)
	text(w, 2, &v.Answer)
	w.instant(3, &v.At)
}

func outcomeFields(w *wire, o *coordinator.Outcome) {
	text(w, 1, &o.Attempt)
	integer(w, 2, &o.Epoch)
	text(w, 3, &o.Result)
	integer(w, 4, &o.Version)
	w.instant(5, &o.Began)
	integer(w, 6, &o.Opened)
	integer(w, 7, &o.Fetched)
	text(w, 8, &o.Message)
	list(w, 9, &o.Before, func(w *wire, s *string) { text(w, 1, s) })
}

func grantFields(w *wire, g *coordinator.Grant) {
	integer(w, 1, &g.Incarnation)
	integer(w, 2, &g.Generation)
	w.secret(3, &g.Current)
	w.secret(4, &g.Previous)
	w.instant(5, &g.Rotated)
	integer(w, 6, &g.Base)
	integer(w, 7, &g.IntentRevision)
	w.newer(7, &g.Newer)
}

func intentFields(w *wire, i *coordinator.Intent) {
	text(w, 1, &i.Attempt)
	text(w, 2, &i.Previous)
	integer(w, 3, &i.Epoch)
	text(w, 4, &i.Node)
	integer(w, 5, &i.Incarnation)
	dict(w, 6, &i.Bases, integerValue)
	integer(w, 7, &i.Timeout)
	text(w, 8, &i.Reason)
	w.instant(9, &i.Began)
	text(w, 10, &i.Traceparent)
	integer(w, 11, &i.Generation)
	w.instant(12, &i.Unresolved)
}

func salvageFields(w *wire, s *coordinator.Salvage) {
	integer(w, 1, &s.Incarnation)
	integer(w, 2, &s.IntentRevision)
	dict(w, 3, &s.Bases, integerValue)
	list(w, 4, &s.Tokens, salvagedFields)
	w.instant(5, &s.Began)
	integer(w, 6, &s.Generation)
	w.secret(7, &s.Refresh)
}

// salvagedFields are those of a token that is not kept under its own name; its
// name's numbers leave room for new fields of tokens.
func salvagedFields(w *wire, t *coordinator.Token) {
	text(w, 101, &t.Name.App)
	text(w, 102, &t.Name.Token)
	tokenFields(w, t)
}

func requestFields(w *wire, r *coordinator.Request) {
	integer(w, 1, &r.Above)
	text(w, 2, &r.Reason)
	text(w, 3, &r.Code)
	text(w, 4, &r.Node)
	w.instant(5, &r.At)
	text(w, 6, &r.Traceparent)
}

func inputFields(w *wire, i *coordinator.Input) {
	text(w, 1, &i.ID)
	integer(w, 2, &i.Incarnation)
	w.secret(3, &i.Value)
	text(w, 4, &i.Type)
	text(w, 5, &i.Scope)
	dict(w, 6, &i.Extra, textValue)
	w.instant(7, &i.Pushed)
	w.instant(8, &i.Expires)
	integer(w, 9, &i.Wanted)
	text(w, 10, &i.By)
	text(w, 11, &i.Node)
	text(w, 12, &i.Traceparent)
	list(w, 13, &i.Before, func(w *wire, s *string) { text(w, 1, s) })
}

func budgetFields(w *wire, b *coordinator.Budget) {
	integer(w, 1, &b.Calls)
	integer(w, 2, &b.Forced)
	w.instant(3, &b.Ends)
	w.newer(3, &b.Newer)
}
