package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/store/storetest"
)

func TestContract(t *testing.T) {
	for _, test := range storetest.Tests() {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			h := &harness{T: t, raw: raw(t)}
			sealed := sealedBy(newRing(t)) // which must not be noticed
			for i := range h.nodes {
				h.nodes[i] = open(t, spoilt(h.sessions[i].listen), spoilt(h.faults[i].spoil), sealed)
			}
			test.Run(t, h)
		})
	}
}

// harness breaks what the contract's tests ask for, by etcd's own means.
type harness struct {
	*testing.T
	raw   *clientv3.Client
	nodes [storetest.Nodes]*Store

	sessions [storetest.Nodes]grants
	faults   [storetest.Nodes]faults
}

// grants remembers the leases of sessions, which are short.
type grants struct {
	mu  sync.Mutex
	ids []clientv3.LeaseID
}

type rememberingLease struct {
	clientv3.Lease
	grants *grants
}

func (g *grants) listen(c *clientv3.Client) { c.Lease = rememberingLease{c.Lease, g} }

func (l rememberingLease) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	resp, err := l.Lease.Grant(ctx, ttl)
	if err == nil && time.Duration(ttl)*time.Second == testTTL {
		l.grants.mu.Lock()
		defer l.grants.mu.Unlock()
		l.grants.ids = append(l.grants.ids, resp.ID)
	}
	return resp, err
}

// take returns what was remembered, and forgets it.
func (g *grants) take() []clientv3.LeaseID {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids := g.ids
	g.ids = nil
	return ids
}

func (h *harness) Node(i int) coordinator.Store { return h.nodes[i] }

// LoseAnswer loses the answer to the next transaction of node i that writes.
func (h *harness) LoseAnswer(i int, committed bool) {
	fate := dropped
	if committed {
		fate = lost
	}
	h.faults[i].fail(fate, 1, nil)
}

// DropElectionKey is what an operator's "etcdctl del" does.
func (h *harness) DropElectionKey(epoch coordinator.Epoch) {
	h.Helper()
	for _, kv := range candidates(h.T, h.raw, h.nodes[0]) {
		if kv.CreateRevision == int64(epoch) {
			if _, err := h.raw.Delete(soon(h.T), string(kv.Key)); err != nil {
				h.Fatal(err)
			}
		}
	}
}

// ExpireSessions revokes the lease of every key that node i keeps alive, as
// etcd itself does with one that was not renewed.
func (h *harness) ExpireSessions(i int) {
	h.Helper()
	for _, id := range h.sessions[i].take() {
		if _, err := h.raw.Revoke(soon(h.T), id); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			h.Fatal(err)
		}
	}
}

// candidates returns the election keys there are.
func candidates(t *testing.T, c *clientv3.Client, s *Store) []*mvccpb.KeyValue {
	t.Helper()
	resp, err := c.Get(soon(t), s.keys.candidates(), clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	return resp.Kvs
}
