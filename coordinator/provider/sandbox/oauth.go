package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// ErrUnknownClient says that the sandbox has no OAuth client of that id.
var ErrUnknownClient = errors.New("unknown client_id")

// oauth is the emulated authorization server: a token endpoint and one resource.
type oauth struct {
	clock  clock
	anyApp bool
	prefix string

	mu        sync.Mutex
	clients   map[string]*oauthAccount // :: client_id → account
	access    map[string]*accessToken  // :: value → its life; the long dead are forgotten
	refreshes map[string]*refreshToken // :: value → its life; the long replaced are forgotten
	forgetAt  int                      // how many values make it worth looking for those
}

// oauthAccount is the server's memory of one client; guarded by oauth.mu.
type oauthAccount struct {
	client   OAuthClient // with defaults
	open     bool        // came by itself (Config.AnyApp): every method of authentication will do
	families []*family   // oldest first
	counts   oauthCounts
}

// oauthCounts are what an account's report counts.
type oauthCounts struct {
	access  int // access tokens issued
	refresh int // refresh tokens issued
	reused  int // replaced refresh tokens presented again, whatever the answer
	revoked int // families
}

func newOAuth(cfg Config, c clock) *oauth {
	p := &oauth{
		clock: c, anyApp: cfg.AnyApp, prefix: cfg.TokenPrefix,
		clients: make(map[string]*oauthAccount),
		access:  make(map[string]*accessToken), refreshes: make(map[string]*refreshToken),
	}
	for _, client := range cfg.OAuthClients {
		p.addLocked(client)
	}
	return p
}

func (p *oauth) addLocked(client OAuthClient) *oauthAccount {
	acc := &oauthAccount{client: client.withDefaults()}
	p.clients[client.ID] = acc
	return acc
}

// welcomeLocked makes an account for a client that came by itself, where such are
// welcome; else it returns nil.
func (p *oauth) welcomeLocked(id string) *oauthAccount {
	if !p.anyApp || !valueAlphabet.MatchString(id) || id == "" {
		return nil
	}
	acc := p.addLocked(OAuthClient{ID: id})
	acc.open = true
	return acc
}

// UpdateOAuthClient creates the client or changes its settings; tokens that live go
// on living as they were granted. change may not keep its argument nor call the
// sandbox; where it or the settings it makes are in error, nothing changes.
func (s *Sandbox) UpdateOAuthClient(id string, change func(*OAuthClient) error) error {
	p := s.oauth
	p.mu.Lock()
	defer p.mu.Unlock()
	acc, client := p.clients[id], OAuthClient{ID: id}
	if acc != nil {
		client = acc.client.clone()
	}
	if err := change(&client); err != nil {
		return fmt.Errorf("changing client %q: %w", id, err)
	}
	if client.ID != id {
		return fmt.Errorf("changing client %q: the client_id cannot change", id)
	}
	if err := client.validate(); err != nil {
		return err
	}
	if acc == nil {
		p.addLocked(client)
		return nil
	}
	acc.client, acc.open = client.withDefaults(), false
	return nil
}

// list returns the settings of all clients without their secrets, by client_id.
func (p *oauth) list() map[string]OAuthClient {
	p.mu.Lock()
	defer p.mu.Unlock()
	clients := make(map[string]OAuthClient, len(p.clients))
	for id, acc := range p.clients {
		client := acc.client.clone()
		client.Secret = ""
		clients[id] = client
	}
	return clients
}

// forgetRefreshAfter is how long, by the platform's clock, a replaced refresh token
// is told from one that never was.
const forgetRefreshAfter = 90 * 24 * time.Hour

// forgetLocked drops what has been dead for long, looking only when there is twice
// as much as was left the last time.
func (p *oauth) forgetLocked(now time.Time) {
	if len(p.access)+len(p.refreshes) < p.forgetAt {
		return
	}
	dead, replaced := now.Add(-p.clock.shrink(forgetAfter)), now.Add(-p.clock.shrink(forgetRefreshAfter))
	maps.DeleteFunc(p.access, func(_ string, t *accessToken) bool { return t.dies.Before(dead) })
	maps.DeleteFunc(p.refreshes, func(_ string, t *refreshToken) bool {
		return !t.replaced.IsZero() && t.replaced.Before(replaced) && !t.living(p.clients[t.family.client].client.Rotation)
	})
	p.forgetAt = 2*(len(p.access)+len(p.refreshes)) + 1024
}

func (c OAuthClient) clone() OAuthClient {
	c.Grants, c.Scopes = slices.Clone(c.Grants), slices.Clone(c.Scopes)
	return c
}
