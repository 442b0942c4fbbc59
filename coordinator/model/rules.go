package model

import "math/bits"

// Rule is one guard of the protocol.
type Rule uint8

// The rules. R1 to R11 are their names in ARCHITECTURE.md and in the code.
const (
	DeadlineFromOpening  Rule = iota // R1: the deadline counts from before the intent was sent
	TakeoverWaits                    // R1: a takeover waits for the deadline of the intent it takes over
	LocalLease                       // no call begins when leadership can no longer be assumed by the local clock
	ResendOnly                       // R2: a lost answer is settled by sending the same transaction again
	ReadAgain                        // R3: a refused publication is rebuilt from what is there
	SalvageStored                    // R3: a result that cannot be published is stored
	SpoolFirst                       // R5: a result is on disk before it is sent
	ReadOn                           // R6: a call that was written is read after leadership is lost
	SalvageByLife                    // R7: salvage is of one life and of the order of generations and intents
	NewestFirst                      // R7: of several the newest is published
	Sweep                            // R8: intents and salvage are noticed whenever they appear
	LookAtAll                        // R8: every attempt looks at all salvage as its last read
	NeverTwice                       // R9: a refresh token that may be spent is not presented again
	VoidFirstOnly                    // R10: only a first attempt that made no call deletes its intent
	LivesCompared                    // R11: every transaction of an attempt compares the lineage
	IntentWithoutLease               // an intent outlives the session of its node
	OneIntent                        // Open compares the absence of an intent
	StateCompared                    // every transaction of an attempt compares the state
	GrantCompared                    // and the grant
	EpochCompared                    // and the epoch, unless leadership is known to be lost
	IntentCompared                   // Publish with leadership compares the intent
	SavingComparesIntent             // R4: Publish without leadership compares the intent
	SavingComparesState              // R4: and the state
	Verified                         // a node that won looks whether its election key is there
	Joined                           // workers of a former leadership end before the node campaigns
	LifeLookedAt                     // the last read before the call finds a new life
	UnknownNoted                     // a call that ended without an answer leaves Unresolved in the state
	TakeoverNoted                    // a takeover that fails in any way leaves Unresolved in the state
	UnresolvedKept                   // whoever else writes the state keeps Unresolved
	ReconnectClears                  // a new grant clears Unresolved
	GraceWhole                       // a call begins only if its deadline lies within the grace
	GraceFromFirst                   // the grace counts from the first unresolved attempt of a chain
	ChanceOnce                       // who takes over a last chance does not repeat it
	ChanceInherited                  // nor does who takes over that one
	RefusalKept                      // a refresh token that was refused is not presented again
	FittingKept                      // an attempt deletes no salvage that will fit after it
	UnknownWaits                     // after a call without an answer the next begins after its deadline
	CalmChange                       // credentials change beside a grant only while it has neither intent nor salvage
	LifeOfGrant                      // a refresh token is judged by the life of its grant, which other credentials do not end
	rules                            // how many there are
)

func (r Rule) String() string {
	return [...]string{
		"DeadlineFromOpening", "TakeoverWaits", "LocalLease", "ResendOnly", "ReadAgain", "SalvageStored", "SpoolFirst",
		"ReadOn", "SalvageByLife", "NewestFirst", "Sweep", "LookAtAll", "NeverTwice", "VoidFirstOnly", "LivesCompared",
		"IntentWithoutLease", "OneIntent", "StateCompared", "GrantCompared", "EpochCompared", "IntentCompared",
		"SavingComparesIntent", "SavingComparesState", "Verified", "Joined", "LifeLookedAt", "UnknownNoted",
		"TakeoverNoted", "UnresolvedKept", "ReconnectClears", "GraceWhole", "GraceFromFirst", "ChanceOnce", "ChanceInherited",
		"RefusalKept", "FittingKept", "UnknownWaits", "CalmChange", "LifeOfGrant",
	}[r]
}

// Rules is a set of rules.
type Rules uint64

// RulesOf returns the set of some rules.
func RulesOf(rules ...Rule) (set Rules) {
	for _, r := range rules {
		set |= 1 << r
	}
	return set
}

// Has reports whether a rule is in the set.
func (s Rules) Has(r Rule) bool { return s>>r&1 == 1 }

// AllRules returns every rule there is.
func AllRules() []Rule {
	all := make([]Rule, rules)
	for i := range all {
		all[i] = Rule(i)
	}
	return all
}

// Violation is what must not happen, or a named window in which it does.
type Violation uint8

// The violations. The windows at the end cannot be closed by any system; they
// are counted, so that they do not hide among the others.
const (
	VersionWentBack      Violation = iota // a version was given twice, or one that is no newer
	DeposedCommitted                      // a node without leadership wrote what only the leader writes
	OlderOverNewer                        // an older value or grant was published over a newer one
	TwoCalls                              // a call began before the last one was over
	ResultLost                            // a refresh token that was received is nowhere any more
	ReadCancelled                         // an answer was thrown away by a process that lives
	SpentPresented                        // a refresh token that was spent was presented again
	RefusedPresented                      // a refresh token that was refused was presented again
	OutcomeForgotten                      // nothing says any more that the refresh token may be spent
	CalledTwiceForOne                     // without any fault a version cost two calls
	CalledForReplaced                     // a call was made for a version that was replaced
	FormerLifePublished                   // a result of a former life was published
	FormerLifeFailed                      // a refusal of a former grant ended the current one
	NewestDiscarded                       // the refresh token the platform holds current was discarded
	Stuck                                 // without further faults it cannot end well
	WindowLateWrite                       // W1
	WindowLateArrival                     // W2
	WindowBeforeDisk                      // W3: a crash between the answer and the disk
	WindowSalvageTooLate                  // W4: salvage came between the last look and the call
	WindowAnswerLost                      // W5: the platform acted and the answer never came
	WindowDiskLost                        // W6: a node was lost with its disk
	violations                            // how many there are
)

// Window reports whether it is one of those that no system can close.
func (v Violation) Window() bool { return v >= WindowLateWrite }

func (v Violation) String() string {
	return [...]string{
		"VersionWentBack", "DeposedCommitted", "OlderOverNewer", "TwoCalls", "ResultLost", "ReadCancelled",
		"SpentPresented", "RefusedPresented", "OutcomeForgotten", "CalledTwiceForOne", "CalledForReplaced", "FormerLifePublished",
		"FormerLifeFailed", "NewestDiscarded", "Stuck", "WindowLateWrite", "WindowLateArrival", "WindowBeforeDisk",
		"WindowSalvageTooLate", "WindowAnswerLost", "WindowDiskLost",
	}[v]
}

// Violations is a set of violations.
type Violations uint32

// Has reports whether a violation is in the set.
func (s Violations) Has(v Violation) bool { return s>>v&1 == 1 }

// All returns what is in the set.
func (s Violations) All() []Violation {
	var all []Violation
	for ; s != 0; s &= s - 1 {
		all = append(all, Violation(bits.TrailingZeros32(uint32(s)))) //nolint:gosec // below 32
	}
	return all
}
