package faulttest

import (
	"context"
	"sync"
	"time"
)

const stallEvery = 20 * time.Millisecond

// Stalls measures how much of the time this machine did not let us run: on a busy
// one every deadline is late, and a bound says nothing without it. It is safe for
// concurrent use.
type Stalls struct {
	mu   sync.Mutex
	late []stall
}

type stall struct {
	at   time.Time
	late time.Duration
}

// Run measures until ctx ends.
func (s *Stalls) Run(ctx context.Context) {
	ticker := time.NewTicker(stallEvery)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if late := now.Sub(last) - stallEvery; late > stallEvery {
			s.mu.Lock()
			s.late = append(s.late, stall{now, late})
			s.mu.Unlock()
		}
		last = now
	}
}

// Since sums up what was lost from an instant on.
func (s *Stalls) Since(from time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum time.Duration
	for i := len(s.late) - 1; i >= 0 && s.late[i].at.After(from); i-- {
		sum += s.late[i].late
	}
	return sum
}
