package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"freshet/tracing"
)

const (
	// AuditLife is how long it is kept who changed what.
	AuditLife = 30 * 24 * time.Hour

	// MostAudits is how many records of it are kept; the oldest go first.
	MostAudits = 10_000
)

// Audit is one record of who changed what. It holds names only: no value of a
// credential or an option, no key and no digest of one.
type Audit struct {
	ID          string // a ULID: records sort by when they were made
	At          time.Time
	By          string // "api:" and a client's name, or "file:" and that of an apps file
	Action      Action
	Objects     []string // the app, client or file; several where one act changed several
	Changed     []string // what of it, e.g. "credentials.secret"
	Node        string   // that wrote it
	Traceparent string   // of the call; empty: there was none
	Revision    int64
}

// Raising is the record of a raise of the format of records, for a store, which
// alone knows to what. Nil stays nil.
func (a *Audit) Raising(format int) *Audit {
	if a == nil {
		return nil
	}
	raised := *a
	raised.Changed = []string{"format." + strconv.Itoa(format)}
	return &raised
}

// Action is what somebody did.
type Action string

// The actions that are recorded.
const (
	ActionAppCreated      Action = "app_created"
	ActionAppUpdated      Action = "app_updated"
	ActionAppDeleted      Action = "app_deleted"
	ActionAppPaused       Action = "app_paused"
	ActionAppResumed      Action = "app_resumed"
	ActionBarsLifted      Action = "bars_lifted"
	ActionClientAdded     Action = "client_added"
	ActionClientUpdated   Action = "client_updated"
	ActionClientDeleted   Action = "client_deleted"
	ActionClusterPaused   Action = "cluster_paused"
	ActionClusterResumed  Action = "cluster_resumed"
	ActionFormatRaised    Action = "format_raised"
	ActionAppsFileApplied Action = "apps_file_applied"
)

// AboutApps reports whether the objects of the action are apps.
func (a Action) AboutApps() bool {
	return strings.HasPrefix(string(a), "app_") || a == ActionBarsLifted
}

// AuditQuery says which records of who changed what are wanted.
type AuditQuery struct {
	Before string // only those before this ID; empty: from the newest on
	Limit  int    // at most so many; at least 1
	App    string // only those about this app; empty: any
	By     string // only those of this actor, as Audit.By has it; empty: anybody
}

// check says in one sentence what can be in no record, and would find nothing.
func (q AuditQuery) check() error {
	if _, err := ulid.ParseStrict(q.Before); err != nil && q.Before != "" {
		return Invalidf("cursor %.40q is not one of a page of this list: leave it out to begin with the newest", q.Before)
	}
	if q.By != "" && !strings.HasPrefix(q.By, "api:") && !strings.HasPrefix(q.By, "file:") {
		return Invalidf("actor %.80q: write api: and the name of a client, or file: and that of an apps file", q.By)
	}
	if q.App == "" {
		return nil
	}
	if err := CheckAppName(q.App); err != nil {
		return Invalidf("%v", err)
	}
	return nil
}

func (q AuditQuery) matches(a Audit) bool {
	if q.By != "" && q.By != a.By {
		return false
	}
	return q.App == "" || a.Action.AboutApps() && slices.Contains(a.Objects, q.App)
}

// auditPage is how many records a search for some of them reads at once.
const auditPage = 1000

// Audit returns who changed what, newest first, read from the store and kept
// nowhere. It searches all records there are before it returns fewer than wanted.
// next is the Before of the page that follows; empty: there is none.
func (n *Node) Audit(ctx context.Context, q AuditQuery) (found []Audit, next string, err error) {
	if err := q.check(); err != nil {
		return nil, "", err
	}
	q.Limit = max(q.Limit, 1)
	size := q.Limit + 1
	if q.App != "" || q.By != "" {
		size = max(size, auditPage)
	}
	for before := q.Before; ; {
		page, err := n.store.Audit(ctx, before, size)
		if err != nil {
			return nil, "", err
		}
		for _, a := range page.Records {
			switch {
			case !q.matches(a):
			case len(found) == q.Limit:
				return found, found[q.Limit-1].ID, nil
			default:
				found = append(found, a)
			}
		}
		if page.Next == "" {
			return found, "", nil
		}
		before = page.Next
	}
}

// auditIDs makes the IDs of one process, which grow also within a millisecond.
type auditIDs struct{ entropy ulid.LockedMonotonicReader }

func newAuditIDs() *auditIDs {
	return &auditIDs{ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}}
}

// at panics only after the year 10889, or where the system has no randomness.
func (i *auditIDs) at(t time.Time) string {
	return ulid.MustNew(ulid.Timestamp(t), &i.entropy).String()
}

// audit is the record of a change that is about to be made. It goes with the
// change in one transaction, so that there is none without the other.
func (n *Node) audit(ctx context.Context, by string, action Action, objects ...string) *Audit {
	return n.dated(ctx, Audit{By: by, Action: action, Objects: objects})
}

// dated completes a record with when and where its change is made.
func (n *Node) dated(ctx context.Context, a Audit) *Audit {
	a.At, a.Node, a.Traceparent = n.now(), n.name, tracing.Traceparent(ctx)
	a.ID = n.audits.at(a.At)
	return &a
}

// trimAuditEvery is the pause between two looks at how many records there are.
const trimAuditEvery = time.Minute

// trimAudit keeps the number of records within MostAudits, as long as we lead.
// An import of many apps may exceed it until the next look.
func (n *Node) trimAudit(ctx context.Context, e Epoch) {
	every := time.NewTicker(trimAuditEvery)
	defer every.Stop()
	for {
		for trimmed := 1; trimmed > 0; {
			var err error
			if trimmed, err = n.store.TrimAudit(ctx, e, MostAudits); err != nil {
				if ctx.Err() == nil {
					n.log.WarnContext(ctx, "deleting old records of who changed what", "err", err)
				}
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// mostObjects bounds how many apps one record names.
const mostObjects = 64

// Act is one deed that changes many apps, such as an import: its changes share
// records, up to 64 apps in each, where a record for each app would drive all
// else out of those that are kept. A record is written anew with each change,
// in its transaction, and so is never short of one. The zero Act is ready; it is
// of one actor, and one change of it is made at a time.
type Act struct {
	mu   sync.Mutex
	open map[Action]Audit // :: action → the record that its next change joins
}

// joined makes a change by put under a record that the act's changes share.
func (act *Act) joined(a Audit, put func(*Audit) error) error {
	if act == nil {
		return put(&a)
	}
	act.mu.Lock()
	defer act.mu.Unlock()
	if open, ok := act.open[a.Action]; ok && len(open.Objects) < mostObjects {
		open.Objects = slices.Concat(open.Objects, a.Objects)
		open.Changed = mergeChanged(open.Changed, a.Changed)
		a = open
	}
	err := put(&a)
	switch {
	case err == nil && act.open == nil:
		act.open = map[Action]Audit{a.Action: a}
	case err == nil:
		act.open[a.Action] = a
	case !errors.Is(err, ErrConflict):
		delete(act.open, a.Action) // it may hold this change or not: nothing is written over it
	}
	return err
}

// mostChanged bounds how many names of what changed one record has.
const mostChanged = 40

// mergeChanged is what changed in one of two.
func mergeChanged(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return boundChanged(slices.Compact(all))
}

// boundChanged cuts off what is too much for a record.
func boundChanged(changed []string) []string {
	if len(changed) > mostChanged {
		changed = append(slices.Clone(changed[:mostChanged-1]), "…")
	}
	return changed
}
