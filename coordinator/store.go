package coordinator

import (
	"context"
	"iter"
)

// Store is what a Node needs of the cluster. See store/storetest for the
// contract in executable form.
//
// Every write is one transaction that compares what it stands on: nothing is
// changed where it returns ErrFenced, ErrConflict or an error of validation.
// An implementation settles lost answers itself by sending the same
// transaction again until it is answered definitely or ctx ends, and then
// returns ErrAmbiguous. Every method has a deadline of its own for each
// request it sends, so a context without one does not hang on a dead
// connection, but it does keep trying.
type Store interface {
	Registry

	// Lead campaigns for leadership and, each time it is won, calls lead. The
	// context given to lead ends with cause ErrLeadershipLost as soon as
	// leadership can no longer be assumed, and when ctx ends. Lead waits for
	// lead to return before it resigns or campaigns again; it returns when ctx
	// has ended. If lead returns while it still leads, Lead resigns,
	// campaigns again after a pause, and logs the error. Before the first
	// leadership of a cluster is handed to lead, its FingerprintKey is made.
	Lead(ctx context.Context, node string, lead func(ctx context.Context, l Leadership) error) error

	// Join keeps the node registered under its name until ctx ends. info is
	// called for every renewal of what is written, which follows a change
	// within ten seconds. ErrNameTaken means that another live process has
	// the name; a former process of the same name that died without a word is
	// waited for.
	Join(ctx context.Context, info func() NodeInfo) error

	// Watch yields a Batch with Snapshot set that holds every record, then
	// each change in revision order, one Batch for each revision, and empty
	// Batches as signs of life. Where history was lost it yields a Snapshot
	// again; Restored, where the history that was followed never happened any more. It reconnects by itself for as long as ctx lives; the error is
	// that of ctx. Leaving the loop ends it.
	Watch(ctx context.Context) iter.Seq2[Batch, error]

	// Read returns, as of one revision not older than the call, everything
	// the transactions about one fetch group compare.
	Read(ctx context.Context, q Query) (Situation, error)

	// Open writes an intent for a group that has none, or takes over
	// o.Foreign, charging o.Budgets. It compares the epoch, the absence of
	// an intent (or the foreign intent's revision), the states', the
	// credentials' and the budgets' revisions, and returns the intent with its revision.
	Open(ctx context.Context, o Opening) (Intent, error)

	// Publish ends an attempt: it writes states and tokens and deletes the
	// intent, in one transaction. Fenced by p.Epoch; with Epoch 0 (leadership
	// was lost) by the intent's revision alone. In both cases it compares the
	// intent's, the states' and the credentials' revisions. It returns the
	// revision of the commit.
	Publish(ctx context.Context, p Publication) (int64, error)

	// Salvage saves a result that cannot be published, once; saving the same
	// attempt again is not an error.
	Salvage(ctx context.Context, s Salvage) error

	// DropSalvage deletes a salvaged result that can no longer be used. Fenced.
	DropSalvage(ctx context.Context, e Epoch, s Salvage) error

	// Void deletes the intent of a first attempt that made no call. It
	// compares the intent's revision, not the epoch.
	Void(ctx context.Context, i Intent) error

	// Ask writes a request if the state is still the one the caller saw and
	// no request for as much or more exists; with ErrConflict look again.
	Ask(ctx context.Context, r Request, seen State) error

	// Note writes a state outside of an attempt and, where n.Request is set,
	// deletes that request if it is still the same. Fenced; compares the state's revision.
	Note(ctx context.Context, n Note) error

	// PutInput writes what was pushed, in the place of what i.Revision names (0:
	// of nothing), if the state is still the one the caller saw. With ErrConflict
	// look again. It goes by itself some time after its expiry.
	PutInput(ctx context.Context, i Input, seen State) error

	// TakeInput ends an input: it writes t.State and t.Token and deletes the
	// input, in one transaction. Fenced; compares the input's and the state's
	// revisions. It returns the revision of the commit.
	TakeInput(ctx context.Context, t Intake) (int64, error)

	// Finalize raises the format of the store's records to the newest that
	// every registered node reads, and returns it. It never goes back. a is
	// written where it was raised, with the format among what changed.
	Finalize(ctx context.Context, a *Audit) (int, error)

	// Room returns how full the store is now.
	Room(ctx context.Context) (Room, error)

	// Beat writes the refresher's heartbeat. Fenced. A leader that has not
	// called it for as long as its session lives is taken for hung, and deposed.
	Beat(ctx context.Context, h Heartbeat) error
}

// Registry keeps apps and clients. Its writes compare what the caller read.
//
// Each writes, in the transaction that makes the change, the record of who made
// it, where one is given: what is refused leaves none, and neither does what was
// so already. Where an answer was lost, that record shows whose change it was.
type Registry interface {
	// PutApp writes an app, its credentials and the states c.States, and
	// deletes what c says, if no app has changed since c.Seen. Intents and bars
	// of an app whose incarnation changed are deleted with it.
	PutApp(ctx context.Context, c AppChange) error

	// DeleteApp deletes an app with its credentials, values, inputs, intents, salvage
	// and requests and leaves c.States as tombstones, if no app has changed since c.Seen.
	DeleteApp(ctx context.Context, c AppChange) error

	// PutClient writes a client; its Revision is compared (0: must not exist).
	PutClient(ctx context.Context, c Client, a *Audit) error

	// DeleteClient deletes a client of that revision.
	DeleteClient(ctx context.Context, c Client, a *Audit) error

	// PutPaused pauses the cluster, or resumes it with nil. Where it is so
	// already nothing is written.
	PutPaused(ctx context.Context, p *Paused, a *Audit) error

	// PutBar writes a bar in the place of one that stood there. It is fenced by
	// nothing: what a platform refused stays refused whoever leads.
	PutBar(ctx context.Context, b Bar) error

	// DeleteBar deletes a bar of that revision.
	DeleteBar(ctx context.Context, b Bar) error

	// LiftBars writes bars that a person ends, all in one transaction, whatever
	// stood there.
	LiftBars(ctx context.Context, bars []Bar, a *Audit) error

	// PutAppliedFile records that a file was applied. Fenced.
	PutAppliedFile(ctx context.Context, e Epoch, f AppliedFile, a *Audit) error

	// Audit returns up to limit records of who changed what, newest first, from
	// the one before an ID on; from the newest for "". A limit below 1 is ErrInvalid.
	// They go by themselves when AuditLife has passed, and are in no Batch.
	Audit(ctx context.Context, before string, limit int) (AuditPage, error)

	// TrimAudit deletes the oldest of them above keep, a bounded number at once,
	// and returns how many. Fenced.
	TrimAudit(ctx context.Context, e Epoch, keep int) (int, error)
}

// AuditPage is one page of records of who changed what.
type AuditPage struct {
	Records []Audit
	Next    string // what the next page comes before; empty: this is the last one
}

// Leadership is what a leader holds.
type Leadership struct {
	Epoch Epoch
	// Revision of the takeover: the leader's cache must have reached it before anything is scheduled.
	Revision int64
	// Held reports whether leadership can be assumed at this instant, by the
	// local clock; checked last before an upstream call is begun.
	Held func() bool
}

// Batch is what changed in one revision, or everything.
type Batch struct {
	Revision int64
	Restored bool // with Snapshot: the store was restored from a backup, and has forgotten what it once said
	Snapshot bool // Events hold every record there is; what is not among them is gone
	LeftOut  bool // with Snapshot: some could not be read and are left out: they are not gone
	Events   []Event
}

// Event is one changed record. A deleted one carries only what identifies it.
type Event struct {
	Record  Record
	Deleted bool
}

// Record is one of the kinds a Store keeps.
type Record interface{ record() }

func (App) record()            {} // without Credentials
func (Credentials) record()    {}
func (State) record()          {}
func (Token) record()          {}
func (Grant) record()          {}
func (Intent) record()         {}
func (Salvage) record()        {}
func (Request) record()        {}
func (Input) record()          {}
func (Budget) record()         {}
func (Client) record()         {}
func (NodeInfo) record()       {}
func (Heartbeat) record()      {}
func (Elected) record()        {}
func (Paused) record()         {}
func (Bar) record()            {}
func (FingerprintKey) record() {}
func (AppliedFile) record()    {}
func (Audit) record()          {} // in no Batch

// Credentials are an app's credentials as a record of their own.
type Credentials struct {
	App         string
	Incarnation int64
	Fields      map[string]Secret
	Revision    int64
}

// Ancestor is an app in a lineage, and the revision its credentials were read at.
type Ancestor struct {
	App         string
	Incarnation int64
	Revision    int64
}

// Query names what Read returns.
type Query struct {
	Epoch   Epoch
	App     string
	Group   string
	Tokens  []string // of the group
	Lineage []string // the app, its parent, and so on
	Budgets []string // windows of the budgets of the app the calls are counted on
	Account string   // that app
}

// Situation is all the transactions about one fetch group compare.
type Situation struct {
	Leads    bool // the epoch's election key exists
	Lineage  []Ancestor
	States   []State // in the order of Query.Tokens; Revision 0 where there is none
	Tokens   []Token // in the same order; Revision 0 where there is none
	Intent   *Intent
	Grant    *Grant    // of the app; nil: there is none
	Salvage  []Salvage // newest first: by incarnation, generation, IntentRevision
	Budgets  []Budget  // in the order of Query.Budgets
	Revision int64
}

// Opening opens or takes over an intent.
type Opening struct {
	Epoch   Epoch
	Intent  Intent  // to write
	Foreign *Intent // to take over; nil: there must be none
	States  []State // as read; compared, not written
	Grant   *Grant  // as read; its revision is compared. Nil: the group spends none
	Lineage []Ancestor
	Budgets []Budget // new counts, with the revisions read
}

// Publication ends an attempt.
type Publication struct {
	Epoch   Epoch
	Intent  Intent
	States  []State   // to write, with the revisions read
	Tokens  []Token   // to write
	Spent   *Grant    // as read; its revision is compared. Nil: the group spends none
	Grant   *Grant    // to write in place of Spent. Nil: it stays
	Salvage []Salvage // to delete: applied or no longer applicable
	Lineage []Ancestor

	// Answered names tokens whose requests are deleted with it, whatever they
	// ask: a request for more than these states know cannot exist, since Ask compares them.
	Answered []Name
}

// Note is a state written outside of an attempt.
type Note struct {
	Epoch   Epoch
	State   State // to write, with the revision read
	Request *Request
}

// AppChange is a change of one app.
type AppChange struct {
	App    App
	States []State  // to write, with the revisions read
	Grant  *Grant   // to write. Nil: what is there stays
	Calm   []string // groups that must have neither intent nor salvage, or it is a conflict
	Drop   []Name   // tokens whose values, inputs, requests and intents go
	Void   []string // groups whose intents and salvage go
	Seen   int64    // revision the caller's cache had reached
	Audit  *Audit   // who makes it
}
