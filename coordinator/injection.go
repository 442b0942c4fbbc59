package coordinator

import (
	"errors"
	"net/http"
	"net/url"
)

// Injector is a Provider that knows how calls of clients carry a value of its
// platform, so that a node can forward such calls and heal what they meet.
type Injector interface {
	// Injection says how calls are made on behalf of a resolved app. The error is
	// an ErrInvalid that says what the app lacks, e.g. the address of the platform's API.
	Injection(app App) (Injection, error)
}

// Injection says how calls of clients reach a platform with a value.
type Injection struct {
	Base  url.URL // scheme and host, perhaps a path: every call goes below it, and nowhere else
	Token string  // whose value is put in
	Any   bool    // the client may name another of the app's tokens instead
	Place Place   // where it is put

	// Dead reports whether an answer says that the value was refused, and the
	// platform's code for it. It is called concurrently. body is the beginning of the body, without its
	// content coding, at most DeadBody bytes; empty where it is none that could tell.
	Dead func(status int, header http.Header, body []byte) (code string, dead bool)
}

// DeadBody is how much of a body is looked at to tell whether a value was
// refused, in bytes: platforms that answer 200 say so in a short JSON object.
const DeadBody = 4 << 10

// Place is where a call carries a value: in a query parameter or in a header.
type Place struct {
	Query  string // name of the parameter
	Header string // name of the header, in canonical form
	Prefix string // before the value in the header, e.g. "Bearer "
}

// Injection says how calls of clients are made on behalf of an app. Errors are
// ErrUnknownApp, ErrNotSynced, and ErrInvalid where the app says too little.
func (n *Node) Injection(app string) (Injection, error) {
	resolved, err := n.Effective(app)
	if errors.Is(err, ErrUnknownApp) && !n.Health().Synced {
		return Injection{}, ErrNotSynced
	}
	if err != nil {
		return Injection{}, err
	}
	injector, ok := n.providers[resolved.Provider].(Injector)
	if !ok {
		return Injection{}, Invalidf("calls for app %q cannot be forwarded: provider %q does not say how they carry a token", app, resolved.Provider)
	}
	return injector.Injection(resolved)
}
