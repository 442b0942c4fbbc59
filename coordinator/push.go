package coordinator

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"freshet/tracing"
)

// Bounds of what is pushed.
const (
	LeastPush = 10 * time.Second          // a shorter life could end before every node serves the value
	MostPush  = 10 * 365 * 24 * time.Hour // a longer one is a mistake
	maxValue  = 64 << 10                  // bytes of a value
	maxDetail = 4 << 10                   // bytes of a scope, or of one extra output
	maxExtras = 32                        // extra outputs
)

// Push is a value that somebody hands to the cluster.
type Push struct {
	Value    Secret
	Lifetime time.Duration     // from now on; zero: Expires says it
	Expires  time.Time         // zero: Lifetime says it
	Type     string            // token_type, e.g. "Bearer"
	Scope    string            // granted scope
	Extra    map[string]string // outputs that are not secret
	By       string            // client that pushes

	// IdempotencyKey names this push among those of By, however often it is sent;
	// empty: each is one of its own.
	IdempotencyKey string
}

// Pushed says what became of a push.
type Pushed struct {
	Version int64     // that is served with this value, or with one that was pushed after it
	Expires time.Time // of the value
	View    *View     // of the token when it was taken
}

// Push takes a value for a token whose provider asks nobody. When it returns the
// value is in the store, and whoever leads publishes it, once, unless the app is
// deleted before, or another value is pushed. The value that is held already,
// with the same that comes with it, gets the new end and keeps its version. One
// that was pushed before under its idempotency key changes nothing and is answered
// as it was then. Mistakes are *InvalidError. Where the error is ErrAmbiguous it is
// safe to push again.
func (n *Node) Push(ctx context.Context, name Name, p Push) (Pushed, error) {
	if p.Lifetime != 0 {
		p.Expires = n.now().Add(p.Lifetime)
	}
	if err := p.check(n.now()); err != nil {
		return Pushed{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if _, known := n.cache.view(name); !known {
		n.appears(ctx, name, appearLimit)
	}
	ctx, span := n.tracer.Start(ctx, "push")
	i := Input{
		Name: name, ID: p.id(name), Value: p.Value, Type: p.Type, Scope: p.Scope, Extra: p.Extra,
		Pushed: n.now(), Expires: p.Expires, By: p.By, Node: n.name, Traceparent: tracing.Traceparent(ctx),
	}
	pushed, err := n.pushAgain(ctx, i)
	span.End(err)
	return pushed, err
}

// pushAgain writes an input, again while others change what it stands on. A state
// that has changed may know a later push, whose value must not be replaced by one
// that was on its way before.
func (n *Node) pushAgain(ctx context.Context, i Input) (Pushed, error) {
	for {
		moved := n.cache.moved.wait()
		if err := n.pushable(i.Name); err != nil {
			return Pushed{}, err
		}
		on, err := n.standOn(&i)
		if err == nil && !on.sent {
			err = n.store.PutInput(ctx, i, on.seen)
		}
		if !errors.Is(err, ErrConflict) {
			return Pushed{Version: i.Wanted, Expires: i.Expires, View: on.view}, err
		}
		select {
		case <-moved: // the change that refused us arrives by the watch, or has arrived as a whole
		case <-ctx.Done():
			return Pushed{}, ErrConflict
		}
	}
}

// pushable says why values of a token cannot be pushed.
func (n *Node) pushable(name Name) error {
	if _, err := n.existing(name); err != nil {
		return err
	}
	app, err := n.Effective(name.App)
	if err != nil {
		return err
	}
	if n.fetcher(app) != nil {
		return Invalidf("values of %s come from its platform (provider %q), and the next refresh would replace a pushed one: push to an app whose provider is static", name, app.Provider)
	}
	return nil
}

// footing is what this node knows of a token that is pushed to.
type footing struct {
	view *View
	seen State
	sent bool // the same push was sent before: there is nothing to write
}

// standOn completes an input with what this node knows of the token: one that was
// sent before as it was then. It is a conflict while the value of that state is on
// its way into the view, since whether the same is pushed could not be told.
func (n *Node) standOn(i *Input) (on footing, err error) {
	n.cache.reading(func(r *records) {
		on.seen = r.states[i.Name]
		on.view, _ = n.cache.view(i.Name)
		if on.view == nil || on.view.State.Revision < on.seen.Revision {
			err = ErrConflict
			return
		}
		waiting, held := r.inputs[i.Name], on.view.Token
		if on.sent, err = i.sentBefore(waiting, on.seen, held); on.sent || err != nil {
			return
		}
		i.Incarnation, i.Revision, i.Before = on.seen.Incarnation, waiting.Revision, waiting.before()
		i.Wanted = on.seen.Version + 1
		if held != nil && held.Version == on.seen.Version && i.repeats(*held) {
			i.Wanted = on.seen.Version
		}
		i.Wanted = max(i.Wanted, waiting.Wanted)
	})
	return on, err
}

// check says in one sentence what is wrong with a push.
func (p Push) check(now time.Time) error {
	switch lives := p.Expires.Sub(now); {
	case p.Value.IsZero():
		return Invalidf("no value is pushed")
	case !isText(p.Value.Reveal(), maxValue):
		return Invalidf("the value has spaces around it or control characters in it, or is longer than %d bytes: push the bare value", maxValue)
	case p.Expires.IsZero():
		return Invalidf("say when the value ends: how long it lives, or until when")
	case lives <= 0:
		return Invalidf("the value has ended already: push one that lives")
	case lives < LeastPush:
		return Invalidf("the value lives for less than %s, too short to be served by every node: push one that lives longer", LeastPush)
	case lives > MostPush:
		return Invalidf("the value is to live for more than ten years: say when the platform lets it end")
	case !isText(p.IdempotencyKey, maxName):
		return Invalidf("the idempotency key is longer than %d bytes, or has spaces around it or control characters in it: use a short text of its own for each push", maxName)
	case !isText(p.Type, maxName):
		return Invalidf("the token type is longer than %d bytes, or has spaces around it or control characters in it", maxName)
	case !isText(p.Scope, maxDetail):
		return Invalidf("the scope is longer than %d bytes, or has spaces around it or control characters in it", maxDetail)
	case len(p.Extra) > maxExtras:
		return Invalidf("more than %d extra outputs are pushed", maxExtras)
	}
	for name, text := range p.Extra {
		if !tokenName.MatchString(name) || !isText(text, maxDetail) {
			return Invalidf("extra output %.80q: use a name like that of a token, and a text of at most %d bytes without control characters", name, maxDetail)
		}
	}
	return nil
}

// maxName is how long a word may be, in bytes.
const maxName = 64

// isText reports whether a text can be handed out as it is.
func isText(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}
