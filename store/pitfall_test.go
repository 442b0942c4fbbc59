package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"freshet/coordinator"
)

// The tests below come in pairs: the first shows on the library alone what goes
// wrong, so that it is known to be real, and the second that it does not here.

// naive is a candidate as the library's documentation suggests it.
type naive struct {
	session  *concurrency.Session
	election *concurrency.Election
}

// naiveCandidate has so long a session that only what the library does by
// itself, not its expiry, can end its leadership during a test.
func naiveCandidate(t *testing.T, c *clientv3.Client) naive {
	t.Helper()
	session, err := concurrency.NewSession(c, concurrency.WithTTL(60))
	must(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return naive{session, concurrency.NewElection(session, newKeys(prefixOf(t)).election())}
}

func (n naive) campaign(ctx context.Context) error { return n.election.Campaign(ctx, "naive") }

// begin campaigns in the background and waits until its key exists.
func (n naive) begin(t *testing.T, c *clientv3.Client) (ended <-chan error, key string) {
	t.Helper()
	k := newKeys(prefixOf(t))
	before, err := c.Get(soon(t), k.candidates(), clientv3.WithPrefix())
	must(t, err)
	result := make(chan error, 1)
	run(t, func(ctx context.Context) { result <- n.campaign(ctx) })
	watched, cancel := context.WithCancel(soon(t))
	defer cancel()
	for resp := range c.Watch(watched, k.candidates(), clientv3.WithPrefix(), clientv3.WithRev(before.Header.Revision+1)) {
		for _, e := range resp.Events {
			return result, string(e.Kv.Key)
		}
	}
	t.Fatal("no candidate appeared")
	return nil, ""
}

// A1: a candidate whose own key is gone wins.

func TestNaiveCandidateWithoutAKeyIsToldThatItLeads(t *testing.T) {
	c := raw(t)
	first, second := naiveCandidate(t, c), naiveCandidate(t, c)
	must(t, first.campaign(soon(t)))
	ended, key := second.begin(t, c)
	_, err := c.Revoke(soon(t), second.session.Lease())
	must(t, err)
	must(t, first.election.Resign(soon(t)))
	if err := await(t, "the end of the campaign", ended); err != nil {
		t.Fatalf("the campaign failed with %v: the library has mended this; see whether verifying is still needed", err)
	}
	if n := len(at(t, c, key).Kvs); n != 0 {
		t.Fatalf("the winner has %d keys, want none for this test to show anything", n)
	}
}

func TestCandidateWithoutAKeyNeverLeads(t *testing.T) {
	t.Parallel()
	c := raw(t)
	first := elect(t, open(t))
	s := open(t)
	elected, _ := campaign(t, s, false)
	phantom := waitForTwo(t, c, s)[1]
	_, err := c.Delete(soon(t), string(phantom.Key))
	must(t, err)
	first.stop()
	l := await(t, "an election", elected)
	if int64(l.Epoch) == phantom.CreateRevision {
		t.Error("the candidate leads under a key that is gone")
	}
	if !look(t, s, l.Epoch).Leads {
		t.Error("the epoch handed to the leader has no election key")
	}
	if ctx := l.ctx; ctx.Err() != nil {
		t.Errorf("the new leadership ended with %v", context.Cause(ctx))
	}
}

func TestPhantomGivesUpBeforeItTouchesAnything(t *testing.T) {
	s, c := open(t), raw(t)
	rival := naiveCandidate(t, c)
	must(t, rival.campaign(soon(t)))
	result := make(chan error, 1)
	run(t, func(ctx context.Context) {
		result <- s.withSession(ctx, coordinator.ErrLeadershipLost, func(ctx context.Context, held *session) error {
			_, err := s.campaign(ctx, held, "n")
			return err
		})
	})
	phantom := waitForTwo(t, c, s)[1]
	_, err := c.Delete(soon(t), string(phantom.Key))
	must(t, err)
	must(t, rival.election.Resign(soon(t)))
	if err := await(t, "the end of the campaign", result); !errors.Is(err, errNotElected) {
		t.Errorf("the campaign ended with %v, want %v", err, errNotElected)
	}
}

// A2: a candidate queues behind itself.

func TestNaiveCandidateQueuesBehindItself(t *testing.T) {
	t.Parallel()
	c, f := raw(t), &faults{}
	f.spoil(c)
	first := naiveCandidate(t, c)
	f.fail(lost, 1, nil)
	if err := first.campaign(soon(t)); err == nil {
		t.Fatal("the campaign was won although its answer was lost")
	}
	second := naiveCandidate(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := second.campaign(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the second campaign ended with %v, want it to wait for the first one's key", err)
	}
}

func TestCandidateDoesNotQueueBehindItself(t *testing.T) {
	f := &faults{}
	s := open(t, spoilt(f.spoil), func(c *Config) { c.SessionTTL = time.Minute })
	must(t, s.ready(soon(t)))
	f.fail(lost, 1, nil)
	elect(t, s)
	if n := f.suffered(); n != 1 {
		t.Errorf("%d answers were lost, want 1", n)
	}
	if n := len(candidates(t, raw(t), s)); n != 1 {
		t.Errorf("%d candidates' keys are left, want 1", n)
	}
}

// A3: a campaign cannot be left during a partition.

func TestNaiveCampaignCannotBeLeftDuringAPartition(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	must(t, naiveCandidate(t, raw(t)).campaign(soon(t)))
	c, waiting := watchful(dialled(t, p.endpoint()))
	n := naiveCandidate(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	run(t, func(context.Context) { result <- n.campaign(ctx) })
	await(t, "waiting for the leader", waiting)
	p.hold()
	cancel()
	select {
	case err := <-result:
		t.Errorf("the campaign ended with %v: the library has mended this", err)
	case <-time.After(partingTimeout):
	}
	p.release()
	_ = await(t, "the end of the campaign", result)
}

func TestCampaignIsLeftDuringAPartition(t *testing.T) {
	t.Parallel()
	p := newProxy(t)
	elect(t, open(t))
	c, waiting := watchful(dialled(t, p.endpoint()))
	s := open(t, func(config *Config) {
		config.SessionTTL = time.Minute
		config.Client = func() (*clientv3.Client, error) { return c, nil }
	})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	run(t, func(context.Context) { result <- s.Lead(ctx, "n", nil) })
	await(t, "waiting for the leader", waiting)
	p.hold()
	began := time.Now()
	cancel()
	if err := await(t, "the end of Lead", result); !errors.Is(err, context.Canceled) {
		t.Errorf("Lead returned %v, want the error of its context", err)
	}
	if took := time.Since(began); took > 3*partingTimeout {
		t.Errorf("Lead returned after %s", took)
	}
}

// watchful tells when a client has begun its first watch.
func watchful(c *clientv3.Client) (*clientv3.Client, <-chan struct{}) {
	began := make(chan struct{})
	c.Watcher = &tellingWatcher{Watcher: c.Watcher, began: sync.OnceFunc(func() { close(began) })}
	return c, began
}

type tellingWatcher struct {
	clientv3.Watcher
	began func()
}

func (w *tellingWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	defer w.began()
	return w.Watcher.Watch(ctx, key, opts...)
}

// A4: a resignation that fails forgets what to resign.

func TestNaiveResignationForgetsItsKey(t *testing.T) {
	c, f := raw(t), &faults{}
	f.spoil(c)
	n := naiveCandidate(t, c)
	must(t, n.campaign(soon(t)))
	key := n.election.Key()
	f.fail(dropped, 1, deletes)
	if err := n.election.Resign(soon(t)); err == nil {
		t.Fatal("resigning succeeded although it was dropped")
	}
	if err := n.election.Resign(soon(t)); err != nil {
		t.Fatalf("resigning again failed with %v: the library has mended this", err)
	}
	if n := len(at(t, c, key).Kvs); n != 1 {
		t.Fatalf("%d election keys are left, want 1 for this test to show anything", n)
	}
}

func TestResignationThatFailsHandsOverAllTheSame(t *testing.T) {
	f := &faults{}
	s := open(t, spoilt(f.spoil), func(c *Config) { c.SessionTTL = time.Minute })
	l := elect(t, s)
	next, _ := campaign(t, open(t), false)
	waitForTwo(t, raw(t), s)
	f.fail(dropped, 1, deletes)
	l.stop()
	await(t, "an election", next) // long before the session of a minute expires
	if n := f.suffered(); n != 1 {
		t.Errorf("%d resignations were dropped, want 1", n)
	}
}

// A9: nobody tells the leader that its key was deleted.

func TestNaiveLeaderIsNotToldThatItsKeyIsGone(t *testing.T) {
	c := raw(t)
	first, second := naiveCandidate(t, c), naiveCandidate(t, c)
	must(t, first.campaign(soon(t)))
	_, err := c.Delete(soon(t), first.election.Key())
	must(t, err)
	must(t, second.campaign(soon(t)))
	select {
	case <-first.session.Done():
		t.Fatal("the first leader's session ended: the library has mended this")
	default:
	}
}

func TestLeaderFallsAtOnceWithItsKey(t *testing.T) {
	s, c := open(t, func(c *Config) { c.SessionTTL = time.Minute }), raw(t)
	mute, _ := campaign(t, s, true) // so that it does not learn it from a beat that is fenced
	l := await(t, "an election", mute)
	_, err := c.Delete(soon(t), string(candidates(t, c, s)[0].Key))
	must(t, err)
	await(t, "the end of the leadership", l.ctx.Done()) // long before the session of a minute expires
	if cause := context.Cause(l.ctx); !errors.Is(cause, coordinator.ErrLeadershipLost) {
		t.Errorf("it ended with cause %v, want %v", cause, coordinator.ErrLeadershipLost)
	}
	if l.Held() {
		t.Error("it is still held")
	}
}

// The zombie: a leader that was paused, and does not know that it was deposed.

func TestNaiveZombieOverwritesItsSuccessor(t *testing.T) {
	c := raw(t)
	first, second := naiveCandidate(t, c), naiveCandidate(t, c)
	key := newKeys(prefixOf(t)).token(shop)
	must(t, first.campaign(soon(t)))
	_, err := c.Delete(soon(t), first.election.Key()) // as a pause longer than the session does
	must(t, err)
	must(t, second.campaign(soon(t)))
	_, err = c.Put(soon(t), key, "of the second")
	must(t, err)
	if first.session.Ctx().Err() != nil {
		t.Fatal("the first leader's session has ended: this test shows nothing")
	}
	_, err = c.Put(soon(t), key, "of the first")
	must(t, err)
	if got := string(at(t, c, key).Kvs[0].Value); got != "of the first" {
		t.Fatalf("the token is %q: this test shows nothing", got)
	}
}

func TestZombieIsFenced(t *testing.T) {
	s, next := open(t), open(t)
	putShop(t, s)
	l := elect(t, s)
	_, err := s.Open(soon(t), opening(look(t, s, l.Epoch), l.Epoch, "a1"))
	must(t, err)
	before := look(t, s, l.Epoch)
	stale := publication(before, l.Epoch)
	c := raw(t)
	_, err = c.Revoke(soon(t), clientv3.LeaseID(candidates(t, c, s)[0].Lease))
	must(t, err)
	successor := elect(t, next)
	if _, err := s.Publish(soon(t), stale); !errors.Is(err, coordinator.ErrFenced) {
		t.Errorf("the zombie's publication: got error %v, want %v", err, coordinator.ErrFenced)
	}
	if _, err := s.Open(soon(t), opening(before, l.Epoch, "a2")); !errors.Is(err, coordinator.ErrFenced) {
		t.Errorf("the zombie's opening: got error %v, want %v", err, coordinator.ErrFenced)
	}
	after := look(t, next, successor.Epoch)
	if after.States[0].Revision != before.States[0].Revision || after.Intent.Revision != before.Intent.Revision {
		t.Error("the zombie changed something")
	}
}

// waitForTwo waits until two candidates have keys, and returns these by age.
func waitForTwo(t *testing.T, c *clientv3.Client, s *Store) []*mvccpb.KeyValue {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	watch := c.Watch(ctx, s.keys.candidates(), clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	for {
		resp, err := c.Get(ctx, s.keys.candidates(), clientv3.WithPrefix(),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
		must(t, err)
		if len(resp.Kvs) > 1 {
			return resp.Kvs
		}
		<-watch
	}
}
