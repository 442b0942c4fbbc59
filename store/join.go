package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

const (
	infoEvery  = 8 * time.Second // between two looks at what a node says of itself
	nameMargin = 2 * time.Second // what etcd may need, beyond its session, to remove the name of a dead node
)

var errNameLost = errors.New("the registration is gone")

// Join keeps the node registered until ctx ends, whose error it returns.
func (s *Store) Join(ctx context.Context, info func() coordinator.NodeInfo) error {
	if info().Name == "" {
		return coordinator.Invalidf("registering a node: it needs a name")
	}
	var wait backoff
	said := info
	info = func() coordinator.NodeInfo { return s.describe(said()) }
	for {
		began := time.Now()
		err := s.withSession(ctx, errNameLost, func(ctx context.Context, held *session) error {
			return s.register(ctx, held, info)
		})
		if time.Since(began) > s.config.SessionTTL {
			wait = backoff{}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, coordinator.ErrNameTaken), fatal(err):
			return err
		case errors.Is(err, errNameLost):
			s.log.WarnContext(ctx, "this node's registration was lost, registering again", "err", err)
		default:
			s.suffered(ctx, "registering this node", err)
		}
		sleep(ctx, pauseAfterLoss+wait.next())
	}
}

// register writes the node's record and keeps it true for as long as the session lives.
func (s *Store) register(ctx context.Context, held *session, info func() coordinator.NodeInfo) error {
	first := info()
	key, written := s.keys.of(first), s.codec.plain(first)
	revision, err := s.takeName(ctx, held, first)
	if err != nil {
		return err
	}
	// Who raises the format compares the nodes there are: it saw this one, or
	// had done so before this look.
	if _, err := s.schemaNow(ctx); err != nil {
		return err
	}
	for sleep(ctx, s.infoEvery) {
		now := s.codec.plain(info())
		if bytes.Equal(now, written) {
			continue
		}
		if revision, err = s.writeName(ctx, held, key, now, revision); err != nil {
			return err
		}
		written = now
	}
	return endOf(ctx)
}

// takeName registers the node once its name is free. A process that died leaves
// the name behind for as long as its session lives: that long it is waited for.
func (s *Store) takeName(ctx context.Context, held *session, info coordinator.NodeInfo) (int64, error) {
	key, value := s.keys.of(info), s.codec.plain(info)
	// Twice, since a new leader of etcd gives every lease its whole life again.
	atMost := 2*s.config.SessionTTL + nameMargin
	patience, cancel := context.WithTimeoutCause(ctx, atMost, coordinator.ErrNameTaken)
	defer cancel()
	for told := false; ; {
		there, err := s.nodeAt(ctx, key)
		if err != nil {
			return 0, err
		}
		if there.Revision == 0 || there.Instance == info.Instance {
			revision, err := s.writeName(ctx, held, key, value, there.Revision)
			if errors.Is(err, errNameLost) {
				continue // somebody was faster: look again
			}
			return revision, err
		}
		if !told {
			s.log.WarnContext(ctx, "this node's name is in use, waiting for it", "name", info.Name,
				"instance", there.Instance, "address", there.Address, "at_most", atMost)
			told = true
		}
		anything := func(*clientv3.Event) bool { return true }
		if s.awaitEvent(patience, key, there.Revision, anything) == nil {
			continue
		}
		if ctx.Err() != nil {
			return 0, endOf(ctx)
		}
		return 0, fmt.Errorf("%w: node name %q is used by instance %q at %q, which is alive; give this node another name, or stop that one",
			coordinator.ErrNameTaken, info.Name, there.Instance, there.Address)
	}
}

// writeName writes a node's record under its session, if the key is as it was at a revision.
func (s *Store) writeName(ctx context.Context, held *session, key string, value []byte, seen int64) (int64, error) {
	t := txn{doing: "registering this node"}
	t.mod(key, seen)
	t.then = append(t.then, clientv3.OpPut(key, string(value), clientv3.WithLease(held.lease)))
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return 0, err
	case a.committed:
		return a.revision, nil
	case a.unsure && a.holds(key, value):
		return modOf(a, key), nil
	}
	return 0, errNameLost
}

func (s *Store) nodeAt(ctx context.Context, key string) (coordinator.NodeInfo, error) {
	resp, err := insist(ctx, s, "reading a node's registration", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, key)
	})
	if err != nil || len(resp.Kvs) == 0 {
		return coordinator.NodeInfo{}, err
	}
	n, _, err := recordOf[coordinator.NodeInfo](s.codec, resp.Kvs[0])
	return n, err
}
