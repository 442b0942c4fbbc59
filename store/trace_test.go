package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store/storetest"
)

// counterexample is a run that broke a promise while the protocol of refreshing
// lacked a rule (ARCHITECTURE.md, "The rules behind them"). Each is replayed here
// against etcd, with whole nodes whose transactions are held on their way; what is
// decided by transactions alone is replayed by the contract's tests too.
type counterexample struct {
	name     string
	rule     string
	replay   []func(*traced)
	contract []string // of package storetest
}

func counterexamples() []counterexample {
	return []counterexample{
		{"C1", "R1: a call's deadline counts from before its intent was sent", []func(*traced){lateOpening}, nil},
		{"C2", "R2: a read that finds no commit proves nothing", []func(*traced){unansweredSalvage, unansweredPublication}, nil},
		{"C3", "R4: who saves without leadership compares the state as well", []func(*traced){deposedRebuilds}, []string{"Trace/SavingIsRebuiltOnWhatChanged"}},
		{"C4", "R3: a refused publication is rebuilt on what is read", []func(*traced){leaderRebuilds}, []string{"Trace/SavingIsRebuiltOnWhatChanged"}},
		{"C5", "R5: a new refresh token is on disk before it is published", []func(*traced){crashBeforePublishing}, nil},
		{"C6", "R6: losing leadership does not end the reading of an answer", []func(*traced){deposedInACall}, nil},
		{"C7", "R8: every attempt looks at all salvage", []func(*traced){salvageAfterTheTakeover}, []string{"Trace/SalvageArrivesAfterASecondTakeover"}},
		{"C8", "R8: intents and salvage are swept always", []func(*traced){orphanOfTheOwnNode}, []string{"Trace/OpeningThatArrivesLate"}},
		{"C9", "R10: who took over another's intent voids nothing", []func(*traced){takeoverThatEndsEarly}, nil},
		{"C10", "R11: a result of a former life is nobody's", []func(*traced){deletedInACall}, []string{"Trace/CopyOfSalvageComesBack"}},
		{"C11", "R11: what was asked with former credentials is dropped, a refusal too", []func(*traced){movedInACall, reconnectedInACall}, nil},
		{"C12", "R7: of two results of one refresh token the later one counts", []func(*traced){siblings}, []string{"Trace/CopyOfSalvageComesBack"}},
		{"C13", "R10: a new consent ends every wait", []func(*traced){reconnectedWhileUncertain}, nil},
		{"C14", "one opener: the workers have ended before their node leads again", []func(*traced){electedAgainInACall}, []string{"Trace/OpeningThatArrivesLate"}},
	}
}

func TestCounterexamples(t *testing.T) {
	for _, e := range counterexamples() {
		for i, replay := range e.replay {
			t.Run(fmt.Sprintf("%s/%d", e.name, i+1), func(t *testing.T) {
				t.Parallel()
				replay(newTraced(t))
			})
		}
	}
}

// None of the fourteen is missing, and what the table names is run.
func TestEveryCounterexampleIsReplayed(t *testing.T) {
	all := counterexamples()
	for i, e := range all {
		if e.name != fmt.Sprintf("C%d", i+1) || len(e.replay) == 0 {
			t.Errorf("entry %d is %s, with %d replays", i+1, e.name, len(e.replay))
		}
		for _, name := range e.contract {
			if !slices.ContainsFunc(storetest.Tests(), func(test storetest.Test) bool { return test.Name == name }) {
				t.Errorf("%s: the contract has no test %s", e.name, name)
			}
		}
	}
	if len(all) != 14 {
		t.Errorf("%d counterexamples, want 14", len(all))
	}
}

// The refresher's intent is answered late, when its election key is gone, which it
// does not know, and its successor has made its own call.
func lateOpening(c *traced) {
	a, b := c.pair()
	opened, voided := a.way.late(opens), a.way.late(voids)
	c.apply(b, mall("shop"))
	c.sent("an intent", opened)
	a.way.deafen()
	a.way.hold(beats)
	c.depose()
	c.value(b, mallToken, 0)
	if got := c.calls("shop"); got != 1 {
		c.Fatalf("%d calls before the first intent was answered", got)
	}
	opened.lift()
	c.until("the former refresher gives its attempt up, or calls", func() bool { return voided.tries() > 0 || c.calls("shop") > 1 })
	if got := c.calls("shop"); got != 1 {
		c.Errorf("%d calls: one after its deadline", got)
	}
}

// zombie lets a node fetch a first value and lose leadership before it can publish.
// Its successor has taken over, and does not know what became of the refresh token.
// What the zombie is about to publish is returned.
func (c *traced) zombie() (heir *tracedNode, result *hold) {
	c.Helper()
	a, b := c.pair()
	result = a.way.hold(publishes)
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.sent("a result", result)
	c.depose()
	c.until("the successor is uncertain", func() bool { return c.state().Status == coordinator.StatusUncertain })
	return b, result
}

// The result is salvaged when the attempt that took its refresh over has ended: the
// refresher sweeps it, with an attempt that follows none.
func salvageAfterTheTakeover(c *traced) {
	heir, result := c.zombie()
	c.delivered(result, false)
	c.value(heir, crmToken, 0)
	c.settled(1)
}

// The publication of what was salvaged is not answered, time and again: nobody calls
// because a read does not show it, and it is committed in the end.
func unansweredSalvage(c *traced) {
	heir, result := c.zombie()
	held := heir.way.hold(publishes)
	c.delivered(result, false)
	c.until("the salvaged result is sent again", func() bool { return held.tries() > 3 })
	c.delivered(held, true)
	c.value(heir, crmToken, 0)
	c.settled(1)
}

// The same with the result of the refresher's own call.
func unansweredPublication(c *traced) {
	a, b := c.pair()
	held := a.way.hold(publishes)
	c.apply(b, mall("shop"))
	c.until("the result is sent again", func() bool { return held.tries() > 3 })
	c.delivered(held, true)
	if v := c.value(b, mallToken, 0); v.Version() != 1 || c.calls("shop") != 1 {
		c.Errorf("version %d after %d calls", v.Version(), c.calls("shop"))
	}
}

// The state is written by somebody else while a deposed node's result is on its way:
// it is refused and made anew, one version above what is there.
func deposedRebuilds(c *traced) {
	a, b := c.pair()
	led := a.way.hold(publishes)
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.sent("a result", led)
	b.way.hold(opens) // it waits for its turn
	c.depose()
	c.until("b leads", func() bool { return c.eyes(b) })
	saved := a.way.hold(saves)
	c.delivered(led, false)
	c.sent("the result again", saved)
	c.touch()
	c.delivered(saved, false)
	c.value(b, crmToken, 0)
	b.way.open()
	c.settled(1)
}

// The same while the refresher leads.
func leaderRebuilds(c *traced) {
	a, b := c.pair()
	held := a.way.hold(publishes)
	c.apply(b, c.crm(sandbox.RotateNone))
	c.sent("a result", held)
	c.touch()
	c.delivered(held, false)
	c.value(b, crmToken, 0)
	c.settled(1)
}

// The refresher dies with its first publication on its way. What its disk holds then
// is replayed.
func crashBeforePublishing(c *traced) {
	a, b := c.pair()
	held := a.way.hold(publishes)
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.sent("a result", held)
	image := c.diskOf(a)
	c.kill(a)
	c.depose()
	c.join("c", image)
	c.value(b, crmToken, 0)
	c.settled(1)
}

// The refresher is deposed while it waits for an answer.
func deposedInACall(c *traced) {
	_, b := c.pair()
	c.next(slowly())
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.until("a call is under way", func() bool { return c.flying(tracedClient) })
	c.depose()
	c.value(b, crmToken, 0)
	c.settled(1)
}

// An intent is committed when its node is not the refresher any more, and knows of no
// answer. Elected again, it sweeps it like another's.
func orphanOfTheOwnNode(c *traced) {
	a := c.join("a", c.TempDir())
	c.led(a)
	opened := a.way.late(opens)
	c.apply(a, c.crm(sandbox.RotateNone))
	c.sent("an intent", opened)
	before := a.Status().Epoch
	c.depose()
	c.until("it leads again", func() bool { return a.Status().Epoch > before })
	opened.lift()
	c.value(a, crmToken, 0)
	c.settled(1)
}

// The attempt that took over a lost one ends before it has looked at anything: that
// the outcome of the first is not known is not forgotten.
func takeoverThatEndsEarly(c *traced) {
	a, b := c.pair()
	held := a.way.hold(publishes)
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.sent("a result", held)
	denied := b.way.deny(looks)
	c.kill(a)
	c.depose()
	c.sent("a look", denied)
	c.until("the refresh token is given up", func() bool { return c.group().Intent == nil })
	if s := c.state(); s.Status != coordinator.StatusUncertain || s.Unresolved.IsZero() || c.calls(tracedClient) != 1 {
		c.Errorf("%s since %v, %d calls", s.Status, s.Unresolved, c.calls(tracedClient))
	}
}

// An app is deleted and made again, with another consent, while a call of its former
// life is under way.
func deletedInACall(c *traced) {
	_, b := c.pair()
	c.next(slowly())
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.until("a call is under way", func() bool { return c.flying(tracedClient) })
	must(c.T, b.Remove(soon(c.T), "api:test", "crm"))
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.value(b, crmToken, 0)
	c.until("the former call has ended", func() bool { return !c.flying(tracedClient) })
	c.settled(2)
}

// An app moves to another account while a call for the former one is under way.
func movedInACall(c *traced) {
	_, b := c.pair()
	c.next(slowly())
	c.apply(b, mall("former"))
	c.until("a call is under way", func() bool { return c.flying("former") })
	c.apply(b, mall("present"))
	v := c.value(b, mallToken, 0)
	if current, _ := c.box.Current("present", sandbox.LinePlain); v.Token.Value.Reveal() != current || v.Version() != 1 {
		c.Errorf("version %d is not the present account's", v.Version())
	}
}

// A new consent is given while the platform is about to refuse the former one.
func reconnectedInACall(c *traced) {
	_, b := c.pair()
	refusal := slowly()
	refusal.When = sandbox.Before
	c.next(refusal)
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.until("a call is under way", func() bool { return c.flying(tracedClient) })
	must(c.T, second(c.box.Revoke(tracedClient, tracedUser)))
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.value(b, crmToken, 0)
	c.until("the former call has ended", func() bool { return !c.flying(tracedClient) })
	c.settled(2)
}

// Three attempts were made with one refresh token, and the results are salvaged: the
// platform honours the latest.
func siblings(c *traced) {
	a, b := c.pair()
	c.apply(b, c.crm(sandbox.RotateGrace))
	c.value(b, crmToken, 0)
	grant := *c.group().Grant
	held := a.way.hold(opens)
	for i, refresh := range []string{"older", "newest", "oldest"} {
		at := grant.IntentRevision + []int64{2, 3, 1}[i]
		must(c.T, c.eye.Salvage(soon(c.T), salvagedSibling(grant, refresh, at)))
	}
	c.sent("an intent", held)
	held.lift()
	c.until("all are used or dropped", func() bool { now := c.group(); return now.Intent == nil && len(now.Salvage) == 0 })
	if got := c.group().Grant.Current.Reveal(); got != "newest" {
		c.Errorf("the refresh token kept is the %s one", got)
	}
	if v := c.value(b, crmToken, 1); v.Token.Value.Reveal() != "value of newest" || c.calls(tracedClient) != 1 {
		c.Errorf("%s after %d calls", v.Token.Value.Reveal(), c.calls(tracedClient))
	}
}

func salvagedSibling(grant coordinator.Grant, refresh string, intent int64) coordinator.Salvage {
	now := time.Now()
	return coordinator.Salvage{
		App: "crm", Group: "access_token", Attempt: refresh, Incarnation: grant.Incarnation, Generation: grant.Generation,
		IntentRevision: intent, Refresh: coordinator.NewSecret(refresh), Began: now,
		Tokens: []coordinator.Token{{Name: crmToken, Value: coordinator.NewSecret("value of " + refresh), Issued: now, Expires: now.Add(time.Hour)}},
	}
}

// A new consent is given while nobody knows what became of the former refresh token.
func reconnectedWhileUncertain(c *traced) {
	_, b := c.pair()
	c.next(sandbox.Fault{Do: sandbox.Hang, When: sandbox.After})
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.until("its outcome is unknown", func() bool { return c.state().Status == coordinator.StatusUncertain })
	c.apply(b, c.crm(sandbox.RotateStrict))
	c.value(b, crmToken, 0)
	c.settled(2)
}

// The only node loses its election key in a call: it leads again when that is over,
// and no worker of the former leadership runs beside one of the new.
func electedAgainInACall(c *traced) {
	a := c.join("a", c.TempDir())
	c.led(a)
	app, slow := c.crm(sandbox.RotateStrict), slowly()
	app.Refresh.Timeout, slow.Delay = 5*tracedCall, tracedCall
	c.next(slow)
	c.apply(a, app)
	c.until("a call is under way", func() bool { return c.flying(tracedClient) })
	before := a.Status().Epoch
	c.depose()
	c.until("it leads again", func() bool { return a.Status().Epoch > before })
	if c.flying(tracedClient) {
		c.Error("it leads again, and a call of its former leadership is under way")
	}
	c.value(a, crmToken, 0)
	c.settled(1)
}

// eyes reports whether etcd says that a node leads.
func (c *traced) eyes(n *tracedNode) bool { return n.Status().Refresher == n.Name() }
