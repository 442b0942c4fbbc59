package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

// instant is a moment by both clocks: the monotonic one stands still while a
// machine sleeps, the other one may be set.
type instant struct {
	monotonic time.Time
	wall      time.Time
}

func now() instant {
	t := time.Now()
	return instant{monotonic: t, wall: t.Round(0)}
}

// since returns how much time has passed, by the clock that says more.
func (i instant) since(earlier instant) time.Duration {
	return max(i.monotonic.Sub(earlier.monotonic), i.wall.Sub(earlier.wall))
}

// held is a value and when it came. Caches keep it by pointer, so that printing
// one shows no value.
type held struct {
	token Token
	came  instant
}

func newHeld(t Token, came instant) *held { return &held{token: t, came: came} }

// left returns how long the value lives on.
func (h *held) left(at instant) time.Duration {
	return time.Duration(h.token.ExpiresIn)*time.Second - at.since(h.came)
}

func (h *held) edition() edition { return editionOf(h.token.Version, h.token.IssuedAt) }

// at returns the value as a node would answer it then.
func (h *held) at(at instant) Token {
	t := h.token
	t.ExpiresIn = int64(max(0, h.left(at)) / time.Second)
	t.Extra = maps.Clone(t.Extra)
	return t
}

// satisfies reports whether the value is one that is asked for.
func (h *held) satisfies(opts TokenOptions, at instant) bool {
	left := h.left(at)
	return left > 0 && left >= opts.MinTTL && h.token.Version > opts.After
}

// Token returns the value of a token: from memory if it is one that is asked
// for, else from a node, which waits if that is asked for too. Where no node
// answers, it is the last value that was known, while it lives.
func (c *Cache) Token(ctx context.Context, name string, opts TokenOptions) (Token, error) {
	name, err := fullName(name)
	if err != nil {
		return Token{}, err
	}
	h, whole := c.find(name)
	if whole && h != nil && h.satisfies(opts, now()) {
		return h.at(now()), nil
	}
	asked := now()
	if h != nil && h.left(asked) > 0 && h.token.Version >= opts.After && opts.MinTTL > 0 {
		opts.After = h.token.Version // what is held is too old, and so is what came before it
	}
	t, err := c.client.Token(ctx, name, opts)
	if err == nil {
		return c.keep(newHeld(t, asked)).at(now()), nil
	}
	return c.lastKnown(name, h, opts, err)
}

// find returns what is held of a token, and whether the copy is whole.
func (c *Cache) find(name string) (*held, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.held[name], c.isSynced()
}

// lastKnown answers a read that no node answered. A refusal is an answer.
func (c *Cache) lastKnown(name string, h *held, opts TokenOptions, err error) (Token, error) {
	if p, ok := errors.AsType[*Problem](err); h == nil || ok && !p.anotherNode() && !p.fromBetween() {
		return Token{}, err
	}
	at := now()
	if h.satisfies(opts, at) {
		return h.at(at), nil
	}
	if h.left(at) <= 0 {
		return Token{}, fmt.Errorf("no node answers, and the last value of %s that is known, version %d, has expired: %w", name, h.token.Version, err)
	}
	return Token{}, err
}

// fullName completes "app" to the name of its access_token.
func fullName(name string) (string, error) {
	if _, err := tokenPath(name); err != nil {
		return "", err
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	return name + "/" + defaultToken, nil
}

// streamName completes a name; globs stay as they are.
func streamName(name string) (string, error) {
	if strings.ContainsAny(name, ",") || name == "" {
		return "", fmt.Errorf("token name %.200q: use app/token, app for its access_token, or a pattern such as shop/*", name)
	}
	if strings.ContainsAny(name, `*?[\`) {
		return name, nil
	}
	return fullName(name)
}
