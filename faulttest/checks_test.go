package faulttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
)

var shop = coordinator.Name{App: "shop", Token: "access_token"} //nolint:gochecknoglobals // a constant

// found checks that exactly one thing is wrong, and that it says so; "": nothing is.
func found(t *testing.T, wrong []string, want string) {
	t.Helper()
	if want == "" && len(wrong) == 0 {
		return
	}
	if want == "" || len(wrong) != 1 || !strings.Contains(wrong[0], want) {
		t.Errorf("found %q, want one about %q", wrong, want)
	}
}

// history is a ledger with batches that are numbered from 1; the first is a snapshot.
func history(batches ...[]coordinator.Event) *Ledger {
	l := NewLedger()
	source := l.Source()
	for i, events := range batches {
		source.Keep(coordinator.Batch{Revision: int64(i + 1), Snapshot: i == 0, Events: events})
	}
	return l
}

func put(records ...coordinator.Record) []coordinator.Event {
	var events []coordinator.Event
	for _, r := range records {
		events = append(events, coordinator.Event{Record: r})
	}
	return events
}

func gone(r coordinator.Record) []coordinator.Event {
	return []coordinator.Event{{Record: r, Deleted: true}}
}

func version(v int64, value string) coordinator.Token {
	now := time.Now()
	return coordinator.Token{Name: shop, Version: v, Value: coordinator.NewSecret(value), Issued: now, Expires: now.Add(time.Minute), Epoch: 1}
}

func elected(e coordinator.Epoch) coordinator.Elected {
	return coordinator.Elected{Epoch: e, Node: "n1"}
}

func intent(id string) coordinator.Intent {
	return coordinator.Intent{App: "shop", Group: "access_token", Attempt: id, Epoch: 1, Began: time.Now(), Timeout: 2 * time.Second}
}

func budget(calls int) coordinator.Budget {
	return coordinator.Budget{App: "shop", Window: "today.token", Calls: calls}
}

func TestTheLedgerFindsWhatMustNotBeWritten(t *testing.T) {
	salvaged := coordinator.State{Name: shop, Epoch: 1}.WithOutcome(coordinator.Outcome{Attempt: "a", Result: coordinator.ResultSalvaged})
	ended := func(r coordinator.Result) coordinator.State {
		return coordinator.State{Name: shop, Epoch: 1}.WithOutcome(coordinator.Outcome{Attempt: "a", Result: r})
	}
	last := gone(intent("a"))[0]
	for name, test := range map[string]struct {
		history [][]coordinator.Event
		want    string
	}{
		"a good one":             {[][]coordinator.Event{put(elected(1)), put(intent("a"), budget(1)), put(version(1, "x")), put(intent("b"), budget(2)), put(version(2, "y"))}, ""},
		"an old leader's write":  {[][]coordinator.Event{put(elected(1)), put(elected(2)), put(version(1, "x"))}, "after epoch 2 had begun"},
		"an old leader's intent": {[][]coordinator.Event{put(elected(1)), put(elected(2)), put(intent("a"))}, "after epoch 2 had begun"},
		"a salvaged result":      {[][]coordinator.Event{put(elected(1)), put(elected(2)), put(version(1, "x"), salvaged)}, ""},
		"a repeated value":       {[][]coordinator.Event{put(elected(1)), put(elected(2)), append(put(ended(coordinator.ResultSame)), last)}, ""},
		"a refresh token beside a failure": {
			[][]coordinator.Event{put(elected(1)), put(elected(2)), append(put(ended(coordinator.ResultFailed), coordinator.Grant{App: "shop"}), last)}, "",
		},
		"an old leader's failure": {[][]coordinator.Event{put(elected(1)), put(elected(2)), append(put(ended(coordinator.ResultFailed)), last)}, "after epoch 2 had begun"},
		"an old leader's note":    {[][]coordinator.Event{put(elected(1)), put(elected(2)), put(ended(coordinator.ResultSame))}, "after epoch 2 had begun"},
		"an app that is applied":  {[][]coordinator.Event{put(elected(1)), put(elected(2)), put(coordinator.App{Name: "shop"}, coordinator.State{Name: shop, Epoch: 1})}, ""},
		"a version left out":      {[][]coordinator.Event{put(version(1, "x")), put(version(3, "y"))}, "follows version 1"},
		"a version that is back":  {[][]coordinator.Event{put(version(1, "x")), put(version(2, "y")), put(version(1, "x"))}, "follows version 2"},
		"two of one version":      {[][]coordinator.Event{put(version(1, "x")), put(version(1, "y"))}, "has a second value"},
		"another expiry":          {[][]coordinator.Event{put(version(1, "x")), put(version(1, "x"))}, ""},
		"a budget that jumps":     {[][]coordinator.Event{put(), put(intent("a"), budget(2))}, "from 0 calls to 2"},
		"a budget that goes back": {
			[][]coordinator.Event{put(budget(5)), put(intent("a"), budget(4))}, "from 5 calls to 4",
		},
		"a charge for nothing": {[][]coordinator.Event{put(), put(budget(1))}, "without an intent"},
	} {
		t.Run(name, func(t *testing.T) { found(t, history(test.history...).Wrong(), test.want) })
	}
}

func TestAnAttemptEndsWithItsIntentOrATakeover(t *testing.T) {
	l := history(put(intent("a")), put(intent("b")), gone(intent("b")))
	for _, id := range []string{"a", "b"} {
		if a, ok := l.Attempt(id); !ok || a.Ended.IsZero() {
			t.Errorf("attempt %s: %+v, %t", id, a, ok)
		}
	}
	if open := l.Open(); len(open) != 0 {
		t.Errorf("still open: %+v", open)
	}
}

func TestAHoleInTheHistoryIsCountedAndForgiven(t *testing.T) {
	l := history(put(version(1, "x"), intent("a")))
	source := l.Source()
	source.Keep(coordinator.Batch{Revision: 9, Snapshot: true, Events: put(version(4, "y"), budget(7))})
	source.Keep(coordinator.Batch{Revision: 10, Events: put(intent("b"), budget(8))})
	found(t, l.Wrong(), "")
	if a, ok := l.Attempt("a"); l.Holes() != 1 || !ok || a.Ended.IsZero() || l.Charged("shop") != 8 {
		t.Errorf("%d holes, the attempt that is gone %+v, %d calls charged", l.Holes(), a, l.Charged("shop"))
	}
}

// TestWhatOneSourceMissesAnotherFills lets one list anew while the other goes on.
func TestWhatOneSourceMissesAnotherFills(t *testing.T) {
	l := NewLedger()
	one, two := l.Source(), l.Source()
	one.Keep(coordinator.Batch{Revision: 1, Snapshot: true})
	two.Keep(coordinator.Batch{Revision: 2, Snapshot: true, Events: put(version(1, "x"))})
	one.Keep(coordinator.Batch{Revision: 2, Events: put(version(1, "x"))})
	one.Keep(coordinator.Batch{Revision: 3, Events: put(version(2, "y"))})
	two.Keep(coordinator.Batch{Revision: 3, Events: put(version(2, "y"))})
	if got := l.Values(shop); l.Holes() != 0 || len(got) != 2 || len(l.Wrong()) != 0 {
		t.Errorf("%d holes, %d values, wrong: %v", l.Holes(), len(got), l.Wrong())
	}
}

// reading is a judge of reads of three versions, and a reader of n1.
func reading() (*Reads, *Windows, *Reader) {
	w, l := NewWindows(), history(put(version(1, "x")), put(version(2, "y")), put(version(3, "z")))
	r := NewReads(w, l)
	return r, w, r.Reader(0, "n1", shop)
}

func read(v int64) Read {
	now := time.Now()
	return Read{Sent: now, Answered: now.Add(time.Millisecond), Version: v, Expires: now.Add(time.Minute), Alive: true}
}

func TestReadsAreJudged(t *testing.T) {
	expired, dead := read(1), read(1)
	expired.Expires = expired.Sent.Add(-time.Millisecond)
	dead.Alive = false
	for name, test := range map[string]struct {
		act  func(w *Windows, r *Reader)
		want string
	}{
		"forward":             {func(_ *Windows, r *Reader) { r.Saw("n1#1", read(1)); r.Saw("n1#1", read(3)) }, ""},
		"backwards":           {func(_ *Windows, r *Reader) { r.Saw("n1#1", read(3)); r.Saw("n1#1", read(2)) }, "after version 3"},
		"in another process":  {func(_ *Windows, r *Reader) { r.Saw("n1#1", read(3)); r.Saw("n1#2", read(2)) }, ""},
		"expired":             {func(_ *Windows, r *Reader) { r.Saw("n1#1", expired) }, "after its expiry"},
		"failed":              {func(_ *Windows, r *Reader) { r.Saw("n1#1", read(1)); r.Failed("n1#1", time.Now(), "status 503", true) }, "status 503"},
		"failed without word": {func(_ *Windows, r *Reader) { r.Failed("n1#1", time.Now(), "reset", false) }, "reset"},
		"failed while down":   {func(w *Windows, r *Reader) { w.Open(Down, "n1"); r.Failed("n1#1", time.Now(), "reset", false) }, ""},
		"failed, other down":  {func(w *Windows, r *Reader) { w.Open(Down, "n2"); r.Failed("n1#1", time.Now(), "reset", false) }, "reset"},
		"failed after it": {func(w *Windows, r *Reader) {
			w.Open(Down, "n1")(-time.Second)
			r.Failed("n1#1", time.Now(), "reset", false)
		}, "reset"},
		"refused for expiry": {func(_ *Windows, r *Reader) {
			soon := read(1)
			soon.Expires = time.Now().Add(serveMargin)
			r.Saw("n1#1", soon)
			r.Failed("n1#1", time.Now(), "status 503", true)
		}, ""},
		"a dead value of a node cut off": {func(w *Windows, r *Reader) { w.Open(Apart, "n1"); r.Saw("n1#1", dead) }, ""},
		"a dead value just replaced":     {func(_ *Windows, r *Reader) { r.Saw("n1#1", dead) }, ""},
		"a dead value long replaced": {func(_ *Windows, r *Reader) {
			dead := read(1)
			dead.Alive, dead.Sent = false, dead.Sent.Add(lagLimit+time.Second)
			r.Saw("n1#1", dead)
		}, "nothing explains it"},
		"a dead newest value": {func(_ *Windows, r *Reader) {
			dead := read(3)
			dead.Alive = false
			r.Saw("n1#1", dead)
		}, "nothing explains it"},
		"a newest value that was killed": {func(w *Windows, r *Reader) {
			w.Open(Dying, "shop")
			dead := read(3)
			dead.Alive = false
			r.Saw("n1#1", dead)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			reads, windows, reader := reading()
			test.act(windows, reader)
			found(t, reads.Wrong(), test.want)
		})
	}
}

func TestAClientThatKnowsAllNodesFailsForExpiryOnly(t *testing.T) {
	reads, windows, _ := reading()
	windows.Open(Down, "n1")
	reads.Wide(shop, time.Now(), "", false)
	reads.Wide(shop, time.Now().Add(time.Minute-serveMargin), "status 503", true)
	found(t, reads.Wrong(), "")
	reads.Wide(shop, time.Now(), "status 503", true) // the value has only just been published
	found(t, reads.Wrong(), "")
	later := time.Now().Add(lagLimit + time.Second)
	apart := windows.Open(Apart, "n1")
	reads.Wide(shop, later, "status 503", true)
	found(t, reads.Wrong(), "")
	apart(-time.Second)
	reads.Wide(shop, later, "status 503", true)
	found(t, reads.Wrong(), "knows all nodes failed to read")
}

// runs are reads of one version each, one reader's, a second apart.
func runs(versions ...int64) []Run {
	var all []Run
	at := time.Now()
	for _, v := range versions {
		at = at.Add(time.Second)
		one := Read{Sent: at, Answered: at.Add(time.Millisecond), Version: v}
		all = append(all, Run{Version: v, First: one, Last: one, reads: 1})
	}
	return all
}

func TestHistoriesThatNoRegisterExplainsAreFound(t *testing.T) {
	_, _, r := reading()
	published := r.reads.ledger.Values(shop)
	later := time.Now().Add(time.Minute)
	early := append([]Value{}, published...)
	early[2].Issued = later
	for name, test := range map[string]struct {
		published []Value
		runs      []Run
		right     bool
	}{
		"one after another":             {published, runs(1, 2, 3), true},
		"one left out":                  {published, runs(1, 3, 3), true},
		"back":                          {published, runs(1, 3, 2), false},
		"never published":               {published, runs(1, 4), false},
		"read before it was asked for":  {early, runs(1, 3), false},
		"two readers, seen back by one": {published, append(runs(2), runs(1, 2)...), true},
	} {
		t.Run(name, func(t *testing.T) {
			if why := Linear(test.published, test.runs); (why == "") != test.right {
				t.Errorf("the verdict is %q", why)
			}
		})
	}
}

// TestAReadersOwnOrderIsNotEnough lets two readers of one node see two versions in
// different orders, which neither of them can notice.
func TestAReadersOwnOrderIsNotEnough(t *testing.T) {
	reads, _, first := reading()
	second := reads.Reader(1, "n1", shop)
	newer, older := read(3), read(2)
	older.Sent, older.Answered = newer.Answered.Add(time.Second), newer.Answered.Add(2*time.Second)
	first.Saw("n1#1", newer)
	second.Saw("n1#1", older)
	found(t, reads.Wrong(), "")
	reads.Ended("n1#1")
	found(t, reads.Wrong(), "no order of applying")
}

func TestCallsAtOnceAreFound(t *testing.T) {
	for name, test := range map[string]struct {
		after    time.Duration // of the second call
		declared bool
		other    bool // the second call is for another app
		want     string
	}{
		"at once":            {time.Second, false, false, "another one that was under way"},
		"declared":           {time.Second, true, false, ""},
		"after the deadline": {3 * time.Second, false, false, ""},
		"for another app":    {time.Second, false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				windows, calls := NewWindows(), NewCalls()
				ledger := history(put(intent("a"), budget(2)))
				if test.declared {
					windows.Open(Doubled, "shop")
				}
				hang := calls.Watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Second) }),
					func(r *http.Request) string { return r.URL.Path[1:] })
				var calling sync.WaitGroup
				call := func(app string) {
					calling.Go(func() {
						hang.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+app, nil))
					})
				}
				call("shop")
				time.Sleep(test.after)
				if test.other {
					call("other")
				} else {
					call("shop")
				}
				calling.Wait()
				calls.Judge(ledger, windows)
				found(t, calls.Wrong(), test.want)
			})
		})
	}
}

func TestMoreCallsThanWereCountedAreFound(t *testing.T) {
	calls, ledger := NewCalls(), history(put(), put(intent("a"), budget(1)))
	calls.begin("shop")()
	calls.Charged(ledger, "shop")
	found(t, calls.Wrong(), "")
	calls.begin("shop")()
	calls.Charged(ledger, "shop")
	found(t, calls.Wrong(), "2 calls were made for shop, and 1 counted")
}

func TestBrokenBoundsAreFound(t *testing.T) {
	f := NewFigures()
	f.Gap("kill", 4*time.Second, 4*time.Second, 0)
	f.Back("kill", lagLimit+time.Second, time.Second)
	found(t, f.Wrong(), "")
	f.Gap("kill", 6*time.Second, 4*time.Second, time.Second)
	found(t, f.Wrong(), "nobody refreshed for 6s")
	f = NewFigures()
	f.Back("kill", lagLimit+2*time.Second, time.Second)
	found(t, f.Wrong(), "agreed only")
	if got := fmt.Sprint(f.Faults()); got != "0" {
		t.Errorf("%s faults", got)
	}
}

func grant(generation int64, value string) coordinator.Grant {
	return coordinator.Grant{App: "shop", Generation: generation, Current: coordinator.NewSecret(value)}
}

func TestALostRefreshTokenIsFound(t *testing.T) {
	saved := coordinator.Salvage{App: "shop", Attempt: "a", Refresh: coordinator.NewSecret("saved")}
	l := history(put(grant(1, "first")), put(grant(2, "second")), put(saved))
	for value, held := range map[string]bool{"first": false, "second": true, "saved": true} {
		if got := l.Holds("shop", value); got != held {
			t.Errorf("the %s refresh token is held: %t", value, got)
		}
	}
	windows, grants := NewWindows(), &Grants{}
	began := time.Now()
	windows.Open(Losing, "other")
	grants.Lost(windows, "shop", began)
	found(t, grants.Wrong(), "is lost")
	grants = &Grants{}
	windows.Open(Losing, "shop")(0)
	grants.Lost(windows, "shop", began)
	found(t, grants.Wrong(), "")
	grants.Lost(windows, "shop", time.Now().Add(time.Millisecond))
	found(t, grants.Wrong(), "is lost")
}

func TestTheLedgerFollowsGrants(t *testing.T) {
	for name, test := range map[string]struct {
		next coordinator.Grant
		want string
	}{
		"the next one": {grant(2, "y"), ""},
		"the same one": {grant(1, "x"), ""},
		"one left out": {grant(3, "y"), "follows generation 1"},
		"two of one":   {grant(1, "y"), "has a second value"},
	} {
		t.Run(name, func(t *testing.T) { found(t, history(put(grant(1, "x")), put(test.next)).Wrong(), test.want) })
	}
}
