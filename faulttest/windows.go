package faulttest

import (
	"slices"
	"sync"
	"time"
)

// Excuse is what a window explains.
type Excuse string

// The excuses. Each is about one node or one app.
const (
	Down    Excuse = "node does not answer"                // killed, stopped or starting: its reads may fail
	Apart   Excuse = "node cannot hear etcd"               // it may serve what was replaced
	Dying   Excuse = "platform ends values unseen"         // a published value may be dead at the platform
	Losing  Excuse = "an answer may be lost"               // windows W3 and W5
	Doubled Excuse = "a call may begin after its deadline" // window W1
)

// Windows declares what a test did to whom and when. It is safe for concurrent use.
type Windows struct {
	mu  sync.Mutex
	all map[Excuse][]*window
}

type window struct {
	of    string
	from  time.Time
	until time.Time // zero: still open
}

// NewWindows returns a declaration of nothing.
func NewWindows() *Windows { return &Windows{all: map[Excuse][]*window{}} }

// Open declares that something is done to a node or an app from now until the
// returned function has been called and grace has passed.
func (w *Windows) Open(e Excuse, of string) (lift func(grace time.Duration)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := &window{of: of, from: time.Now()}
	w.all[e] = append(w.all[e], one)
	return func(grace time.Duration) {
		w.mu.Lock()
		defer w.mu.Unlock()
		one.until = time.Now().Add(grace)
	}
}

// Covers reports whether some window was open at any time between two instants.
func (w *Windows) Covers(e Excuse, of string, from, until time.Time) bool {
	return w.some(e, func(one *window) bool { return one.of == of && one.meets(from, until) })
}

// Any is Covers for any node or app.
func (w *Windows) Any(e Excuse, from, until time.Time) bool {
	return w.some(e, func(one *window) bool { return one.meets(from, until) })
}

func (w *Windows) some(e Excuse, fits func(*window) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.all[e], fits)
}

func (w *window) meets(from, until time.Time) bool {
	return !w.from.After(until) && (w.until.IsZero() || !w.until.Before(from))
}
