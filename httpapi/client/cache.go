package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Reader is who gives out values and takes reports: a *[Client], or a *[Cache]
// before it.
type Reader interface {
	Token(ctx context.Context, name string, opts TokenOptions) (Token, error)
	Report(ctx context.Context, name string, body ReportBody) (ReportAnswer, error)
}

// CacheConfig says what a Cache keeps.
type CacheConfig struct {
	// Names of tokens: "app/token", "app" for its access_token, or globs such as
	// "shop/*". None: all that the client may read.
	Names []string

	// Logger is told when the stream breaks and when it is back; nil: silent.
	Logger *slog.Logger
}

// Cache is a copy of a cluster's tokens in this process. One stream keeps it
// while [Cache.Run] runs, and reads cost a look into memory.
//
// A value is given out until its own expiry, whether or not a node can be
// reached, and never past it: what counts is the life that the node said was
// left, so that a wrong clock here does no harm. The version of a token never
// goes back, except to one that was issued later, by a cluster that began anew.
type Cache struct {
	client *Client
	names  []string
	log    *slog.Logger

	mu     sync.RWMutex
	held   map[string]*held // :: token name → its newest value, never changed in place
	synced chan struct{}    // closed while the copy is whole
}

// NewCache makes a Cache, which is empty until Run fills it.
func NewCache(c *Client, cfg CacheConfig) (*Cache, error) {
	if c == nil {
		return nil, errors.New("a cache needs a client")
	}
	cache := &Cache{client: c, log: cfg.Logger, held: map[string]*held{}, synced: make(chan struct{})}
	if cache.log == nil {
		cache.log = slog.New(slog.DiscardHandler)
	}
	for _, name := range cfg.Names {
		name, err := streamName(name)
		if err != nil {
			return nil, err
		}
		cache.names = append(cache.names, name)
	}
	return cache, nil
}

// Format prints what is followed, whatever the verb.
func (c *Cache) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "copy of the tokens %v", c.names) }

// Run keeps the copy until ctx ends, and returns nil then. It returns an error
// when nothing but a change of the request can mend it: the key, a name, a
// permission. Reads go to the nodes before it has told everything and after it returned.
func (c *Cache) Run(ctx context.Context) error {
	defer c.setSynced(false)
	broken := false
	for event, err := range c.client.Stream(ctx, c.names...) {
		switch {
		case err != nil && final(err):
			return fmt.Errorf("keeping a copy of tokens: %w", err)
		case err != nil:
			broken = true
			c.log.WarnContext(ctx, "stream of tokens is broken, their last values are served", "err", err)
		case event.Kind == EventSynced:
			c.setSynced(true)
			if broken {
				broken = false
				c.log.InfoContext(ctx, "stream of tokens is back")
			}
		default:
			c.apply(event)
		}
	}
	return nil
}

// Synced returns a channel that is closed once the copy is whole.
func (c *Cache) Synced() <-chan struct{} {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.synced
}

func (c *Cache) setSynced(synced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	is := c.isSynced()
	switch {
	case synced && !is:
		close(c.synced)
	case !synced && is:
		c.synced = make(chan struct{})
	}
}

// isSynced needs mu.
func (c *Cache) isSynced() bool {
	select {
	case <-c.synced:
		return true
	default:
		return false
	}
}

// apply keeps what the stream tells.
func (c *Cache) apply(event Event) {
	switch event.Kind {
	case EventToken:
		c.keep(newHeld(event.Token, now()))
	case EventState:
		c.setState(event.Name, event.State)
	case EventDeleted:
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.held, event.Name)
	}
}

// keep keeps a value unless a newer one is held that lives, and returns the one that is held then.
func (c *Cache) keep(h *held) *held {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := h.token.Name()
	if old := c.held[name]; old != nil && old.left(now()) > 0 && !old.edition().before(h.edition()) && old.edition() != h.edition() {
		return old
	}
	c.held[name] = h
	return h
}

// setState keeps what became of a value: its end may have moved. A node that
// holds none that lives knows better than we do, unless it lags behind another
// one that was asked meanwhile.
func (c *Cache) setState(name string, state State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.held[name]
	if old == nil || editionOf(state.Version, state.IssuedAt).lags(old.edition()) {
		return
	}
	changed := *old
	changed.token.State = state.State
	switch {
	case state.ExpiresIn <= 0:
		changed.token.ExpiresIn = 0
	case state.Version == old.token.Version:
		changed.token.ExpiresAt, changed.token.ExpiresIn, changed.came = state.ExpiresAt, state.ExpiresIn, now()
	}
	c.held[name] = &changed
}

// All returns the values that are held and live, by name.
func (c *Cache) All() map[string]Token {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all, at := map[string]Token{}, now()
	for name, h := range c.held {
		if h.left(at) > 0 {
			all[name] = h.at(at)
		}
	}
	return all
}

// Report tells the cluster that the platform refused a value.
func (c *Cache) Report(ctx context.Context, name string, body ReportBody) (ReportAnswer, error) {
	return c.client.Report(ctx, name, body)
}
