package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bar is a platform's refusal of an app from one egress address. It outlives
// restarts: whoever forgot it would ask again, and some platforms punish that.
type Bar struct {
	App      string
	Egress   string // address, as the configuration of its nodes names it
	Node     string // that was refused
	Reason   string // e.g. "address_not_listed"
	At       time.Time
	Until    time.Time // it is forgotten then
	Revision int64
}

// Active reports whether the bar stands at an instant.
func (b Bar) Active(now time.Time) bool { return now.Before(b.Until) }

const (
	// barFor is how long a refusal stands that names no time of its own, and
	// personBarFor one that a person must lift at the platform.
	barFor       = time.Hour
	personBarFor = 24 * time.Hour

	// HandOverCooldown is the shortest time between two times that a node gives
	// up leadership because of bars.
	HandOverCooldown = 10 * time.Minute
)

type barID struct{ app, egress string }

// bar remembers that the platform refused this node's address for an app.
func (a *attempt) bar(ctx context.Context, refusal *UpstreamError) error {
	now := a.node.now()
	stands := barFor
	if refusal.Class == ClassRetry {
		stands = personBarFor
	}
	b := Bar{
		App: a.task.app.Name, Egress: a.node.egress, Node: a.node.name, Reason: refusal.Reason,
		At: now, Until: now.Add(max(stands, refusal.RetryAfter)),
	}
	a.log.WarnContext(ctx, "the platform refuses our address for this app", "egress", b.Egress, "until", b.Until, "err", refusal)
	if err := a.node.store.PutBar(ctx, b); err != nil {
		return fmt.Errorf("recording a bar: %w", err)
	}
	return nil
}

// unbar forgets, after a call that worked, our own bar and those that ended.
func (a *attempt) unbar(ctx context.Context) error {
	var gone []Bar
	now := a.node.now()
	a.node.cache.reading(func(r *records) {
		for id, b := range r.bars {
			if id.app == a.task.app.Name && (id.egress == a.node.egress || !b.Active(now)) {
				gone = append(gone, b)
			}
		}
	})
	var errs []error
	for _, b := range gone {
		errs = append(errs, ignoreConflict(a.node.store.DeleteBar(ctx, b)))
	}
	return errors.Join(errs...)
}

// ignoreConflict drops the error of a bar that somebody else has changed.
func ignoreConflict(err error) error {
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// Bars returns the bars that stand, sorted by app and egress.
func (n *Node) Bars() []Bar { return n.barsOf("") }

// barsOf returns the bars of an app that stand; of all apps for "".
func (n *Node) barsOf(app string) (bars []Bar) {
	now := n.now()
	n.cache.reading(func(r *records) {
		for _, b := range r.bars {
			if b.Active(now) && (app == "" || b.App == app) {
				bars = append(bars, b)
			}
		}
	})
	slices.SortFunc(bars, func(a, b Bar) int {
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(a.Egress, b.Egress))
	})
	return bars
}

// LiftBars ends the bars of an app, or the one of an egress address, so that it is
// tried at once from there. It returns how many stood. When it returns this node
// knows that they are lifted.
func (n *Node) LiftBars(ctx context.Context, by, app, egress string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	if _, ok := n.App(app); !ok {
		return 0, ErrUnknownApp
	}
	var lifted []Bar
	for _, b := range n.barsOf(app) {
		if egress != "" && b.Egress != egress {
			continue
		}
		b.Until = time.Time{}
		lifted = append(lifted, b)
	}
	if len(lifted) == 0 {
		return 0, n.hears()
	}
	a := n.audit(ctx, by, ActionBarsLifted, app)
	for _, b := range lifted {
		a.Changed = append(a.Changed, "egress."+b.Egress)
	}
	a.Changed = boundChanged(a.Changed)
	if err := n.store.LiftBars(ctx, lifted, a); err != nil {
		return 0, err
	}
	return len(lifted), n.knows(ctx, func(r *records) bool {
		return !slices.ContainsFunc(lifted, func(b Bar) bool { return r.bars[barID{b.App, b.Egress}].Active(n.now()) })
	})
}

// rivals returns the egress addresses of live candidates for leadership, without our own.
func (n *Node) rivals(r *records) map[string]bool {
	rivals := map[string]bool{}
	for _, node := range r.nodes {
		if egress := firstOf(node.Egress, node.Name); node.Refresher && egress != n.egress {
			rivals[egress] = true
		}
	}
	return rivals
}

// heedBars moves a fetch for the bars of its app. Where our address is barred and
// a candidate's is not, it waits for that one. Where the last failure was another
// address's, or the bar has ended, it is tried at once, whatever it had to wait.
func (n *Node) heedBars(r *records, t task, now time.Time) task {
	if t.kind != taskFetch || t.salvaged || len(r.bars) == 0 {
		return t
	}
	own, barred := r.bars[barID{t.app.Name, n.egress}]
	if barred && own.Active(now) {
		for egress := range n.rivals(r) {
			if b, also := r.bars[barID{t.app.Name, egress}]; !also || !b.Active(now) {
				t.at = later(t.at, own.Until)
			}
		}
		return t
	}
	newest := t.states[0].NewestOutcome()
	for id, b := range r.bars {
		if id.app == t.app.Name && newest.Result == ResultFailed && !b.At.Before(newest.Began) && b.Reason == t.states[0].Reason {
			t.at = now
		}
	}
	return t
}

// errHandOver ends a leadership in favour of a node whose address is less barred.
var errHandOver = errors.New("another node's address is refused for fewer apps: leadership is handed over")

// handsOver reports whether a live candidate could serve more apps than we can.
// Only fewer bars count, so that two nodes that are barred for different apps do
// not send leadership to and fro; and a node hands over once in a cooldown, so
// that bars that end and come again do not either.
func (n *Node) handsOver(now time.Time) bool {
	if last := n.handedOver.Load(); last != nil && now.Sub(*last) < HandOverCooldown {
		return false
	}
	better := false
	n.cache.reading(func(r *records) {
		barred := map[string]int{} // :: egress → apps it may not serve
		for _, b := range r.bars {
			if b.Active(now) {
				barred[b.Egress]++
			}
		}
		if barred[n.egress] == 0 {
			return
		}
		for egress := range n.rivals(r) {
			better = better || barred[egress] < barred[n.egress]
		}
	})
	if better {
		n.handedOver.Store(&now)
	}
	return better
}
