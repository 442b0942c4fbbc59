package coordinator

import (
	"context"
	"time"
)

// Provider is our code for one kind of upstream. Its methods are called
// concurrently; only Fetch and Probe use the network. See package
// coordinator/provider for the kinds there are. One that is no Fetcher asks
// nobody: the values of its apps are pushed, see Node.Push.
type Provider interface {
	// Check says in one sentence what is wrong with a resolved app (see
	// App.Inherit): an unknown option, a missing credential, a token it does not know.
	Check(app App) error

	// Groups returns the fetch groups of a resolved app, parents of other
	// groups first. Only tokens the app keeps appear.
	Groups(app App) []Group

	// Identity is what the platform knows the app by, as one text free of
	// secrets; two apps of one identity would kill each other's tokens and
	// are refused.
	Identity(app App) string

	// Upstream names the host that carries the app's calls; workers and
	// failures are counted by it.
	Upstream(app App) string
}

// Fetcher is a Provider that asks its upstream for values.
type Fetcher interface {
	Provider

	// Fetch asks the upstream once, never twice: no retry, no redirect, no
	// other host after a request that may have been delivered. It returns by
	// the deadline of ctx. Errors are *UpstreamError; a Yield beside one may
	// hold the new refresh token of an answer that is useless otherwise.
	Fetch(ctx context.Context, call Call) (Yield, error)
}

// Prober is a Provider whose platform has a cheap call that tells whether a value lives.
type Prober interface {
	// Probe asks the upstream whether the value of call.Group's first token in
	// call.Tokens is accepted. An *UpstreamError means that it could not be told.
	Probe(ctx context.Context, call Call) (alive bool, err error)
}

// Group is a fetch group: the tokens that one upstream call yields.
type Group struct {
	Name   string   // unique in the app, e.g. "access_token"
	Tokens []string // the tokens it yields that the app keeps, at least one
	Needs  []string // tokens of the same app whose values the call is made with

	Earliest    time.Duration // only the last so-much of a lifetime makes a new value; zero: any time
	Overlap     time.Duration // how long a replaced value lives on
	MinInterval time.Duration // between two calls
	ForceEvery  time.Duration // between two forced calls
	Probe       time.Duration // between two looks of a Prober at whether the value lives; zero: none unless the app asks for them
	Exclusive   bool          // a new value kills the old one, whoever fetched it
	Rotation    Rotation      // of the refresh token the call spends; zero: it spends none
	Budget      Limit         // of all calls
	ForceBudget Limit         // of forced calls
}

// Limit is a number of calls in a window. Zero Calls means no limit.
type Limit struct {
	Calls int
	Scope string         // what is counted together, e.g. "stable_token"
	Zone  *time.Location // whose midnight ends the day; nil: UTC
}

// Call is one upstream call.
type Call struct {
	App    App // resolved, with its credentials
	Group  Group
	Tokens map[string]Secret // :: token → value, of Group.Needs; for a probe, of the group itself
	Force  bool              // the value held is dead: the platform shall make a new one

	// Refresh is the refresh token to present, where Group.Rotation says that
	// the call spends one. It is in no field of App.Credentials.
	Refresh Secret
}

// Yield is what a Fetch yields.
type Yield struct {
	Values  map[string]Value // :: token → value, for each of Group.Tokens
	Refresh Secret           // the refresh token to present next; zero: the one presented stays
}

// Value is one fetched value. It expires Lifetime after the instant before the call.
type Value struct {
	Value    Secret
	Lifetime time.Duration
	Type     string
	Scope    string
	Extra    map[string]string
}
