package coordinator

import (
	"maps"
	"sync"
)

// inbox tells the leader which apps have changed; a level, not a queue.
type inbox struct {
	wake chan struct{} // holds one

	mu   sync.Mutex
	apps map[string]struct{}
	all  bool
}

func (i *inbox) put(t *touched) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.apps == nil {
		i.apps = map[string]struct{}{}
	}
	maps.Copy(i.apps, t.apps)
	i.all = i.all || t.all
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// take returns the apps that have changed since it was last called.
func (i *inbox) take() (apps map[string]struct{}, all bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	apps, all = i.apps, i.all
	i.apps, i.all = nil, false
	return apps, all
}
