package coordinator

import (
	"errors"
	"fmt"
	"time"
)

// Errors of the store contract. Each means that nothing was changed.
var (
	// ErrFenced: a later leadership exists, or ours is gone; step down.
	ErrFenced = errors.New("leadership is gone")
	// ErrConflict: something the transaction compares has changed; read again.
	ErrConflict = errors.New("the record has changed since it was read")
	// ErrLeadershipLost is the cause of the end of a leader's context.
	ErrLeadershipLost = errors.New("leadership lost")
	// ErrNameTaken: another live process carries this node's name.
	ErrNameTaken = errors.New("another node of this name is running")
)

// ErrAmbiguous means that the store could not tell in time whether a
// transaction was committed: it may be, now or later. It is never guessed.
var ErrAmbiguous = errors.New("the outcome of a transaction is unknown")

// Errors that callers of a Node meet.
var (
	ErrUnknownToken    = errors.New("no such token")
	ErrUnknownApp      = errors.New("no such app")
	ErrUnknownClient   = errors.New("no such client")
	ErrClientExists    = errors.New("a client of this name exists already: delete it first, or choose another name")
	ErrTokenPending    = errors.New("the token has no value yet")
	ErrNoValidToken    = errors.New("the token has no valid value")
	ErrNoNewerToken    = errors.New("the token has no newer value")
	ErrReauthorize     = errors.New("the grant is gone: the app must be authorised again")
	ErrBudgetExhausted = errors.New("the budget of upstream calls is spent")
	ErrNotSynced       = errors.New("this node has not read the cluster's state yet")
	ErrStale           = errors.New("this node has heard nothing from etcd for a while, so it cannot tell whether anything would change: ask another one, or try again when etcd answers")
	ErrInvalid         = errors.New("invalid input")
)

// InvalidError is a mistake of the caller, told in one sentence that says what to do.
type InvalidError struct{ Message string }

// Invalidf makes an InvalidError.
func Invalidf(format string, args ...any) error {
	return &InvalidError{Message: fmt.Sprintf(format, args...)}
}

// Error returns the sentence.
func (e *InvalidError) Error() string { return e.Message }

// Is makes every InvalidError an ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// TwinError refuses an app that the platform would not tell from another one.
// Its text names the other one, which not everybody may see.
type TwinError struct {
	App      string
	Twin     string
	Identity string // what the platform knows both by; no secret
}

// Error says which app it is, and what to do.
func (e *TwinError) Error() string {
	return fmt.Sprintf("app %q has the same identity at the platform as app %q (%s): two of them would kill each other's tokens, so delete one or use one name",
		e.App, e.Twin, e.Identity)
}

// Is makes every TwinError an ErrInvalid.
func (e *TwinError) Is(target error) bool { return target == ErrInvalid }

// Class says what an upstream's error means for us.
type Class string

// The classes of upstream errors.
const (
	ClassRetry       Class = "retry"       // passing: try again soon, keep serving
	ClassDeadToken   Class = "dead_token"  // the token this call was made with is dead
	ClassConfig      Class = "config"      // cannot work until somebody acts: probe slowly
	ClassQuota       Class = "quota"       // a limit is reached: wait for its window
	ClassReauthorize Class = "reauthorize" // the grant is gone
	ClassUncertain   Class = "uncertain"   // the refresh token may have been used: it is not presented again
	ClassCaller      Class = "caller"      // the caller's mistake; never touches a token
)

// UpstreamError is a classed error of an upstream call. Its text carries no secret.
type UpstreamError struct {
	Class      Class
	Code       string        // the platform's own, e.g. "40013"; "http_502", "timeout", "not_json" where it gave none
	Reason     string        // short and stable, e.g. "invalid_secret"; for states and alerts
	Message    string        // what to do, or the platform's words, trimmed and redacted
	RetryAfter time.Duration // zero: not said
	Token      string        // with ClassDeadToken: which of the tokens handed to the call is dead
	Egress     bool          // the platform refuses this address, not this app
	Ambiguous  bool          // the upstream may have acted
}

// Error returns reason, code and message. A code that is the reason is not repeated.
func (e *UpstreamError) Error() string {
	if e.Code == e.Reason {
		return e.Reason + ": " + e.Message
	}
	return fmt.Sprintf("%s (%s): %s", e.Reason, e.Code, e.Message)
}
