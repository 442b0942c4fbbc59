//go:build unix

package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/faulttest"
)

// fault is one thing that is done to nodes, members and the ways between them,
// and undone.
type fault struct {
	kind string
	run  func(w *walk, t *testing.T, rng *rand.Rand, kind string)
}

// clusterFaults are all that can be done here. A walk goes through them in an order
// of its own, again and again.
func (w *walk) clusterFaults() []fault {
	faults := []fault{
		{"refresher killed", (*walk).killRefresher},
		{"refresher killed in a call", (*walk).killInCall},
		{"refresher told to stop", (*walk).stopRefresher},
		{"refresher paused", (*walk).pauseRefresher},
		{"refresher paused in a call", (*walk).pauseInCall},
		{"follower killed", (*walk).killFollower},
		{"follower paused", (*walk).pauseFollower},
		{"member killed", (*walk).killMember},
		{"member paused", (*walk).pauseMember},
		{"quorum lost", (*walk).loseQuorum},
		{"compaction while a node lists", (*walk).compactWhileListing},
		{"compaction behind a watch", (*walk).compactBehindWatch},
	}
	if w.small {
		faults = append(faults, fault{"spool disk full", (*walk).fillSpools})
	}
	for _, way := range wayFaults() {
		faults = append(faults, fault{"refresher " + way.kind, (*walk).disturbRefresher}, fault{"follower " + way.kind, (*walk).disturbFollower})
	}
	return faults
}

// refresherNow returns the refresher, the others and its epoch.
func (w *walk) refresherNow(t *testing.T) (leader *node, others []*node, epoch coordinator.Epoch) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		leader, others = w.refresher(t)
		newest := w.ledger.Newest()
		epoch = newest.Epoch
		return sameName(newest.Node, leader.name)
	})
	return leader, others, epoch
}

// replaced waits for the next leadership and judges how long that took.
func (w *walk) replaced(t *testing.T, kind string, after coordinator.Epoch, from time.Time, bound time.Duration) {
	t.Helper()
	next := w.elected(t, after)
	if next.At.After(from) { // or it had just lost its leadership by itself
		w.figures.Gap(kind, next.At.Sub(from), bound, w.allowance(from))
	}
}

// allowance is what a busy machine may add to a bound.
func (w *walk) allowance(since time.Time) time.Duration { return patience + w.stalls.Since(since) }

// killRefresher kills it in whatever it does. Where an intent was open its group
// has to wait for the call's end as well.
func (w *walk) killRefresher(t *testing.T, _ *rand.Rand, kind string) {
	leader, _, epoch := w.refresherNow(t)
	lift := w.during(kind, w.down(leader), w.all(faulttest.Dying), w.all(faulttest.Losing))
	leader.kill()
	killed := time.Now()
	open := w.ledger.Open()
	w.replaced(t, kind, epoch, killed, w.ttl+handOver)
	for _, attempt := range open {
		w.takenOver(t, kind+", its intent", attempt, killed)
	}
	w.restart(t, leader)
	lift(0)
	w.agree(t, kind)
}

// takenOver waits until nobody waits for an attempt any more.
func (w *walk) takenOver(t *testing.T, kind string, a faulttest.Attempt, from time.Time) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		now, _ := w.ledger.Attempt(a.ID)
		if now.Ended.IsZero() {
			return errOpen
		}
		a = now
		return nil
	})
	if a.Ended.Before(from) {
		return
	}
	w.figures.Gap(kind, a.Ended.Sub(from), w.ttl+handOver+a.Timeout+takeoverMargin, w.allowance(from))
}

func (w *walk) killInCall(t *testing.T, rng *rand.Rand, kind string) {
	w.enterCall(t, rng)
	w.killRefresher(t, rng, kind)
}

// stopRefresher tells it to stop: it hands over at once, unless a call is under way.
// Where the next in line died a moment ago, by an earlier fault, its session has to
// run out first.
func (w *walk) stopRefresher(t *testing.T, _ *rand.Rand, kind string) {
	leader, _, epoch := w.refresherNow(t)
	lift := w.during(kind, w.down(leader))
	heir := w.etcd.heir(t, epoch)
	told := time.Now()
	leader.signal(syscall.SIGTERM)
	busy := w.ledger.BusySince(leader.name, told)
	if code := leader.exits(t, 30*time.Second); code != exitOK {
		t.Errorf("%s: exit code %d", kind, code)
	}
	busy = busy || w.ledger.BusySince(leader.name, told)
	bound := time.Second
	switch next := w.elected(t, epoch); {
	case busy:
		kind += ", in a call"
		bound += longTimeout + handOver
	case next.Epoch != heir:
		kind += ", the next in line dead"
		bound = w.ttl + handOver
	}
	w.replaced(t, kind, epoch, told, bound)
	w.restart(t, leader)
	lift(0)
	w.agree(t, kind)
}

// pauseRefresher stops the process until another node refreshes, and lets it go on.
// A call that it was about to write may then be written (W1).
func (w *walk) pauseRefresher(t *testing.T, rng *rand.Rand, kind string) {
	leader, _, epoch := w.refresherNow(t)
	lift := w.during(kind, w.down(leader), w.all(faulttest.Dying), w.all(faulttest.Losing))
	leader.signal(syscall.SIGSTOP)
	stopped := time.Now()
	w.replaced(t, kind, epoch, stopped, w.ttl+handOver)
	pause(t.Context(), moment(rng, 0, 4*time.Second)) // beyond the takeover of what it had open
	thawed := w.declare(w.all(faulttest.Doubled))
	leader.signal(syscall.SIGCONT)
	thawed(time.Second)
	lift(longTimeout + time.Second)
	w.agree(t, kind)
}

func (w *walk) pauseInCall(t *testing.T, rng *rand.Rand, kind string) {
	w.enterCall(t, rng)
	w.pauseRefresher(t, rng, kind)
}

func (w *walk) killFollower(t *testing.T, rng *rand.Rand, kind string) {
	_, others, _ := w.refresherNow(t)
	n := pick(rng, others)
	lift := w.during(kind, w.down(n))
	n.kill()
	pause(t.Context(), moment(rng, 0, time.Second))
	w.restart(t, n)
	lift(0)
	w.agree(t, kind)
}

func (w *walk) pauseFollower(t *testing.T, rng *rand.Rand, kind string) {
	_, others, _ := w.refresherNow(t)
	n := pick(rng, others)
	lift := w.during(kind, w.down(n), w.apart(n))
	n.signal(syscall.SIGSTOP)
	pause(t.Context(), moment(rng, 500*time.Millisecond, 4*time.Second))
	n.signal(syscall.SIGCONT)
	lift(time.Second)
	w.agree(t, kind)
}

// wayFault disturbs every way of one node to etcd.
type wayFault struct {
	kind     string
	do       func(*faulttest.Proxy)
	harmless bool // leadership outlives it
}

func wayFaults() []wayFault {
	return []wayFault{
		{"cut off", (*faulttest.Proxy).Cut, false},
		{"not answered by etcd", func(p *faulttest.Proxy) { p.Silence(faulttest.ToClient) }, false},
		{"not heard by etcd", func(p *faulttest.Proxy) { p.Silence(faulttest.ToServer) }, false},
		{"silenced both ways", silenceBoth, false},
		{"far from etcd (50 ms a way)", delayBoth, true},
	}
}

// wayOf finds what a fault of a kind does, "refresher cut off" or "follower cut off".
func wayOf(kind string) wayFault {
	for _, way := range wayFaults() {
		if strings.HasSuffix(kind, " "+way.kind) {
			return way
		}
	}
	return wayFault{do: (*faulttest.Proxy).Mend}
}

func silenceBoth(p *faulttest.Proxy) {
	p.Silence(faulttest.ToClient)
	p.Silence(faulttest.ToServer)
}

func delayBoth(p *faulttest.Proxy) {
	p.Delay(faulttest.ToClient, 50*time.Millisecond)
	p.Delay(faulttest.ToServer, 50*time.Millisecond)
}

// disturbRefresher disturbs its ways for a moment, or until it is replaced.
func (w *walk) disturbRefresher(t *testing.T, rng *rand.Rand, kind string) {
	way := wayOf(kind)
	leader, _, epoch := w.refresherNow(t)
	brief := way.harmless || rng.IntN(3) == 0
	lift := w.during(kind, w.apart(leader), w.all(faulttest.Dying))
	w.paths.each(leader.name, way.do)
	since := time.Now()
	if brief {
		pause(t.Context(), moment(rng, 200*time.Millisecond, 1500*time.Millisecond))
	} else {
		w.replaced(t, kind, epoch, since, 2*w.ttl+handOver)
	}
	w.paths.each(leader.name, (*faulttest.Proxy).Mend)
	lift(longTimeout + time.Second)
	w.agree(t, kind)
}

func (w *walk) disturbFollower(t *testing.T, rng *rand.Rand, kind string) {
	way := wayOf(kind)
	_, others, _ := w.refresherNow(t)
	n := pick(rng, others)
	lift := w.during(kind, w.apart(n))
	w.paths.each(n.name, way.do)
	pause(t.Context(), moment(rng, 500*time.Millisecond, 4*time.Second))
	w.paths.each(n.name, (*faulttest.Proxy).Mend)
	lift(time.Second)
	w.agree(t, kind)
}

// enterCall lets the platform take its time over a call for the first app, and
// waits a moment for the call. There may be none: the app may have been asked for
// a moment ago.
func (w *walk) enterCall(t *testing.T, rng *rand.Rand) {
	t.Helper()
	a := w.apps[0]
	w.fault(t, slowOnce(a, moment(rng, time.Second, longTimeout+time.Second)))
	w.ask(t.Context(), w.posts[0], a)
	for range 50 {
		if w.calls.UnderWay(a.name.App) > 0 || !pause(t.Context(), 20*time.Millisecond) {
			return
		}
	}
}

// restart starts a node's process again, and waits until it has read the cluster's
// state. Where etcd keeps it waiting it serves from its snapshot before, which need
// not hold what was published a moment before it was killed.
func (w *walk) restart(t *testing.T, former *node) {
	t.Helper()
	n := w.startNode(t, former.name, w.endpointsOf(t, former.name))
	w.occupied(t, former, n)
	n.ready(t)
	eventually(t, 20*time.Second, func() error { return n.health(t.Context(), "/readyz?fresh", http.StatusOK) })
}

// agree waits until every node serves what was newest when the fault was lifted,
// and judges how long that took.
func (w *walk) agree(t *testing.T, kind string) {
	t.Helper()
	lifted := time.Now()
	newest := map[string]int64{}
	for _, a := range w.apps {
		if last, ok := w.ledger.Last(a.name); ok {
			newest[a.name.String()] = last.Version
		}
	}
	took := eventually(t, time.Minute, func() error {
		for _, n := range w.nodes {
			if err := n.knows(t.Context(), newest); err != nil {
				return err
			}
		}
		return nil
	})
	w.figures.Back(kind, took, w.allowance(lifted))
	w.tell(t)
}

// knows says which of these versions a node does not know yet.
func (n *node) knows(ctx context.Context, newest map[string]int64) error {
	for name, version := range newest {
		state, err := n.State(ctx, name)
		if err == nil && state.Version < version {
			err = errBehind
		}
		if err != nil {
			return err
		}
	}
	return nil
}
