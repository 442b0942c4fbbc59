package coordinator

import (
	"sync"
	"sync/atomic"
)

// Identified returns the app whose provider says this identity of it, see
// Provider.Identity; there is at most one.
func (n *Node) Identified(identity string) (app string, ok bool) {
	if n.cache.named.behind.Load() {
		n.identify()
	}
	found, ok := n.cache.named.apps.Load(identity)
	if !ok {
		return "", false
	}
	return found.(string), true //nolint:forcetypeassert // apps holds nothing else
}

// identities finds apps by what their platforms know them by. Who follows the
// store only marks what has changed; whoever asks next looks at that, so that
// 50,000 apps are looked at once and not with every change.
type identities struct {
	apps   sync.Map    // :: identity → app
	behind atomic.Bool // something is marked

	making sync.Mutex        // held by who looks at what is marked
	of     map[string]string // :: app → its identity; guarded by making

	mu     sync.Mutex          // guards the marks, never for long
	marked map[string]struct{} // apps that have changed; their children count as well
	all    bool
}

// mark notes that the settings or credentials of apps have changed, or of all.
func (i *identities) mark(apps []string, all bool) {
	if len(apps) == 0 && !all {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.marked == nil {
		i.marked = map[string]struct{}{}
	}
	for _, app := range apps {
		i.marked[app] = struct{}{}
	}
	i.all = i.all || all
	i.behind.Store(true)
}

// take returns the marks, which are then gone.
func (i *identities) take() (apps map[string]struct{}, all bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	apps, all = i.marked, i.all
	i.marked, i.all = nil, false
	return apps, all
}

// identify asks the providers about the apps that are marked, one by one, so that
// who follows the store never waits for long.
func (n *Node) identify() {
	named := &n.cache.named
	named.making.Lock()
	defer named.making.Unlock()
	if named.of == nil {
		named.of = map[string]string{}
	}
	changed, all := named.take()
	n.cache.reading(func(r *records) { changed = r.concerned(changed, all) })
	if all {
		for app := range named.of {
			changed[app] = struct{}{} // it may be gone
		}
	}
	for app := range changed {
		named.set(app, n.identityOf(app))
	}
	named.mu.Lock()
	defer named.mu.Unlock()
	named.behind.Store(named.all || len(named.marked) > 0)
}

// set makes an app be found by an identity and by no other; empty: by none.
func (i *identities) set(app, identity string) {
	if former := i.of[app]; former != identity {
		i.apps.CompareAndDelete(former, app) // another app may have it by now
		delete(i.of, app)
	}
	if identity != "" {
		i.of[app] = identity
		i.apps.Store(identity, app)
	}
}

// identityOf is what the platform knows an app by; empty where it cannot be told.
func (n *Node) identityOf(name string) (identity string) {
	app, err := n.Effective(name)
	if err != nil {
		return ""
	}
	provider, ok := n.providers[app.Provider]
	if !ok {
		return ""
	}
	return provider.Identity(app)
}

// concerned adds to some apps all that inherit from them, or returns all there are.
func (r *records) concerned(apps map[string]struct{}, all bool) map[string]struct{} {
	if apps == nil || all {
		apps = map[string]struct{}{}
	}
	for range maxLineage {
		before := len(apps)
		for name, app := range r.apps {
			if _, ok := apps[app.Parent]; ok || all {
				apps[name] = struct{}{}
			}
		}
		if len(apps) == before || all {
			break
		}
	}
	return apps
}
