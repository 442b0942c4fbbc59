package coordinator

import "time"

// Grant is an app's right to ask for tokens without a human: its refresh token.
// It is kept apart from the credentials because the platform may replace it with
// every use, in the transaction that publishes what the use yielded.
type Grant struct {
	App         string
	Incarnation int64  // of the app's life it was given in
	Generation  int64  // our own count of its values: 1, 2, 3 …
	Current     Secret // to be presented next
	Previous    Secret // the one before; never presented again, kept for recovery by hand
	Rotated     time.Time

	// The attempt that produced it: the generation it was made with, and the
	// revision of its intent. Of two results the later in this order is the
	// newer (see origin.produces). Zero for one that a human gave.
	Base           int64
	IntentRevision int64

	Newer    Secret // fields of a newer build, kept when this is written again
	Revision int64  // as last read; what transactions compare
}

// Rotation is what a platform does with a refresh token that was presented. It
// decides what may be done when the answer is missing.
type Rotation struct {
	Class RotationClass
	// Grace is how long after its use a replaced refresh token may be presented
	// again, with RotationGrace.
	Grace time.Duration
	// LastChance lets a refresh token that may have been used be presented once
	// more after the last value has expired.
	LastChance bool
}

// RotationClass classes platforms.
type RotationClass string

// The classes of rotation. The zero class means that no refresh token is spent.
const (
	RotationNone     RotationClass = "none"      // the refresh token stays
	RotationOldStays RotationClass = "old-stays" // a new one each time, the old one lives on
	RotationGrace    RotationClass = "grace"     // the old one may be presented again for a while
	RotationStrict   RotationClass = "strict"    // presenting the old one again may revoke everything
)

// Spends reports whether calls present a refresh token.
func (r Rotation) Spends() bool { return r.Class != "" }

// Rotates reports whether an answer may hold a new refresh token that must not be lost.
func (r Rotation) Rotates() bool { return r.Spends() && r.Class != RotationNone }

// Consumes reports whether a refresh token may be dead once it was presented.
func (r Rotation) Consumes() bool { return r.Class == RotationGrace || r.Class == RotationStrict }

// origin is the attempt that a result comes from, in the order in which results
// of one life of an app replace each other.
type origin struct {
	generation int64 // of the grant it was made with
	intent     int64 // revision of its intent
}

// produces reports whether a result of this origin is newer than a grant. The
// generation alone does not tell: two attempts may have been made with one
// grant, and the platform honours what it gave to the later one.
func (o origin) produces(g *Grant) bool {
	if o.generation != g.Base {
		return o.generation > g.Base
	}
	return o.intent > g.IntentRevision
}

// follows reports whether a refresh token that an attempt of an incarnation got
// is to take the grant's place: it is newer, and of the life the grant was given
// in. Other credentials that came since do not end that life.
func (g *Grant) follows(incarnation int64, by origin) bool {
	return incarnation >= g.Incarnation && by.produces(g)
}

// next is the grant after a use that yielded a new refresh token.
func (g *Grant) next(refresh Secret, by origin, at time.Time) *Grant {
	return &Grant{
		App: g.App, Incarnation: g.Incarnation, Generation: g.Generation + 1, Current: refresh, Previous: g.Current,
		Rotated: at, Base: by.generation, IntentRevision: by.intent, Newer: g.Newer, Revision: g.Revision,
	}
}

// Spool keeps results on the local disk between the upstream's answer and the
// definite answer of the store, so that a rotated refresh token survives a crash.
// Its methods may be called concurrently.
type Spool interface {
	// Reserve makes sure, before the intent of an attempt is written, that its
	// result will find room. Without it no refresh token is presented that may be rotated.
	Reserve(attempt string) error
	// Calling notes that the call of an attempt with a reservation is made next;
	// when it returns nil the note survives a crash.
	Calling(attempt string) error
	// Keep saves a result; when it returns nil the result survives a crash.
	Keep(s Salvage) error
	// Drop forgets a result, or a reservation. What is not there is no error.
	Drop(attempt string) error
	// Kept returns the results that former processes left, oldest first. One
	// that cannot be read is reported in the error beside the others.
	Kept() ([]Salvage, error)
	// Uncalled returns the attempts of former processes that made a
	// reservation and no call, in no order. Each stays until it is dropped.
	Uncalled() ([]string, error)
}
