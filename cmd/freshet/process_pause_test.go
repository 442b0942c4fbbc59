//go:build unix

package main

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/faulttest"
	"freshet/httpapi/client"
)

// frozen is a refresher that was stopped in the midst of its work, for long
// enough that another node refreshes now.
type frozen struct {
	*rig
	history *faulttest.Ledger
	former  *node   // stopped
	others  []*node // one of them refreshes
	epoch   int64   // of the former
}

// freeze stops the refresher, after it was brought to what it shall be in the
// midst of, and waits until another one is elected.
func freeze(t *testing.T, timeout time.Duration, busy func(r *rig, others []*node)) *frozen {
	t.Helper()
	if testing.Short() {
		t.Skip("it waits for a session to end")
	}
	t.Parallel() // it mostly waits
	r := startRig(t, 2*time.Second, 3)
	f := &frozen{rig: r, history: r.watch(t)}
	r.register(t, sandbox.App{AppID: shopID, Overlap: time.Minute})
	app := r.shop(shopID)
	app.Refresh.Timeout = client.Duration(timeout)
	r.apply(t, "shop", app)
	f.former, f.others = r.refresher(t)
	f.epoch = f.others[0].state(t).Epoch
	busy(r, f.others)
	f.former.signal(syscall.SIGSTOP)
	for _, n := range f.others {
		eventually(t, 20*time.Second, func() error { return n.knowsAnother(t, f.former.name) })
	}
	return f
}

// thaw lets the former refresher go on, and waits until it knows that it is none.
func (f *frozen) thaw(t *testing.T) {
	t.Helper()
	f.former.signal(syscall.SIGCONT)
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(f.former.output(), "msg=following") {
			return errors.New("the former refresher does not step down")
		}
		return f.former.knowsAnother(t, f.former.name)
	})
}

// check makes one more refresh, so that whatever the former refresher had in
// hand has had its time, and looks for what it should not have done.
func (f *frozen) check(t *testing.T, version int64) {
	t.Helper()
	f.all(t, "shop", version)
	f.former.ask(t) // as a follower
	last := f.all(t, "shop", version+1)
	if current, ok := f.box.Current(shopID, sandbox.LinePlain); !ok || current != last.Value {
		t.Error("the platform's newest value is not the one the nodes serve: an update was lost")
	}
	for _, wrong := range f.history.Wrong() {
		t.Error(wrong)
	}
}

// TestAPausedRefresherCannotPublishAsTheLeaderItWas is stopped with a call under
// way whose intent nobody takes over. Its answer is the newest there is, and is
// saved, but not in the name of a leadership that has ended.
func TestAPausedRefresherCannotPublishAsTheLeaderItWas(t *testing.T) {
	f := freeze(t, time.Minute, func(r *rig, others []*node) {
		r.fault(t, sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, When: sandbox.After, Delay: time.Minute, Count: 1})
		others[0].ask(t)
		r.inFlight(t)
	})
	f.box.ClearFaults("")
	f.thaw(t)
	got := f.others[0].renewed(t)
	if got.Result != "salvaged" || got.Epoch != f.epoch {
		t.Errorf("the result of the former refresher was %s by epoch %d, want salvaged by %d", got.Result, got.Epoch, f.epoch)
	}
	if calls := f.tokenCalls(shopID); calls != 2 {
		t.Errorf("%d calls for two values", calls)
	}
	f.check(t, 2)
}

// TestAPausedRefresherReplacesNothingNewer is stopped with a call under way that
// another node gives up, and makes again.
func TestAPausedRefresherReplacesNothingNewer(t *testing.T) {
	f := freeze(t, 3*time.Second, func(r *rig, others []*node) {
		r.fault(t, sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, When: sandbox.After, Delay: time.Minute, Count: 1})
		others[0].ask(t)
		r.inFlight(t)
	})
	newer := same(t, f.others, "shop", 2)
	f.box.ClearFaults("")
	f.thaw(t)
	if got := f.all(t, "shop", 2); got.Value != newer.Value {
		t.Error("the value of the new refresher was replaced")
	}
	f.check(t, 2)
	if calls := f.calls(shopID); calls.Calls[sandbox.KindToken].Calls != 4 || calls.Minting.Peak > 2 {
		t.Errorf("%d calls, %d at once; want one given up, and one for each of three values", calls.Calls[sandbox.KindToken].Calls, calls.Minting.Peak)
	}
}

// TestAPausedRefresherDoesNotRefreshWhatWasRefreshed is stopped a moment before it
// would have begun.
func TestAPausedRefresherDoesNotRefreshWhatWasRefreshed(t *testing.T) {
	f := freeze(t, 3*time.Second, func(*rig, []*node) {})
	f.others[0].ask(t)
	same(t, f.others, "shop", 2)
	f.thaw(t)
	f.check(t, 2)
	if calls := f.calls(shopID); calls.Minting.Peak != 1 || calls.Calls[sandbox.KindToken].Calls != 3 {
		t.Errorf("%d calls for three values, %d at once", calls.Calls[sandbox.KindToken].Calls, calls.Minting.Peak)
	}
}
