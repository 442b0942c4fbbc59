// Package store keeps the contracts of package coordinator on etcd. It is the
// only package that knows etcd: its keys, records, transactions, leases,
// sessions, election and watch.
//
// Safety comes from compares, not from locks. Every write of a refresher
// compares the create revision of its own election key with its epoch, and the
// revisions of all it read; sessions and leases only decide who tries, and when
// garbage is collected. A write whose answer is lost is sent again, unchanged,
// until it is answered (see commit).
package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/store/seal"
)

// Defaults and limits of Config.
const (
	DefaultPrefix     = "/freshet"
	DefaultSessionTTL = 15 * time.Second
	MinSessionTTL     = 2 * time.Second
	DefaultQuota      = 2 << 30
)

// Config says how to reach etcd and where in it to keep everything.
type Config struct {
	Endpoints  []string      // URLs, e.g. "http://127.0.0.1:2379"; all https or all http
	Prefix     string        // of every etcd key; default "/freshet"
	SessionTTL time.Duration // after which a silent node loses its name and its leadership; default 15 s, at least 2 s, whole seconds
	TLS        *tls.Config   // for https endpoints; nil: the system's roots and no client certificate
	Username   string        // where etcd asks for one
	Password   coordinator.Secret

	// Client makes the clients to use instead of dialling Endpoints: the
	// embedded etcd's. The Store closes them.
	Client func() (*clientv3.Client, error)

	// Seal seals what is secret. Nil: secrets are kept unsealed, and those that
	// were sealed cannot be read. The caller keeps it up to date (Keyring.Run).
	Seal *seal.Keyring

	Node   string       // our name, for logs
	Logger *slog.Logger // default: nothing is logged

	// Quota is etcd's storage quota in bytes, for servers that do not tell it
	// (before 3.6); default 2 GiB, which is etcd's own.
	Quota int64

	// AllowDangerousServers works with etcd versions whose known bugs break a
	// promise (see dangers), instead of refusing them.
	AllowDangerousServers bool
}

// Store implements coordinator.Store. It is safe for concurrent use, with one
// Lead and one Join at a time.
type Store struct {
	config Config
	keys   keys
	codec  codec
	log    *slog.Logger

	// A bulk read must not hold up a watch, nor either of them a lease renewal
	// or a transaction, so each goes over a connection of its own.
	main  *dialer // transactions and leases
	watch *dialer
	bulk  *dialer // lists

	// Constants, but for tests.
	infoEvery time.Duration
	silence   time.Duration
	pageSize  int64

	resealEvery time.Duration

	warned   sync.Map // :: endpoint → version of the server last seen there
	leases   leases
	outage   outage
	unopened unopened
	checked  atomic.Bool           // the servers and the schema were found good
	leading  atomic.Pointer[reign] // the newest leadership of this Store, also after it ended
}

var _ coordinator.Store = (*Store)(nil)

// New returns a Store. It does not wait for etcd and starts nothing: the first
// call connects.
func New(c Config) (*Store, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	dial := c.Client
	if dial == nil {
		dial = c.dial
	}
	return &Store{
		config: c,
		keys:   newKeys(c.Prefix),
		codec:  codec{keys: newKeys(c.Prefix), formats: newFormats(), ring: c.Seal},
		log:    c.Logger,
		main:   newDialer(dial),
		watch:  newDialer(dial),
		bulk:   newDialer(dial),
		leases: newLeases(),

		infoEvery: infoEvery,
		silence:   silence,
		pageSize:  pageSize,

		resealEvery: resealEvery,
	}, nil
}

// Close ends the connections. Lead, Join and Watch must have returned.
func (s *Store) Close() error {
	return errors.Join(s.main.close(), s.watch.close(), s.bulk.close())
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.SessionTTL == 0 {
		c.SessionTTL = DefaultSessionTTL
	}
	if c.Quota == 0 {
		c.Quota = DefaultQuota
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Node != "" {
		c.Logger = c.Logger.With("node", c.Node)
	}
	return c
}

func (c Config) check() error {
	var wrong []error
	if c.SessionTTL < MinSessionTTL || c.SessionTTL%time.Second != 0 {
		wrong = append(wrong, fmt.Errorf("session TTL %s: use whole seconds, at least %s", c.SessionTTL, MinSessionTTL))
	}
	wrong = append(wrong, checkPrefix(c.Prefix))
	if c.Client == nil {
		wrong = append(wrong, checkEndpoints(c.Endpoints, c.TLS != nil))
	}
	return errors.Join(wrong...)
}

// sleep waits, and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
