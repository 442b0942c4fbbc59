package store

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	leaseGrace  = 15 * time.Minute // a value may be looked at after its expiry
	leaseKeys   = 1000             // etcd removes the keys of a lease in one go, which must stay short
	leaseMaxTTL = 10 * 365 * 24 * time.Hour

	budgetWindow = 24 * time.Hour // the longest window there is
)

// leases shares leases among the keys that expire in the same minute: etcd can
// end only about a thousand leases a second, and each costs memory. They are
// never renewed and known only here: a process that forgets them grants new
// ones. What a record says of its expiry is the truth; its lease only collects garbage.
type leases struct {
	turn  chan struct{}         // holds one token; whoever has it may use taken
	taken map[int64]*sharedUses // :: minute of expiry → the lease of its keys
}

type sharedUses struct {
	id   clientv3.LeaseID
	keys int
	ends time.Time // at the earliest, by the monotonic clock
}

// outlives reports whether the lease ends after the keys that expire at an instant:
// not where the clock was set back since it was granted.
func (u *sharedUses) outlives(expires, now time.Time) bool {
	return u.ends.Sub(now) >= min(expires.Sub(now), leaseMaxTTL)
}

func newLeases() leases {
	return leases{turn: make(chan struct{}, 1), taken: map[int64]*sharedUses{}}
}

// leased is a put under a shared lease.
type leased struct {
	key     string
	value   []byte
	expires time.Time
}

// lease returns the lease for a key that expires at an instant.
func (s *Store) lease(ctx context.Context, expires time.Time) (clientv3.LeaseID, error) {
	l := &s.leases
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-l.turn }()
	minute := minuteOf(expires)
	if u := l.taken[minute]; u != nil && u.keys < leaseKeys && u.outlives(expires, time.Now()) {
		u.keys++
		return u.id, nil
	}
	now := time.Now()
	id, err := s.grant(ctx, minute, now)
	if err != nil {
		return 0, err
	}
	l.forgetBefore(minuteOf(now))
	l.taken[minute] = &sharedUses{id: id, keys: 1, ends: now.Add(leaseTTL(minute, now))}
	return id, nil
}

// lost forgets a lease that etcd does not know any more.
func (l *leases) lost(ids map[clientv3.LeaseID]bool) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	for minute, u := range l.taken {
		if ids[u.id] {
			delete(l.taken, minute)
		}
	}
}

func (l *leases) forgetBefore(minute int64) {
	for m := range l.taken {
		if m < minute {
			delete(l.taken, m)
		}
	}
}

func (s *Store) grant(ctx context.Context, minute int64, now time.Time) (clientv3.LeaseID, error) {
	ttl := leaseTTL(minute, now)
	resp, err := request(ctx, s.main, requestTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.LeaseGrantResponse, error) {
		return c.Grant(ctx, int64(ttl/time.Second))
	})
	if err != nil {
		return 0, fmt.Errorf("granting a lease: %w", err)
	}
	return resp.ID, nil
}

// minuteOf counts the minutes up to the end of the one an instant lies in.
func minuteOf(t time.Time) int64 { return t.Unix()/60 + 1 }

// leaseTTL is how long the keys that expire in a minute stay in etcd.
func leaseTTL(minute int64, now time.Time) time.Duration {
	left := time.Duration(min(minute*60-now.Unix(), int64(leaseMaxTTL/time.Second))) * time.Second
	return max(left, 0) + leaseGrace
}
