package coordinator

import "time"

// Epoch numbers one leadership: the create revision of its election key. Epochs
// grow from each leadership to the next, and every write of a refresher is
// refused once its election key is gone.
type Epoch int64

// Token is one value we hand out, as published.
type Token struct {
	Name        Name
	Value       Secret
	Type        string            // token_type, e.g. "Bearer"; empty where the platform has none
	Scope       string            // granted scope; empty where the platform has none
	Extra       map[string]string // declared outputs that are not secret
	Version     int64             // our own count of values: 1, 2, 3 …
	Issued      time.Time         // instant before the upstream call
	Expires     time.Time         // Issued + granted lifetime
	Moved       bool              // the end is another one than this version was published with
	Epoch       Epoch             // leadership that published it
	Traceparent string            // of the refresh that made it
	Revision    int64             // as last read; diagnostic
}

// State is what we durably know of a token; it outlives its values, and stays
// as a tombstone when its app is deleted, so that versions go on.
type State struct {
	Name        Name
	Incarnation int64     // of its app, see App.Incarnation
	Deleted     bool      // tombstone
	Version     int64     // of the newest value, 0 before the first
	Status      Status    // as stored; StatusAt adds what the clock tells
	Reason      string    // for people and programs, e.g. "invalid_secret: errcode 40125 …"; never a secret
	Issued      time.Time // of the newest value
	Expires     time.Time // of the newest value
	Due         time.Time // when the refresher acts next
	Failures    int       // in a row
	Forced      time.Time // last forced fetch
	Hold        time.Time // the platform wants no call before; zero: it has not said
	Deaths      int       // early deaths in a row of values we had not replaced
	Verdict     Verdict   // answer to the last report

	// Unresolved is when the first attempt began whose outcome is unknown and
	// which may have spent the refresh token we hold; zero: there is none.
	Unresolved time.Time

	Epoch    Epoch     // leadership that wrote this
	Attempt  string    // last attempt that ended here
	Outcomes []Outcome // last MaxOutcomes, newest first
	Newer    Secret    // fields of a newer build, kept when this is written again
	Revision int64     // as last read; what transactions compare
}

// MaxOutcomes is how many outcomes a State keeps.
const MaxOutcomes = 8

// Status is the state of a token as people see it.
type Status string

// The states of a token. StatusDue, StatusExpired and StatusPaused are never
// stored: they follow from the clock and from what is paused.
const (
	StatusPending     Status = "pending"     // no value yet
	StatusFresh       Status = "fresh"       // valid, nothing to do
	StatusDue         Status = "due"         // valid, its refresh is due
	StatusFailing     Status = "failing"     // valid or not, the last refresh failed and is tried again
	StatusExpired     Status = "expired"     // no valid value
	StatusThrottled   Status = "throttled"   // a quota or budget is spent
	StatusBlocked     Status = "blocked"     // configuration: somebody must act
	StatusUncertain   Status = "uncertain"   // a rotated credential may be lost
	StatusReauthorize Status = "reauthorize" // the grant is gone: a human must authorise again
	StatusPaused      Status = "paused"      // refreshing is paused
)

// Outcome is how one attempt ended.
type Outcome struct {
	Attempt string
	Epoch   Epoch
	Result  Result
	Version int64     // after it
	Began   time.Time // before the intent, or when the value was pushed
	Opened  time.Duration
	Fetched time.Duration // each measured from Began; zero: not reached
	Message string        // of a failure, or who pushed the value; never a secret
	Before  []string      // pushes in whose place this one came before they were published
}

// Result classes an Outcome.
type Result string

// The results of an attempt.
const (
	ResultPublished Result = "published" // a new value
	ResultSame      Result = "same"      // the platform answered the value we held
	ResultFailed    Result = "failed"    // a definite error
	ResultSalvaged  Result = "salvaged"  // a new value, saved after its leadership was lost
)

// Verdict answers a report about one version.
type Verdict struct {
	Version int64
	Answer  Answer
	At      time.Time
}

// Answer is what we found about a value that somebody reported dead.
type Answer string

// The answers to a report.
const (
	AnswerReplaced   Answer = "replaced"   // a newer version exists already
	AnswerRefreshing Answer = "refreshing" // dead, or believed so: a newer version is on its way
	AnswerAlive      Answer = "alive"      // the platform still accepts it: nothing was done
	AnswerThrottled  Answer = "throttled"  // no refresh may be spent on it now
	AnswerFailed     Answer = "failed"     // the refresh failed; the state says why
)

// NewestOutcome returns the last outcome of a state, or the zero Outcome.
func (s State) NewestOutcome() Outcome {
	if len(s.Outcomes) == 0 {
		return Outcome{}
	}
	return s.Outcomes[0]
}

// Ended reports whether the attempt already ended in this state, so that a
// transaction whose answer was lost is recognised as committed.
func (s State) Ended(attempt string) bool {
	for _, o := range s.Outcomes {
		if o.Attempt == attempt {
			return true
		}
	}
	return s.Attempt == attempt
}

// WithOutcome returns the state with o as its newest outcome.
func (s State) WithOutcome(o Outcome) State {
	outcomes := append([]Outcome{o}, s.Outcomes...)
	s.Outcomes = outcomes[:min(len(outcomes), MaxOutcomes)]
	s.Attempt = o.Attempt
	return s
}

// StatusAt is the status at an instant: what is stored, and what the clock and a pause add.
func (s State) StatusAt(now time.Time, paused bool) Status {
	lives := s.Version > 0 && now.Before(s.Expires)
	switch {
	case paused:
		return StatusPaused
	case s.Status == StatusFresh && !lives:
		return StatusExpired
	case s.Status == StatusFailing && !lives && s.Version > 0:
		return StatusExpired
	case s.Status == StatusFresh && !now.Before(s.Due):
		return StatusDue
	}
	return s.Status
}
