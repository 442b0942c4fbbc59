package coordinator

import (
	"testing"
	"time"
)

// noStore is a store that nobody calls.
type noStore struct{ Store }

func follower(t testing.TB) *Node {
	t.Helper()
	n, err := New(Config{Name: "n1", Store: noStore{}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shown is a snapshot of one token at a version.
func shown(version, revision int64) Batch {
	name := Name{App: "shop", Token: "access_token"}
	expires := time.Now().Add(time.Hour)
	return Batch{Revision: revision, Snapshot: true, Events: []Event{
		{Record: App{Name: "shop", Tokens: map[string]TokenSettings{"access_token": {}}}},
		{Record: State{Name: name, Version: version, Status: StatusFresh, Expires: expires, Due: expires, Revision: revision}},
		{Record: Token{Name: name, Version: version, Value: NewSecret("v"), Expires: expires, Revision: revision}},
	}}
}

// A cluster restored from a backup shows older versions: a node goes on serving
// the one it has shown.
func TestVersionNeverGoesBackOnANode(t *testing.T) {
	n := follower(t)
	name := Name{App: "shop", Token: "access_token"}
	n.apply(t.Context(), shown(7, 100))
	n.apply(t.Context(), shown(5, 90))
	if v, err := n.Read(t.Context(), name, Want{}); err != nil || v.Version() != 7 {
		t.Errorf("%v, %v", v.Version(), err)
	}
	n.apply(t.Context(), shown(8, 110))
	if v, err := n.Read(t.Context(), name, Want{}); err != nil || v.Version() != 8 {
		t.Errorf("%v, %v", v.Version(), err)
	}
}

// What a snapshot does not hold is gone.
func TestSnapshotReplacesEverything(t *testing.T) {
	n := follower(t)
	n.apply(t.Context(), shown(7, 100))
	n.apply(t.Context(), Batch{Revision: 120, Snapshot: true})
	if _, ok := n.View(Name{App: "shop", Token: "access_token"}); ok || len(n.Apps()) != 0 {
		t.Error("a token that is gone is shown")
	}
}

// A refresher whose clock is ahead makes values look longer-lived than they are.
func TestClockOfTheRefresherIsRespected(t *testing.T) {
	n := follower(t)
	n.apply(t.Context(), shown(1, 1))
	if n.Margin() != leastMargin {
		t.Errorf("margin %v", n.Margin())
	}
	for i, ahead := range []time.Duration{-time.Second, 30 * time.Second, 20 * time.Second} {
		n.apply(t.Context(), Batch{Revision: int64(2 + i), Events: []Event{{Record: Heartbeat{Node: "n2", At: time.Now().Add(ahead)}}}})
	}
	if got := n.Margin(); got < 29*time.Second || got > 30*time.Second {
		t.Errorf("margin %v with a clock 30 s ahead", got)
	}
	for i := range skewSamples {
		n.apply(t.Context(), Batch{Revision: int64(10 + i), Events: []Event{{Record: Heartbeat{Node: "n2", At: time.Now()}}}})
	}
	if n.Margin() != leastMargin {
		t.Errorf("margin %v after the clock was mended", n.Margin())
	}
}

// A node that leads in the place of one whose clock was ahead dates values itself.
func TestClockOfAFormerRefresherIsForgottenByTheNext(t *testing.T) {
	n := follower(t)
	n.apply(t.Context(), shown(1, 1))
	n.apply(t.Context(), Batch{Revision: 2, Events: []Event{{Record: Heartbeat{Node: "n2", At: time.Now().Add(time.Hour)}}}})
	if _, err := n.Read(t.Context(), Name{App: "shop", Token: "access_token"}, Want{}); err == nil {
		t.Error("a value is served that may have ended")
	}
	for i := range skewSamples {
		n.apply(t.Context(), Batch{Revision: int64(10 + i), Events: []Event{{Record: Heartbeat{Node: n.name, At: time.Now()}}}})
	}
	if n.Margin() != leastMargin {
		t.Errorf("margin %v of a node that leads itself", n.Margin())
	}
}

// The wait before a takeover begins when an intent is first seen, and a new
// snapshot does not begin it again.
func TestIntentAgesOverSnapshots(t *testing.T) {
	n := follower(t)
	batch := shown(1, 1)
	batch.Events = append(batch.Events, Event{Record: Intent{App: "shop", Group: "access_token", Attempt: "a", Revision: 1}})
	n.apply(t.Context(), batch)
	first := n.cache.records.intents[groupID{"shop", "access_token"}].seen
	n.apply(t.Context(), batch)
	if got := n.cache.records.intents[groupID{"shop", "access_token"}].seen; !got.Equal(first) {
		t.Error("the wait has begun again")
	}
}
