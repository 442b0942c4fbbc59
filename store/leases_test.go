package store

import (
	"context"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestValuesOfOneMinuteShareALeaseThatOutlivesThem(t *testing.T) {
	b := newBench(t)
	b.open()
	p := publication(b.look(), b.epoch)
	other := p.Tokens[0]
	other.Name.Token = "other"
	p.Tokens = append(p.Tokens, other)
	must(t, second(b.s.Publish(soon(t), p)))
	one, two := at(t, b.raw, b.s.keys.of(p.Tokens[0])).Kvs[0], at(t, b.raw, b.s.keys.of(other)).Kvs[0]
	if one.Lease == 0 || one.Lease != two.Lease {
		t.Errorf("leases %x and %x, want one for both", one.Lease, two.Lease)
	}
	ttl, err := b.raw.TimeToLive(soon(t), clientv3.LeaseID(one.Lease))
	must(t, err)
	left := time.Duration(ttl.TTL) * time.Second
	if low, high := time.Hour+leaseGrace-10*time.Second, time.Hour+leaseGrace+time.Minute; left < low || left > high {
		t.Errorf("the lease lives %s, want between %s and %s", left, low, high)
	}
	for _, key := range []string{b.s.keys.state(shop), b.s.keys.app("shop"), b.s.keys.credentials("shop")} {
		if lease := at(t, b.raw, key).Kvs[0].Lease; lease != 0 {
			t.Errorf("%s has lease %x, but must not expire", key, lease)
		}
	}
	if lease := at(t, b.raw, b.s.keys.budget("shop", "day/token")).Kvs[0].Lease; lease == 0 {
		t.Error("the budget has no lease")
	}
}

func TestAnIntentHasNoLease(t *testing.T) {
	b := newBench(t)
	b.open()
	if lease := at(t, b.raw, b.s.keys.intent("shop", "g")).Kvs[0].Lease; lease != 0 {
		t.Errorf("the intent has lease %x, and would be forgotten", lease)
	}
}

func TestALeaseThatIsGoneIsReplaced(t *testing.T) {
	b := newBench(t)
	b.open()
	p := publication(b.look(), b.epoch)
	id, err := b.s.lease(soon(t), p.Tokens[0].Expires)
	must(t, err)
	must(t, second(b.raw.Revoke(soon(t), id)))
	must(t, second(b.s.Publish(soon(t), p)))
	if got := at(t, b.raw, b.s.keys.of(p.Tokens[0])).Kvs; len(got) != 1 || clientv3.LeaseID(got[0].Lease) == id {
		t.Errorf("got %v, want the value under another lease", got)
	}
}

func TestALeaseHasAtMostAThousandKeys(t *testing.T) {
	s := open(t)
	expires := time.Now().Add(time.Hour).Truncate(time.Minute)
	var mu sync.Mutex
	keys := map[clientv3.LeaseID]int{}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			for range leaseKeys/2 - 1 {
				id, err := s.lease(context.WithoutCancel(t.Context()), expires)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				keys[id]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(keys) != 3 {
		t.Errorf("%d leases were granted for %d keys, want 3", len(keys), 5*(leaseKeys/2-1))
	}
	for id, n := range keys {
		if n > leaseKeys {
			t.Errorf("lease %x has %d keys, want at most %d", id, n, leaseKeys)
		}
	}
}

func TestLeaseTTL(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, test := range []struct{ left, low, high time.Duration }{
		{-time.Hour, leaseGrace, leaseGrace},
		{0, leaseGrace, leaseGrace + time.Minute},
		{2 * time.Hour, 2*time.Hour + leaseGrace, 2*time.Hour + leaseGrace + time.Minute},
		{200 * 365 * 24 * time.Hour, leaseMaxTTL, leaseMaxTTL + leaseGrace},
	} {
		got := leaseTTL(minuteOf(now.Add(test.left)), now)
		if got < test.low || got > test.high {
			t.Errorf("a key that expires in %s gets %s, want %s to %s", test.left, got, test.low, test.high)
		}
	}
}

func TestLeasesOfThePastAreForgotten(t *testing.T) {
	s := open(t)
	for i := range 5 {
		must(t, second(s.lease(soon(t), time.Now().Add(-time.Duration(i+2)*time.Minute))))
	}
	must(t, second(s.lease(soon(t), time.Now().Add(time.Hour))))
	if n := len(s.leases.taken); n != 1 {
		t.Errorf("%d leases are remembered, want 1", n)
	}
}

// A lease that was granted before the clock was set back ends before the values
// that would share it now.
func TestALeaseFromBeforeTheClockWasSetBackIsNotShared(t *testing.T) {
	granted := time.Now()
	u := sharedUses{ends: granted.Add(2*time.Hour + leaseGrace)}
	expires := granted.Add(2 * time.Hour).Round(0)
	if !u.outlives(expires, granted.Add(time.Hour)) {
		t.Error("a lease that ends after the value is not shared")
	}
	later := granted.Add(time.Hour)
	if setBack := withMonotonicOf(later.Add(-30*time.Minute), later); u.outlives(expires, setBack) {
		t.Error("a lease that ends before the value is shared")
	}
}
