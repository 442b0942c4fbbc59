// Package clienttest is a cluster in memory, for tests of programs that read
// their tokens by package client. Its nodes speak the same HTTP as real ones:
// tokens with min_ttl, after and wait, reports, refreshes, and the stream.
//
//	cluster := clienttest.New()
//	cluster.Set("shop/access_token", "first", time.Hour)
//	node := cluster.Start(t)
//	c, err := client.New(cluster.Config(node))
//
// A test then does what happens in life: [Cluster.Rotate] brings a new version,
// [Cluster.Kill] makes the platform refuse the value, so that a report brings a
// new one; [Node.Stop] kills a node. [Cluster.Accepts] is what a made-up
// platform asks, and [Cluster.Reports] counts what the program reported.
//
// [Cluster.StartInMemory] starts nodes that need no socket, for bubbles of
// testing/synctest. Permissions, apps and administration are not emulated: there
// is one key, which may do everything.
package clienttest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"freshet/httpapi/client"
)

// Key is the client key of every cluster here.
const Key = "clienttest-key"

// Cluster is what all nodes of a test share. It is safe for use by many goroutines.
type Cluster struct {
	pipes *pipes // to the nodes in memory

	mu          sync.Mutex
	incarnation int64
	position    int64             // of the newest change
	tokens      map[string]*token // :: token name → what is known of it; never changed in place
	reports     map[string]int    // :: token name → how many came
	refreshes   map[string]int
	reads       int
	revoked     bool
	moved       chan struct{} // closed and replaced at each change
}

// token is what is known of one token.
type token struct {
	client.Token

	life     time.Duration
	position int64 // of its newest change
	killed   bool  // the platform refuses the value
	held     bool  // refreshes do not end
	deleted  bool
}

// New returns a cluster without tokens and without nodes.
func New() *Cluster {
	return &Cluster{
		pipes:       newPipes(),
		incarnation: 1,
		tokens:      map[string]*token{},
		reports:     map[string]int{},
		refreshes:   map[string]int{},
		moved:       make(chan struct{}),
	}
}

// Config is the configuration of a client of these nodes.
func (c *Cluster) Config(nodes ...*Node) client.Config {
	cfg := client.Config{Key: Key}
	for _, node := range nodes {
		cfg.Addresses = append(cfg.Addresses, node.Address())
		if node.inMemory {
			cfg.HTTPClient = c.pipes.client()
		}
	}
	return cfg
}

// Format prints no value, whatever the verb.
func (c *Cluster) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "cluster in memory") }

// Set gives a token, named "app/token" or "app", a new value, and returns its version.
func (c *Cluster) Set(name, value string, life time.Duration) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.set(name, value, life)
}

// Rotate gives a token a new value that nobody has seen, which lives as long as
// the one before, and returns its version.
func (c *Cluster) Rotate(name string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rotate(name)
}

// Kill makes the platform refuse the value of a token. A report of it brings a new version.
func (c *Cluster) Kill(name string) { c.change(name, func(t *token) { t.killed = true }) }

// Hold lets no report and no refresh of a token come to its end: what they ask
// for comes with the next Set or Rotate.
func (c *Cluster) Hold(name string) { c.change(name, func(t *token) { t.held = true }) }

// Expire ends the life of a value now.
func (c *Cluster) Expire(name string) {
	c.change(name, func(t *token) { t.ExpiresAt, t.State = time.Now(), "expired" })
}

// SetState changes the state of a token, e.g. to "failing", while its value lives on.
func (c *Cluster) SetState(name, state string) { c.change(name, func(t *token) { t.State = state }) }

// Delete removes a token.
func (c *Cluster) Delete(name string) { c.change(name, func(t *token) { t.deleted = true }) }

// Revoke makes the client key worth nothing.
func (c *Cluster) Revoke() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.revoked = true
	c.move()
}

// BeginAnew loses everything, as a cluster does whose etcd was lost without a
// backup: versions begin at 1 again.
func (c *Cluster) BeginAnew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.incarnation++
	c.tokens, c.position = map[string]*token{}, 0
	c.move()
}

// Accepts reports whether the platform takes a value: it is the newest one of
// its token, it lives, and it was not killed.
func (c *Cluster) Accepts(name, value string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tokens[full(name)]
	return t != nil && !t.deleted && !t.killed && t.Value == value && time.Now().Before(t.ExpiresAt)
}

// Version returns the newest version of a token; 0 where there is none.
func (c *Cluster) Version(name string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tokens[full(name)]; t != nil {
		return t.Version
	}
	return 0
}

// Reports returns how often a token was reported.
func (c *Cluster) Reports(name string) int { return c.count(c.reports, name) }

// Refreshes returns how often a new version was asked for, reports apart.
func (c *Cluster) Refreshes(name string) int { return c.count(c.refreshes, name) }

// Reads returns how many values were answered, streams apart.
func (c *Cluster) Reads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
}

func (c *Cluster) count(of map[string]int, name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return of[full(name)]
}

// set needs mu, like all that follow.
func (c *Cluster) set(name, value string, life time.Duration) int64 {
	name = full(name)
	version := int64(1)
	if old := c.tokens[name]; old != nil {
		version = old.Version + 1
	}
	app, short, _ := strings.Cut(name, "/")
	issued := time.Now().UTC().Truncate(time.Second)
	c.put(name, &token{life: life, Token: client.Token{
		App: app, Token: short, Value: value, TokenType: "Bearer", State: "fresh", Extra: map[string]string{},
		IssuedAt: issued, ExpiresAt: time.Now().UTC().Add(life), Version: version, Fingerprint: fingerprint(value),
	}})
	return version
}

func (c *Cluster) rotate(name string) int64 {
	life := time.Hour
	if old := c.tokens[full(name)]; old != nil {
		life = old.life
	}
	return c.set(name, "value-"+rand.Text(), life)
}

func (c *Cluster) put(name string, t *token) {
	c.position++
	t.position = c.position
	t.Revision = c.position
	c.tokens[name] = t
	c.move()
}

// move wakes all who wait.
func (c *Cluster) move() {
	close(c.moved)
	c.moved = make(chan struct{})
}

// change changes a token that there is.
func (c *Cluster) change(name string, how func(*token)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.tokens[full(name)]
	if old == nil {
		return
	}
	changed := *old
	how(&changed)
	c.put(full(name), &changed)
}

// view is what one node knows at one moment.
type view struct {
	incarnation, position int64
	tokens                map[string]*token
	revoked               bool
	moved                 <-chan struct{}
}

func (c *Cluster) view() view {
	return view{c.incarnation, c.position, maps.Clone(c.tokens), c.revoked, c.moved}
}

func full(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return name + "/access_token"
}

func fingerprint(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:6])
}
