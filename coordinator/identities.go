package coordinator

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Identified returns the app whose provider says this identity of it, see
// Provider.Identity; there is at most one.
func (n *Node) Identified(identity string) (app string, ok bool) {
	app, ok = n.identities()[identity]
	return app, ok
}

// identities are the names of apps by what their platforms know them by. They
// are read from the settings when somebody asks after those have changed.
type identities struct {
	changes atomic.Int64 // of settings and credentials
	table   atomic.Pointer[identityTable]
	making  sync.Mutex // held by who makes the table anew, never by who reads it
}

type identityTable struct {
	changes int64
	apps    map[string]string // :: identity → app
}

func (n *Node) identities() map[string]string {
	named := &n.cache.named
	if table := named.table.Load(); table != nil && table.changes == named.changes.Load() {
		return table.apps
	}
	named.making.Lock()
	defer named.making.Unlock()
	changes := named.changes.Load()
	table := named.table.Load()
	if table == nil || table.changes != changes {
		table = &identityTable{changes: changes, apps: n.readIdentities()}
		named.table.Store(table)
	}
	return table.apps
}

// readIdentities asks the providers, app by app, so that who follows the store
// never waits for long.
func (n *Node) readIdentities() map[string]string {
	var names []string
	n.cache.reading(func(r *records) { names = slices.Collect(maps.Keys(r.apps)) })
	apps := make(map[string]string, len(names))
	for _, name := range names {
		app, err := n.Effective(name)
		if err != nil {
			continue // it is gone, or its parent is
		}
		if provider, ok := n.providers[app.Provider]; ok {
			apps[provider.Identity(app)] = name
		}
	}
	delete(apps, "")
	return apps
}
