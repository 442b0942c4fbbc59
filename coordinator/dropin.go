package coordinator

import (
	"errors"
	"net/http"
	"time"
)

// DropIn is a Provider that speaks its platform's own token calls, so that
// programs written for the platform can be pointed at a node instead: they send
// a client key in the place of the app's secret, and get the token we hold.
type DropIn interface {
	// TokenCall reads a request; its path is the one below the root of the
	// surface, and its body is bounded. ErrNoTokenCall means that it asks for no
	// token and belongs to the platform: its body was not touched. Any other error
	// goes to Refusal. It calls nobody.
	TokenCall(r *http.Request) (TokenCall, error)

	// Identities returns what Provider.Identity says of the apps that programs of
	// the platform mean by an id, the likeliest first.
	Identities(id string) []string

	// Grant is the platform's answer to a call that gets a value, which lives so long.
	Grant(call TokenCall, value Secret, life time.Duration) Reply

	// Refusal is the platform's answer to a call that gets none, or that carries
	// no value we know. Of an error that is not ours it says that the platform is busy.
	Refusal(err error) Reply

	// Carries says where calls carry a value, whatever the app.
	Carries() Place
}

// TokenCall is a call for a token, as programs of a platform make it.
type TokenCall struct {
	ID         string   // of the app: the platform's, or our name of it; empty where Value tells
	Identities []string // see DropIn.Identities; the likeliest first for this call
	Key        Secret   // a client key, which stood in the place of the app's secret
	Value      Secret   // in the place of ID and Key: a value of the app's, which the call is made with
	Token      string   // which of the app's tokens is asked for
	Force      bool     // the caller does not want the value it has any more
}

// Reply is a whole answer in a platform's words.
type Reply struct {
	Status      int
	ContentType string
	Body        []byte
}

// Errors of drop-in surfaces, beside those that readers of tokens meet.
var (
	ErrNoTokenCall  = errors.New("the request asks for no token")
	ErrKeyRefused   = errors.New("the client key in the place of the secret is not valid, or has expired")
	ErrValueRefused = errors.New("the value of the call is none that is held here, or that was held not long ago")
	ErrNoValue      = errors.New("the call carries no value: only calls that do are passed on")
	ErrNotKept      = errors.New("the app does not keep this token: name it in its settings")
)

// DropIn returns a provider that speaks its platform's token calls.
func (n *Node) DropIn(provider string) (DropIn, bool) {
	found, ok := n.providers[provider].(DropIn)
	return found, ok
}
