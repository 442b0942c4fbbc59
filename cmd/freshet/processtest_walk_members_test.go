//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/faulttest"
)

var (
	errOpen   = errors.New("the intent of the attempt is still there")
	errBehind = errors.New("a node is behind")
	errSame   = errors.New("nobody else was elected")
)

func sameName(elected, said string) error {
	if elected != said {
		return fmt.Errorf("%s was elected, and %s is said to refresh", elected, said)
	}
	return nil
}

// elected waits for the leadership that follows an epoch.
func (w *walk) elected(t *testing.T, after coordinator.Epoch) (next faulttest.Election) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		var ok bool
		if next, ok = w.ledger.After(after); !ok {
			return errSame
		}
		return nil
	})
	return next
}

// slowOnce lets the platform act, and take its time to answer.
func slowOnce(a walkApp, delay time.Duration) sandbox.Fault {
	return sandbox.Fault{App: a.id, Kind: a.kind, Do: sandbox.Delay, Delay: delay, When: sandbox.After, Count: 1}
}

// occupied puts a node's new process in the place of the former one, whose reads
// are judged and whose output is searched.
func (w *walk) occupied(t *testing.T, former, now *node) {
	t.Helper()
	for i, n := range w.nodes {
		if n != former {
			continue
		}
		w.nodes[i] = now
		label := w.posts[i].living.Load().label
		w.posts[i].occupy(now)
		w.reads.Ended(label)
		former.retire(t)
	}
}

// member is what is done to etcd: every node and app may suffer.
func (w *walk) member(kind string) (lift func(time.Duration)) {
	return w.during(kind, w.allApart(), w.all(faulttest.Dying))
}

func (w *walk) killMember(t *testing.T, rng *rand.Rand, kind string) {
	m := pick(rng, w.etcd.members)
	lift := w.member(kind)
	m.kill()
	m.retire(t)
	pause(t.Context(), moment(rng, 200*time.Millisecond, 2*time.Second))
	w.etcd.start(t, m)
	w.membersServe(t)
	lift(time.Second)
	w.agree(t, kind)
}

// pauseMember stops one member, which answers nobody but keeps its connections.
func (w *walk) pauseMember(t *testing.T, rng *rand.Rand, kind string) {
	m := pick(rng, w.etcd.members)
	w.pauseMembers(t, rng, kind, m)
}

func (w *walk) loseQuorum(t *testing.T, rng *rand.Rand, kind string) {
	spared := rng.IntN(len(w.etcd.members))
	var stopped []*etcdMember
	for i, m := range w.etcd.members {
		if i != spared {
			stopped = append(stopped, m)
		}
	}
	w.pauseMembers(t, rng, kind, stopped...)
}

func (w *walk) pauseMembers(t *testing.T, rng *rand.Rand, kind string, members ...*etcdMember) {
	t.Helper()
	lift := w.member(kind)
	for _, m := range members {
		m.signal(syscall.SIGSTOP)
	}
	pause(t.Context(), moment(rng, 500*time.Millisecond, 4*time.Second))
	for _, m := range members {
		m.signal(syscall.SIGCONT)
	}
	w.membersServe(t)
	lift(time.Second)
	w.agree(t, kind)
}

func (w *walk) membersServe(t *testing.T) {
	t.Helper()
	for _, m := range w.etcd.members {
		eventually(t, 30*time.Second, func() error { return healthy(t.Context(), m) })
	}
}

// compactWhileListing compacts over and over while a node that was killed starts
// and reads everything.
func (w *walk) compactWhileListing(t *testing.T, rng *rand.Rand, kind string) {
	_, others, _ := w.refresherNow(t)
	n := pick(rng, others)
	lift := w.during(kind, w.down(n))
	n.kill()
	ctx, cancel := context.WithCancel(t.Context())
	var compacting sync.WaitGroup
	compacting.Go(func() {
		for pause(ctx, 50*time.Millisecond) {
			w.compact(ctx)
		}
	})
	w.restart(t, n)
	cancel()
	compacting.Wait()
	lift(0)
	w.agree(t, kind)
}

// compactBehindWatch cuts a node off, and compacts away what it has missed.
func (w *walk) compactBehindWatch(t *testing.T, rng *rand.Rand, kind string) {
	i := rng.IntN(len(w.nodes))
	n, other := w.nodes[i], w.posts[(i+1)%len(w.posts)]
	lift := w.during(kind, w.apart(n), w.all(faulttest.Dying))
	w.paths.each(n.name, (*faulttest.Proxy).Cut)
	w.ask(t.Context(), other, pick(rng, w.apps))
	pause(t.Context(), moment(rng, 500*time.Millisecond, 1500*time.Millisecond))
	w.compact(t.Context())
	w.paths.each(n.name, (*faulttest.Proxy).Mend)
	lift(longTimeout + time.Second)
	w.agree(t, kind)
}

// compact forgets all of etcd's history that the ledger has seen.
func (w *walk) compact(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clientLimit)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{Endpoints: w.etcd.endpoints(), Logger: zap.NewNop()})
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Compact(ctx, w.ledger.Revision()) // it may have been done already
}

// caughtUp waits until the ledger knows all that was written before.
func (w *walk) caughtUp(t *testing.T) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: w.etcd.endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	now, err := c.Get(t.Context(), "/", clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		if known := w.ledger.Revision(); known < now.Header.Revision {
			return fmt.Errorf("the ledger has reached revision %d of %d", known, now.Header.Revision)
		}
		return nil
	})
}
