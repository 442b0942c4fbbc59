package sandbox

import (
	"fmt"
	"net"
	"slices"
	"sync"
)

// AddFault orders a fault. It strikes from the next call on.
func (s *Sandbox) AddFault(f Fault) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("adding fault: %w", err)
	}
	s.faults.add(f)
	return nil
}

// ClearFaults forgets the faults ordered for one app, or all of them for an empty
// appid, and releases the calls they hold: a hanging one is reset, a delayed one
// goes on at once.
func (s *Sandbox) ClearFaults(appid string) { s.faults.clear(appid) }

// Faults returns the orders still standing, oldest first; Count and Skip say what
// is left of them.
func (s *Sandbox) Faults() []Fault { return s.faults.list() }

// strike is a fault in force, shared by all the calls it strikes.
type strike struct {
	Fault
	cleared chan struct{} // closed when the fault is cleared
}

// faults are the orders, and those orders that still hold a call although their
// count is used up.
type faults struct {
	mu      sync.Mutex
	orders  []*order
	holding map[*strike]int // :: strike → calls it holds
}

// order is a fault with what is left of its counts; guarded by faults.mu.
type order struct {
	left Fault
	hit  *strike
}

func newFaults() *faults { return &faults{holding: make(map[*strike]int)} }

func (fs *faults) add(f Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.orders = append(fs.orders, &order{left: f, hit: &strike{Fault: f, cleared: make(chan struct{})}})
}

// take returns the strike that meets a call, or nil. done must follow.
func (fs *faults) take(c call, host string) *strike {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, o := range fs.orders {
		if !o.left.fits(c, host) {
			continue
		}
		if o.left.Skip > 0 {
			o.left.Skip--
			continue
		}
		if o.left.Count == 1 {
			fs.orders = slices.Delete(fs.orders, i, i+1)
		}
		o.left.Count = max(o.left.Count-1, 0)
		fs.holding[o.hit]++
		return o.hit
	}
	return nil
}

func (fs *faults) done(hit *strike) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.holding[hit]--
	if fs.holding[hit] == 0 {
		delete(fs.holding, hit)
	}
}

func (fs *faults) clear(appid string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	release := make(map[*strike]bool)
	for hit := range fs.holding {
		release[hit] = appid == "" || hit.App == appid
	}
	fs.orders = slices.DeleteFunc(fs.orders, func(o *order) bool {
		gone := appid == "" || o.left.App == appid
		release[o.hit] = gone
		return gone
	})
	for hit, gone := range release {
		if gone {
			hit.release()
		}
	}
}

// release ends every wait of the strike; guarded by faults.mu. A used-up strike
// may be cleared twice while it holds a call.
func (hit *strike) release() {
	select {
	case <-hit.cleared:
	default:
		close(hit.cleared)
	}
}

func (fs *faults) list() []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	list := make([]Fault, 0, len(fs.orders))
	for _, o := range fs.orders {
		list = append(list, o.left)
	}
	return list
}

func (f Fault) fits(c call, host string) bool {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	return (f.App == "" || f.App == c.app) &&
		(f.Kind == "" || f.Kind == KindAny || f.Kind == c.kind) &&
		(f.Host == "" || f.Host == host)
}
