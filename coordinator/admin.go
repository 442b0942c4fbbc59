package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Apps returns all apps as they were applied, sorted by name, without credentials.
func (n *Node) Apps() []App {
	var apps []App
	n.cache.reading(func(r *records) { apps = slices.Collect(maps.Values(r.apps)) })
	slices.SortFunc(apps, func(a, b App) int { return strings.Compare(a.Name, b.Name) })
	return apps
}

// App returns an app as it was applied, without credentials.
func (n *Node) App(name string) (app App, ok bool) {
	n.cache.reading(func(r *records) { app, ok = r.apps[name] })
	return app, ok
}

// Effective returns an app with what it inherits and the defaults. Its
// credentials are present; they are never to be shown.
func (n *Node) Effective(name string) (app App, err error) {
	n.cache.reading(func(r *records) { app, _, err = r.resolve(name) })
	return app, err
}

// Remove deletes an app with its credentials and values. The states stay as
// tombstones, so that the versions of a later app of this name go on. When it
// returns this node knows that the app is gone.
func (n *Node) Remove(ctx context.Context, by, name string) error {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	for {
		moved := n.cache.moved.wait()
		change, err := n.removal(name)
		if err != nil {
			return err
		}
		change.Audit = n.audit(ctx, by, ActionAppDeleted, name)
		err = n.store.DeleteApp(ctx, change)
		switch {
		case err == nil:
			return n.knows(ctx, func(r *records) bool {
				known, ok := r.app(name)
				return !ok || known.Revision != change.App.Revision
			})
		case !errors.Is(err, ErrConflict):
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ErrConflict
		}
	}
}

func (n *Node) removal(name string) (change AppChange, err error) {
	if !n.cache.synced.Load() {
		return AppChange{}, ErrNotSynced
	}
	n.cache.reading(func(r *records) {
		app, ok := r.app(name)
		if !ok {
			err = ErrUnknownApp
			return
		}
		if children := len(r.families[name]); children > 0 {
			err = Invalidf("app %q has %d children: delete those first", name, children)
			return
		}
		change = AppChange{App: app, Seen: n.cache.applied.Load()}
		incarnation := r.nextIncarnation(name, app.Incarnation)
		for token, state := range r.states {
			if token.App == name && !state.Deleted {
				change.States = append(change.States, tombstone(state, incarnation))
			}
		}
	})
	return change, err
}

// PauseApp pauses or resumes the refreshing of an app; reads go on.
func (n *Node) PauseApp(ctx context.Context, by, name string, paused bool) error {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	action := ActionAppResumed
	if paused {
		action = ActionAppPaused
	}
	for {
		moved := n.cache.moved.wait()
		var app App
		var ok bool
		var seen int64
		n.cache.reading(func(r *records) { app, ok = r.app(name); seen = n.cache.applied.Load() })
		if !ok {
			return ErrUnknownApp
		}
		if app.Paused == paused {
			return n.hears()
		}
		app.Paused = paused
		change := AppChange{App: app, Seen: seen, Audit: n.audit(ctx, by, action, name)}
		err := n.store.PutApp(ctx, change)
		if err == nil {
			return n.seen(ctx, change)
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ErrConflict
		}
	}
}

// Finalize ends a rolling upgrade: the format of records is raised to the newest
// that every node that lives reads, and returned. Older builds are refused then.
func (n *Node) Finalize(ctx context.Context, by string) (int, error) {
	return n.store.Finalize(ctx, n.audit(ctx, by, ActionFormatRaised))
}

// PauseCluster pauses or resumes all refreshing; reads go on. A cluster that is
// paused already stays paused by whoever did it first.
func (n *Node) PauseCluster(ctx context.Context, by string, paused bool) error {
	if !paused {
		return n.store.PutPaused(ctx, nil, n.audit(ctx, by, ActionClusterResumed))
	}
	return n.store.PutPaused(ctx, &Paused{By: by, At: n.now()}, n.audit(ctx, by, ActionClusterPaused))
}
