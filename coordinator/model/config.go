package model

// Kind is what the platform does with tokens, and with a refresh token presented twice.
type Kind uint8

// The kinds of platforms.
const (
	Stable  Kind = iota // repeats a value until it is to be replaced
	Plain               // each call mints; the value before lives on for an overlap
	Strict              // spends a refresh token; presenting it again revokes the family
	Grace               // the same, but for a while the old one yields the current one again
	Sibling             // the same, but yields a new one, and the one before dies
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Stable, Plain, Strict, Grace, Sibling} }

func (k Kind) String() string { return [...]string{"stable", "plain", "strict", "grace", "sibling"}[k] }

// rotates reports whether an answer holds a new refresh token.
func (k Kind) rotates() bool { return k >= Strict }

// forgives reports whether a spent refresh token may be presented again for a while.
func (k Kind) forgives() bool { return k >= Grace }

// Change is something that people do.
type Change uint8

// The changes.
const (
	Push      Change = iota // a value is set by hand
	Touch                   // the state is written by somebody else
	Reseal                  // the grant is written anew, with the same content
	Reconnect               // a human gives a new grant
	Recreate                // the app is deleted and made again
	NewSecret               // the credentials change, a grant stays
	NewParent               // the parent's credentials change: the intent stays
	Revoke                  // the grant is withdrawn at the platform
)

func (c Change) String() string {
	return [...]string{"push", "touch", "reseal", "reconnect", "recreate", "new secret", "new parent", "revoke"}[c]
}

// Config bounds a walk.
type Config struct {
	Kind         Kind
	Nodes        int      // 2 or 3
	Faults       uint8    // of any kind, in one run
	LateWrites   uint8    // W1: a process stands still between its last look at the clock and the write
	LateArrivals uint8    // W2: a request acts at the platform after its deadline
	Reports      uint8    // of clients
	Changes      []Change // each may happen, ChangeLimit in all
	ChangeLimit  uint8
	Disks        uint8    // that may be lost with what is spooled on them
	LastChance   bool     // a refresh token that may be spent is tried once after the value has expired
	Note         bool     // the refresher may give up waiting for salvage
	Without      Rules    // that are taken out
	States       int      // walk no further than so many; 0: to the end
	Stop         bool     // at the first violation
	After        []string // steps that are taken first, as traces name them
}
