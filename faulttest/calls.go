package faulttest

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Calls watches the calls that reach a platform and finds those for one app that
// overlap. It is safe for concurrent use.
type Calls struct {
	mu       sync.Mutex
	open     map[string][]time.Time // :: app → when the calls under way began
	begun    map[string]int         // :: app → calls so far
	overlaps []overlap
	late     int // calls beside one that the platform still had after its deadline
	doubled  int // calls in a declared window
	wrong    []string
}

// overlap is a call that began while another one for its app was under way.
type overlap struct {
	app           string
	first, second time.Time
}

// NewCalls returns a watch that has seen nothing.
func NewCalls() *Calls { return &Calls{open: map[string][]time.Time{}, begun: map[string]int{}} }

// Watch returns a handler that passes every request on and notes those for which
// appOf names an app.
func (c *Calls) Watch(next http.Handler, appOf func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if app := appOf(r); app != "" {
			defer c.begin(app)()
		}
		next.ServeHTTP(w, r)
	})
}

// begin notes a call; the returned function ends it.
func (c *Calls) begin(app string) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, first := range c.open[app] {
		c.overlaps = append(c.overlaps, overlap{app, first, now})
	}
	c.open[app] = append(c.open[app], now)
	c.begun[app]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.open[app], now)
		c.open[app] = slices.Delete(c.open[app], i, i+1)
	}
}

// Begun counts the calls for an app.
func (c *Calls) Begun(app string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun[app]
}

// UnderWay counts the calls for an app that have not ended.
func (c *Calls) UnderWay(app string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open[app])
}

// Judge looks at the overlaps that were seen. A second call may begin once the
// deadline of the first one's attempt has passed, whether or not the platform is
// still busy with it; before that only
// if it was begun in a declared window.
func (c *Calls) Judge(l *Ledger, w *Windows) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.overlaps {
		first, known := l.under(o.app, o.first)
		switch {
		case known && !o.second.Before(first.Deadline()):
			c.late++
		case w.Covers(Doubled, o.app, o.second, o.second):
			c.doubled++
		default:
			c.wrong = append(c.wrong, fmt.Sprintf("a call for %s began %s after another one that was under way, %s before that one's deadline",
				o.app, o.second.Sub(o.first), first.Deadline().Sub(o.second)))
		}
	}
	c.overlaps = nil
}

// Charged complains if more calls were made for an app than were counted before.
func (c *Calls) Charged(l *Ledger, app string) {
	made := c.Begun(app) // first: what is counted meanwhile does not hurt
	if counted := l.Charged(app); made > counted {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wrong = append(c.wrong, fmt.Sprintf("%d calls were made for %s, and %d counted", made, app, counted))
	}
}

// Wrong lists what must never have happened.
func (c *Calls) Wrong() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.wrong)
}
