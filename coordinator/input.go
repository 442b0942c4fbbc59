package coordinator

import (
	"maps"
	"time"
)

// Input is a value that a client pushed and that is not published yet. Any node
// writes one; it takes the place of one that still waits. Only the refresher
// publishes it, and it goes in the same transaction.
type Input struct {
	Name        Name
	ID          string // unique; the attempt as which it is published
	Incarnation int64  // of its app when it was pushed
	Value       Secret
	Type        string
	Scope       string
	Extra       map[string]string
	Pushed      time.Time // by the clock of the node that took it
	Expires     time.Time // by the same clock
	Wanted      int64     // version that was promised for it, or for one in whose place it came
	By          string    // client that pushed it
	Node        string    // that took it
	Traceparent string
	Before      []string // IDs of the last that waited and in whose place it came, newest first
	Revision    int64
}

// Intake ends an input: its value is published, or it is dropped.
type Intake struct {
	Epoch Epoch
	Input Input  // to delete, with the revision read
	State State  // to write, with the revision read; the input's ID is among its outcomes
	Token *Token // to write. Nil: there is no value to write
}

// repeats reports whether a token says what was pushed already.
func (i Input) repeats(t Token) bool {
	return t.Value.Equal(i.Value) && t.Type == i.Type && t.Scope == i.Scope && maps.Equal(t.Extra, i.Extra)
}

// before are the IDs of an input that waits, if one does, and of those before it,
// as many as outcomes are kept: for one that comes in its place.
func (i Input) before() []string {
	if i.ID == "" {
		return nil
	}
	ids := append([]string{i.ID}, i.Before...)
	return ids[:min(len(ids), MaxOutcomes)]
}

// ends returns when the value ends by the refresher's clock, which those who serve
// it measure theirs by. An input lives no longer from now on than it was to live
// when it was pushed, however far ahead the clock was by which its end was reckoned.
func (i Input) ends(now time.Time) time.Time {
	return earlier(i.Expires, now.Add(i.Expires.Sub(i.Pushed)))
}
