package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"freshet/coordinator"
	"freshet/store/seal"
)

const (
	pauseAfterLoss  = 500 * time.Millisecond
	pauseAfterReign = time.Second // lets another candidate have it
	fingerprintSize = 32
)

// errNotElected means that a campaign came back as won to a candidate that is none any more.
var errNotElected = errors.New("the campaign was won without a candidate's key")

// Lead campaigns and leads until ctx ends, whose error it returns. Only a
// cluster this build cannot work with (ErrUnsupported) ends it before.
func (s *Store) Lead(ctx context.Context, node string, lead func(context.Context, coordinator.Leadership) error) error {
	var wait backoff
	for {
		began := time.Now()
		err := s.stand(ctx, node, lead)
		if time.Since(began) > s.config.SessionTTL {
			wait = backoff{}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fatal(err):
			return fmt.Errorf("campaigning: %w", err)
		case awaitsKey(err), errors.Is(err, seal.ErrMismatch):
			s.log.ErrorContext(ctx, "not standing for election: this node cannot open the cluster's secrets", "err", err)
			s.awaitKeys(ctx)
		case errors.Is(err, coordinator.ErrLeadershipLost), errors.Is(err, errNotElected):
			s.log.WarnContext(ctx, "candidacy lost, campaigning again", "err", err)
			sleep(ctx, jitter(pauseAfterLoss))
		case err != nil:
			s.suffered(ctx, "campaigning", err)
			sleep(ctx, wait.next())
		default:
			sleep(ctx, jitter(pauseAfterReign))
		}
	}
}

// stand is one candidacy, under a session of its own that ends with it. A
// session is never used again: one whose campaign failed may still have a
// candidate's key, behind which the next campaign would queue for ever.
func (s *Store) stand(ctx context.Context, node string, lead func(context.Context, coordinator.Leadership) error) error {
	return s.withSession(ctx, coordinator.ErrLeadershipLost, func(ctx context.Context, held *session) error {
		if err := s.canOpen(ctx); err != nil {
			return err
		}
		f, err := s.campaign(ctx, held, node)
		if err != nil {
			return err
		}
		revision, err := s.takeOver(ctx, f, node)
		if err != nil {
			return err
		}
		s.rule(ctx, held, f, revision, lead)
		return nil
	})
}

// campaign waits until no older candidate is left and returns our election key
// and epoch. ctx ends with the session.
func (s *Store) campaign(ctx context.Context, held *session, node string) (fence, error) {
	// The library tidies up under the session's context when ctx has ended.
	defer context.AfterFunc(ctx, held.stop)()
	election := concurrency.NewElection(held.inner, s.keys.election())
	switch err := election.Campaign(ctx, node); {
	case err != nil && ctx.Err() != nil:
		return fence{}, endOf(ctx)
	case err != nil:
		return fence{}, err
	}
	s.worked()
	f := fence{key: election.Key(), epoch: coordinator.Epoch(election.Rev())}
	// The library waits for older keys to go and never looks at its own, so it
	// also returns to a candidate whose key is gone: look for it.
	resp, err := s.get(ctx, f.key)
	switch {
	case err != nil:
		return fence{}, fmt.Errorf("verifying the election: %w", err)
	case len(resp.Kvs) == 0, resp.Kvs[0].CreateRevision != int64(f.epoch), !held.alive():
		return fence{}, errNotElected
	}
	return f, nil
}

// takeOver writes down the new leadership (T5), and makes the fingerprint key if
// there is none. The revision it returns is what the leader's cache must reach.
func (s *Store) takeOver(ctx context.Context, f fence, node string) (int64, error) {
	resp, err := insist(ctx, s, "taking over", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, s.keys.fingerprint())
	})
	if err != nil {
		return 0, err
	}
	format, err := s.schemaNow(ctx)
	if err != nil {
		return 0, err
	}
	t := txn{doing: "taking over"}
	t.fenceBy(f)
	t.mod(s.keys.schema(), format) // no build leads that cannot read what others write
	elected := s.codec.plain(coordinator.Elected{Epoch: f.epoch, Node: node, At: time.Now()})
	t.put(s.keys.epoch(), elected)
	t.reads = append(t.reads, s.keys.epoch())
	if len(resp.Kvs) == 0 {
		key := make([]byte, fingerprintSize)
		_, _ = rand.Read(key) // never fails
		t.mod(s.keys.fingerprint(), 0)
		t.write(s.codec, coordinator.FingerprintKey{Key: coordinator.NewSecret(string(key))})
	}
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return 0, err
	case a.committed:
		return a.revision, nil
	case a.holds(s.keys.epoch(), elected):
		return modOf(a, s.keys.epoch()), nil
	}
	return 0, s.refused(t, a)
}
