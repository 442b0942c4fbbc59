package store

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// Ask writes a request (T4). However many nodes ask for one version at a time,
// one request is written.
func (s *Store) Ask(ctx context.Context, r coordinator.Request, seen coordinator.State) error {
	if err := r.Name.Check(); err != nil {
		return coordinator.Invalidf("asking for a token: %v", err)
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	for {
		done, err := s.ask(ctx, r, seen)
		if done || err != nil {
			return err
		}
	}
}

// ask reports false where another request came in between, to be looked at.
func (s *Store) ask(ctx context.Context, r coordinator.Request, seen coordinator.State) (done bool, err error) {
	t := txn{doing: fmt.Sprintf("asking for %s", r.Name)}
	key, stateKey, value := s.keys.of(r), s.keys.state(r.Name), s.codec.plain(r)
	there, found, err := s.requestAt(ctx, key)
	if err != nil {
		return false, err
	}
	t.mod(stateKey, seen.Revision) // what is asked for is still wanted
	t.mod(key, there.Revision)
	if !found || !covers(there, r) {
		t.put(key, value)
	}
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return false, err
	case a.committed, a.unsure && a.holds(key, value):
		return true, nil
	case modOf(a, stateKey) != seen.Revision:
		return false, s.refused(t, a)
	}
	return false, nil
}

func modOf(a answer, key string) int64 { return a.there[key].GetModRevision() }

func (s *Store) requestAt(ctx context.Context, key string) (coordinator.Request, bool, error) {
	resp, err := insist(ctx, s, "reading a request", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, key)
	})
	if err != nil || len(resp.Kvs) == 0 {
		return coordinator.Request{}, false, err
	}
	return recordOf[coordinator.Request](s.codec, resp.Kvs[0])
}

// covers reports whether a request asks for as much as another, or more.
func covers(there, r coordinator.Request) bool {
	return there.Above >= r.Above && strength(there.Reason) >= strength(r.Reason)
}

func strength(r coordinator.Reason) int {
	switch r {
	case coordinator.ReasonRestored:
		return 3
	case coordinator.ReasonForce, coordinator.ReasonReport:
		return 2
	case coordinator.ReasonRefresh:
		return 1
	case coordinator.ReasonDue, coordinator.ReasonLastChance:
	}
	return 0
}

// Note writes a state outside of an attempt.
func (s *Store) Note(ctx context.Context, n coordinator.Note) error {
	t, err := s.fenced(ctx, n.Epoch, fmt.Sprintf("noting the state of %s", n.State.Name))
	if err != nil {
		return err
	}
	key, value := s.keys.of(n.State), s.codec.plain(n.State)
	t.mod(key, n.State.Revision)
	t.put(key, value)
	if n.Request != nil {
		t.then = append(t.then, s.dropIfSame(*n.Request))
	}
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return err
	case a.committed, a.unsure && a.holds(key, value):
		return nil
	}
	return s.refused(t, a)
}

// dropIfSame deletes a request unless another one took its place. A new request
// must not make the rest of the transaction fail, so it is compared on its own.
func (s *Store) dropIfSame(r coordinator.Request) clientv3.Op {
	key := s.keys.of(r)
	return clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", r.Revision)},
		[]clientv3.Op{clientv3.OpDelete(key)},
		nil,
	)
}

// Beat writes the heartbeat and tells the watchdog of this leadership that its
// leader is not hung. A heartbeat is worth nothing later, so it is not tried for
// long: a leader that can renew its session and not write (etcd is full) is no
// hung leader, and nobody could take its place.
func (s *Store) Beat(ctx context.Context, h coordinator.Heartbeat) error {
	if r := s.leading.Load(); r != nil && r.epoch == h.Epoch {
		r.beats()
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.SessionTTL/2)
	defer cancel()
	t, err := s.fenced(ctx, h.Epoch, "writing the heartbeat")
	if err != nil {
		return err
	}
	t.put(s.keys.heartbeat(), s.codec.plain(h))
	return s.commitFenced(ctx, t)
}
