package faulttest

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Grants judges whether the newest refresh token that a platform has handed out is
// still to be found. It is safe for concurrent use.
type Grants struct {
	mu        sync.Mutex
	lost      int // with an answer that never reached us, or a crash before it was on disk
	consented int
	wrong     []string
}

// Lost judges an app whose newest refresh token nobody holds, although there was
// time to save it. since is when a human last gave one.
func (g *Grants) Lost(w *Windows, app string, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.Covers(Losing, app, since, time.Now()) {
		g.lost++
		return
	}
	g.wrong = append(g.wrong, fmt.Sprintf("the newest refresh token of %s is lost, and no lost answer explains it", app))
}

// Consented counts a human who gave a new one.
func (g *Grants) Consented() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.consented++
}

// Wrong lists the apps whose refresh token was lost without a reason.
func (g *Grants) Wrong() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.wrong)
}
