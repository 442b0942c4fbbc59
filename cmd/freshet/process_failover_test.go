//go:build unix

package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

const (
	// handOver is how long a cluster without an open intent may be without a
	// refresher, beyond the session's life.
	handOver = 2 * time.Second
	// takeoverMargin is added to the call timeout before an intent is taken over.
	takeoverMargin = 2 * time.Second
	// patience is what a busy machine may add to any instant.
	patience = time.Second
)

// shortLived is a platform's account whose tokens are renewed after 2.4 to 5.6 s
// and die after 20 s, and the app that keeps them.
func (r *rig) shortLived(t *testing.T) client.App {
	t.Helper()
	r.register(t, sandbox.App{AppID: shopID, Lifetime: 20 * time.Second, Overlap: 5 * time.Second})
	app := r.shop(shopID)
	app.Refresh.Window = client.Window{Share: 0.8}
	return app
}

// TestAKilledRefresherIsReplacedBeforeAnyReaderNotices kills it a moment before a
// refresh is due, with no call under way.
func TestAKilledRefresherIsReplacedBeforeAnyReaderNotices(t *testing.T) {
	r := startRig(t, 3*time.Second, 3)
	r.apply(t, "shop", r.shortLived(t))
	leader, others := r.refresher(t)
	reading := r.startReaders(t, 8, others)

	due := others[0].state(t).DueAt // in whole seconds, rounded down
	r.waitUntil(t, due.Add(-300*time.Millisecond))
	leader.kill()
	killed := time.Now()
	r.nodes = others

	next := others[0].renewed(t)
	if begun, latest := next.BeganAt, later(killed.Add(r.ttl+handOver), due.Add(time.Second)); begun.After(latest) {
		t.Errorf("the next refresh began %s after the kill", begun.Sub(killed))
	}
	r.all(t, "shop", 2)
	if heir, _ := r.refresher(t); heir == leader {
		t.Error("the dead node is said to refresh")
	}
	reading.stop()
	if reads := reading.reads.Load(); reads < 100 {
		t.Errorf("only %d reads were made", reads)
	}
	// A third value may just be on its way.
	if calls, issued := r.tokenCalls(shopID), r.calls(shopID).Issued[sandbox.LinePlain]; calls != issued || calls > 3 {
		t.Errorf("%d calls for %d values", calls, issued)
	}
}

// TestACallThatDiedWithItsRefresherIsMadeAgain kills it while the platform lets it wait.
func TestACallThatDiedWithItsRefresherIsMadeAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a session and for a call to be given up")
	}
	t.Parallel() // it mostly waits
	r := startRig(t, 3*time.Second, 3)
	app := r.shortLived(t)
	timeout := 6 * time.Second // longer than a session, so that the wait for the call shows
	app.Refresh.Timeout = client.Duration(timeout)
	r.apply(t, "shop", app)
	leader, others := r.refresher(t)
	reading := r.startReaders(t, 8, others)

	r.fault(t, sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Hang, Count: 1})
	others[0].ask(t)
	r.inFlight(t)
	opened := time.Now()
	leader.kill()
	killed := time.Now()

	next := others[0].renewed(t)
	latest := later(killed.Add(r.ttl+handOver), opened.Add(timeout+takeoverMargin)).Add(patience)
	earliest := opened.Add(timeout - patience) // by then nobody counts on the first call
	if begun := next.BeganAt; begun.After(latest) || begun.Before(earliest) {
		t.Errorf("the next call began %s after the kill, want between %s and %s", begun.Sub(killed), earliest.Sub(killed), latest.Sub(killed))
	}
	reading.stop()
	if calls := r.calls(shopID); calls.Minting.Peak != 1 || calls.Calls[sandbox.KindToken].Calls-1 != calls.Issued[sandbox.LinePlain] {
		t.Errorf("%d calls at once, %d calls for %d values and one that hung", calls.Minting.Peak,
			calls.Calls[sandbox.KindToken].Calls, calls.Issued[sandbox.LinePlain])
	}
}

// TestARefresherThatIsToldToStopHandsOverAtOnce has no call under way.
func TestARefresherThatIsToldToStopHandsOverAtOnce(t *testing.T) {
	r := startRig(t, 5*time.Second, 3)
	r.register(t, sandbox.App{AppID: shopID})
	r.apply(t, "shop", r.shop(shopID))
	leader, others := r.refresher(t)
	reading := r.startReaders(t, 2, others)

	leader.signal(syscall.SIGTERM)
	took := eventually(t, 10*time.Second, func() error { return others[0].knowsAnother(t, leader.name) })
	if took > time.Second {
		t.Errorf("handing over took %s", took)
	}
	if code := leader.exits(t, 10*time.Second); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	others[1].ask(t)
	same(t, others, "shop", 2)
	reading.stop()
	if calls := r.tokenCalls(shopID); calls != 2 {
		t.Errorf("%d calls for two values", calls)
	}
}

// TestARefresherThatIsToldToStopFinishesItsCall lets the platform take its time.
func TestARefresherThatIsToldToStopFinishesItsCall(t *testing.T) {
	t.Parallel() // it mostly waits
	r := startRig(t, 3*time.Second, 3)
	r.register(t, sandbox.App{AppID: shopID})
	app := r.shop(shopID)
	app.Refresh.Timeout = client.Duration(10 * time.Second)
	r.apply(t, "shop", app)
	leader, others := r.refresher(t)

	r.fault(t, sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: 2 * time.Second, Count: 1})
	others[0].ask(t)
	r.inFlight(t)
	leader.signal(syscall.SIGTERM)
	if code := leader.exits(t, 20*time.Second); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	same(t, others, "shop", 2)
	eventually(t, 10*time.Second, func() error { return others[0].knowsAnother(t, leader.name) })
	if calls := r.tokenCalls(shopID); calls != 2 {
		t.Errorf("%d calls for two values", calls)
	}
	if result := others[0].renewed(t).Result; result != "published" {
		t.Errorf("the result was %s", result)
	}
}

// knowsAnother returns nil once a node knows another refresher than the one named.
func (n *node) knowsAnother(t *testing.T, former string) error {
	t.Helper()
	status, err := n.Status(t.Context())
	if err == nil && status.Refresher == former {
		err = fmt.Errorf("%s is still the refresher by the word of %s", former, n.name)
	}
	return err
}

// waitUntil waits for an instant.
func (r *rig) waitUntil(t *testing.T, at time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(at)):
	case <-t.Context().Done():
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
