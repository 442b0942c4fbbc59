package coordinator

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Identified returns the app whose provider says this identity of it, see
// Provider.Identity; the newest, where a change of parents has made several the same.
func (n *Node) Identified(identity string) (app string, ok bool) {
	n.identify()
	if holders := n.cache.named.holders(identity); len(holders) > 0 {
		return holders[0], true
	}
	return "", false
}

// identities finds apps by what their platforms know them by. Who follows the
// store only marks what has changed; whoever asks next looks at that, so that
// 50,000 apps are looked at once and not with every change.
type identities struct {
	apps   sync.Map    // :: identity → its apps, the newest first; a []string that is never changed
	behind atomic.Bool // something is marked

	making sync.Mutex        // held by who looks at what is marked
	of     map[string]string // :: app → its identity; guarded by making

	mu     sync.Mutex          // guards the marks, never for long
	marked map[string]struct{} // apps that have changed; their children count as well
	all    bool
}

// holders returns the apps of an identity: one, unless a change of their parents
// has made several the same.
func (i *identities) holders(identity string) []string {
	found, ok := i.apps.Load(identity)
	if !ok {
		return nil
	}
	return found.([]string) //nolint:forcetypeassert // apps holds nothing else
}

// twin returns another app than this one that has an identity.
func (i *identities) twin(identity, app string) (string, bool) {
	for _, holder := range i.holders(identity) {
		if holder != app {
			return holder, true
		}
	}
	return "", false
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
	if !named.behind.Load() {
		return
	}
	named.making.Lock()
	defer named.making.Unlock()
	if named.of == nil {
		named.of = map[string]string{}
	}
	changed, all := named.take()
	n.cache.reading(func(r *records) {
		apps := maps.Keys(changed)
		if all {
			apps = maps.Keys(r.apps)
		}
		changed = r.heirs(apps)
	})
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
	former := i.of[app]
	if former == identity {
		return
	}
	delete(i.of, app)
	others := slices.DeleteFunc(slices.Clone(i.holders(former)), func(holder string) bool { return holder == app })
	if len(others) > 0 {
		i.apps.Store(former, others)
	} else {
		i.apps.Delete(former)
	}
	if identity != "" {
		i.of[app] = identity
		i.apps.Store(identity, slices.Concat([]string{app}, i.holders(identity)))
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

// heirs are some apps and all that inherit from them.
func (r *records) heirs(apps iter.Seq[string]) map[string]struct{} {
	heirs := map[string]struct{}{}
	for app := range apps {
		r.addFamily(heirs, app)
	}
	return heirs
}

// addFamily adds an app and all below it to some apps, unless it is among them.
func (r *records) addFamily(apps map[string]struct{}, app string) {
	if _, ok := apps[app]; ok {
		return
	}
	apps[app] = struct{}{}
	for child := range r.families[app] {
		r.addFamily(apps, child)
	}
}
