package coordinator

import "time"

// Intent is the durable record that the refresh of one fetch group has begun.
// It is written before the upstream call and carries no lease: only a
// definite outcome, a takeover or a new incarnation removes it.
type Intent struct {
	App         string
	Group       string
	Attempt     string // unique; one intent and the call made under it
	Previous    string // the attempt it took over, whose outcome is unknown; empty for a first attempt
	Epoch       Epoch
	Node        string
	Incarnation int64
	Bases       map[string]int64 // :: token → version held when it was opened
	Generation  int64            // of the grant when it was opened; 0: it spends none
	Timeout     time.Duration    // of the call; a takeover waits this and a margin
	Reason      Reason
	Began       time.Time
	Unresolved  time.Time // when the first attempt before it began that may have spent the refresh token, with unknown outcome; zero: none
	Traceparent string
	Revision    int64 // as last read; changes with every takeover
}

// Reason says why a refresh was begun or asked for.
type Reason string

// The reasons of a refresh.
const (
	ReasonDue     Reason = "due"     // its window opened, or it never had a value
	ReasonRefresh Reason = "refresh" // somebody asked for a newer version
	ReasonForce   Reason = "force"   // somebody asked for a newer version whatever the platform thinks of the old one
	ReasonReport  Reason = "report"  // somebody saw the platform refuse the value

	// ReasonLastChance presents a refresh token that may have been used already.
	ReasonLastChance Reason = "last_chance"
)

// Salvage is a result whose owner could not publish it any more. It is written once.
type Salvage struct {
	App            string
	Group          string
	Attempt        string
	Incarnation    int64
	IntentRevision int64            // of the intent the result was fetched under: orders salvage
	Bases          map[string]int64 // :: token → version the result was to follow
	Generation     int64            // of the grant it was made with
	Refresh        Secret           // the refresh token it yielded; zero: none
	Tokens         []Token          // Version unset
	Began          time.Time
	Revision       int64
}

// Request asks the refresher for a version of a token above Above. It carries
// no lease and goes when it was answered.
type Request struct {
	Name        Name
	Above       int64
	Reason      Reason
	Code        string // what the platform said, for a report
	Node        string
	At          time.Time
	Traceparent string
	Revision    int64
}

// Budget counts the upstream calls an app has made in one window.
type Budget struct {
	App      string
	Window   string // e.g. "2026-11-22/token"; the kind of call is part of it
	Calls    int
	Forced   int
	Ends     time.Time
	Newer    Secret // fields of a newer build, kept when this is written again
	Revision int64
}
