package httpapi

import (
	"sync"

	"golang.org/x/time/rate"
)

// forwardLimits bounds what each client may have forwarded.
type forwardLimits struct {
	most  int // calls at once
	rates *recent[string, *rate.Limiter]
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	under map[string]int // :: client → calls under way, above zero
}

func newForwardLimits(most int, perSecond float64) *forwardLimits {
	return &forwardLimits{
		most:  most,
		rates: newRecent[string, *rate.Limiter](mostReports),
		rate:  rate.Limit(perSecond),
		burst: max(1, int(2*perSecond)),
		under: map[string]int{},
	}
}

// enter counts a call in, or refuses it. The function returned counts it out.
func (l *forwardLimits) enter(client string) (leave func(), err error) {
	limiter := l.rates.getOr(client, func() *rate.Limiter { return rate.NewLimiter(l.rate, l.burst) })
	if !limiter.Allow() {
		return nil, errTooFast
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.under[client] >= l.most {
		return nil, errTooMany
	}
	l.under[client]++
	return func() { l.leave(client) }, nil
}

func (l *forwardLimits) leave(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.under[client]--
	if l.under[client] == 0 {
		delete(l.under, client)
	}
}
