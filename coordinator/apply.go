package coordinator

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"freshet/coordinator/schedule"
)

// Applied says what became of an app that was applied.
type Applied struct {
	App    App // effective: with what it inherits and the defaults
	Change Change

	// GrantKept means that the refresh token that was given is not the one that
	// is kept, and did not replace it.
	GrantKept bool
}

// Change is what applying an app did, or would do.
type Change string

// The changes of applying.
const (
	ChangeCreated   Change = "created"
	ChangeUpdated   Change = "updated"
	ChangeUnchanged Change = "unchanged"
)

// Applying says how an app is applied.
type Applying struct {
	// ReplaceGrant puts a refresh token that is among the credentials in the
	// place of the one that is kept. Without it one that is given counts only
	// where none is kept: the one in a file is older than what it was rotated to.
	ReplaceGrant bool

	// Act is the deed that this is a part of, such as an import: its changes
	// share records of who changed what. Nil: the change has one of its own.
	Act *Act
}

// applyLimit bounds how long applying may take, with the tries after somebody
// else's change came first.
const applyLimit = 10 * time.Second

// Apply creates an app or brings an existing one to what app says. Without
// credentials an existing app keeps its own, unless the change could send them
// elsewhere; a change of either begins a new incarnation. Mistakes are *InvalidError. When it returns this node knows the app.
// It is recorded as done by the app's owner.
func (n *Node) Apply(ctx context.Context, app App, how Applying) (Applied, error) {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	for {
		moved := n.cache.moved.wait()
		applied, change, err := n.change(app, how)
		if err == nil && applied.Change == ChangeUnchanged {
			return applied, n.hears()
		}
		if err != nil {
			return applied, err
		}
		err = n.put(ctx, change, how.Act)
		if err == nil {
			return applied, n.seen(ctx, change)
		}
		if !errors.Is(err, ErrConflict) {
			return Applied{}, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return Applied{}, ErrConflict
		}
	}
}

// put makes a change of an app, with the record of it.
func (n *Node) put(ctx context.Context, change AppChange, act *Act) error {
	return act.joined(*n.dated(ctx, *change.Audit), func(a *Audit) error {
		change.Audit = a
		return n.store.PutApp(ctx, change)
	})
}

// Preview says what Apply would do, and changes nothing.
func (n *Node) Preview(app App, how Applying) (Applied, error) {
	applied, _, err := n.change(app, how)
	if err != nil {
		return applied, err
	}
	return applied, n.hears()
}

// seen waits until the cache has what was written, so that whoever wrote it
// reads it here. Not to see it in time is no failure of the write.
func (n *Node) seen(ctx context.Context, change AppChange) error {
	for {
		moved := n.cache.moved.wait()
		known, ok := n.App(change.App.Name)
		// A revision is in the records before the views show it.
		if ok && known.Revision > change.App.Revision && n.cache.applied.Load() >= known.Revision {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil
		}
	}
}

// change works out what applying an app changes, against what the cache knows.
func (n *Node) change(app App, how Applying) (applied Applied, change AppChange, err error) {
	if !n.cache.synced.Load() {
		return Applied{}, AppChange{}, ErrNotSynced
	}
	change.Seen = n.cache.applied.Load() // before the identities, which then are no older
	n.identify()
	n.cache.reading(func(r *records) { applied, err = n.changeOf(r, app, how, &change) })
	return applied, change, err
}

func (n *Node) changeOf(r *records, app App, how Applying, change *AppChange) (Applied, error) {
	former, exists := r.app(app.Name)
	_, given := app.Credentials[CredentialRefresh]
	replace := given && how.ReplaceGrant
	applied := Applied{GrantKept: given && !replace && otherGrant(app, former)}
	app.Credentials = grantedBefore(app, former, replace)
	kept := exists && app.Credentials == nil
	if kept {
		app.Credentials = former.Credentials
	}
	if kept && len(former.Credentials) > 0 && elsewhere(app, former) {
		return Applied{}, Invalidf("app %q: a change of provider, parent, upstream or options says where the credentials are sent: give the credentials again with it", app.Name)
	}
	if len(app.Tokens) == 0 && app.Parent == "" {
		app.Tokens = map[string]TokenSettings{DefaultToken: {}}
	}
	app.Incarnation, app.Revision, app.CredentialsRevision = former.Incarnation, former.Revision, former.CredentialsRevision
	app.Newer = former.Newer
	effective, err := n.check(r, app)
	if err == nil && replace {
		err = n.unspent(r, effective)
	}
	if err != nil {
		return Applied{}, err
	}
	app.Tokens = effective.Tokens
	if exists && !replace && sameApp(app, former) {
		applied.App, applied.Change = effective, ChangeUnchanged
		return applied, nil
	}
	newLife := !exists || replace || !sameSecrets(app.Credentials, former.Credentials) || elsewhere(app, former)
	if newLife {
		app.Incarnation = r.nextIncarnation(app.Name, former.Incarnation)
		change.Void = n.groupNames(effective)
		if exists {
			change.Void = append(change.Void, n.groupNames(former)...)
			slices.Sort(change.Void)
			change.Void = slices.Compact(change.Void)
		}
	}
	n.changeGrant(r, &app, former, effective, replace, change)
	change.App = app
	effective.Incarnation = app.Incarnation
	n.changeStates(r, effective, former, newLife, change)
	applied.App, applied.Change = effective, ChangeCreated
	change.Audit = &Audit{By: app.Owner, Action: ActionAppCreated, Objects: []string{app.Name}, Changed: changedIn(former, app, change.Grant != nil)}
	if exists {
		applied.Change, change.Audit.Action = ChangeUpdated, ActionAppUpdated
	}
	return applied, nil
}

// elsewhere reports whether two specifications may send the credentials to different places.
func elsewhere(a, b App) bool {
	return a.Provider != b.Provider || a.Parent != b.Parent || a.Upstream != b.Upstream || !maps.Equal(a.Options, b.Options)
}

// changeStates brings the tokens' states to what the app keeps now.
func (n *Node) changeStates(r *records, app, former App, newLife bool, change *AppChange) {
	otherAccount := former.Name != "" && n.identity(r, former) != n.providers[app.Provider].Identity(app)
	for _, name := range app.TokenNames() {
		state, known := r.states[name]
		state.Name = name
		group, _ := groupOf(n.providers[app.Provider].Groups(app), name.Token)
		switch {
		case !known || state.Deleted || otherAccount:
			change.Drop = append(change.Drop, name)
			state = State{Name: name, Version: state.Version, Revision: state.Revision, Status: StatusPending}
		case newLife && n.fetcher(app) != nil:
			state = renewed(state, change.Grant != nil)
		case state.Status == StatusFresh:
			state.Due = schedule.Due(state.Issued, state.Expires, policy(app, group, name.Token), chance())
		}
		state.Incarnation = app.Incarnation
		change.States = append(change.States, state)
	}
	for _, name := range former.TokenNames() {
		if _, kept := app.Tokens[name.Token]; kept {
			continue
		}
		change.Drop = append(change.Drop, name)
		change.States = append(change.States, tombstone(r.states[name], app.Incarnation))
	}
}

// renewed is a state whose app has got new credentials: they are tried at once.
// That is said by no instant at all, since the refresher's clock may differ from ours.
// Only a new grant makes an uncertain one sure.
func renewed(state State, granted bool) State {
	if !granted && !state.Unresolved.IsZero() {
		return state
	}
	state.Unresolved = time.Time{}
	state.Due, state.Failures, state.Reason, state.Deaths = time.Time{}, 0, "", 0
	state.Status = StatusFresh
	if state.Version == 0 {
		state.Status = StatusPending
	}
	return state
}

// tombstone is what stays of a token that is kept no more.
func tombstone(state State, incarnation int64) State {
	return State{Name: state.Name, Version: state.Version, Revision: state.Revision, Incarnation: incarnation, Deleted: true, Status: StatusPending}
}

// nextIncarnation is above every one the app has had, also before it was deleted.
func (r *records) nextIncarnation(app string, known int64) int64 {
	return max(known, r.lives[app]) + 1
}

// check says in one sentence what is wrong with an app; the effective app is returned.
func (n *Node) check(r *records, app App) (App, error) {
	if err := CheckAppName(app.Name); err != nil {
		return App{}, Invalidf("%v", err)
	}
	if err := checkLabels(app.Labels); err != nil {
		return App{}, Invalidf("app %q: %v", app.Name, err)
	}
	effective, _, err := r.inherit(app)
	if err != nil {
		return App{}, err
	}
	if err := n.checkSettings(effective); err != nil {
		return App{}, err
	}
	for _, name := range effective.TokenNames() {
		if err := name.Check(); err != nil {
			return App{}, Invalidf("app %q: %v", app.Name, err)
		}
	}
	identity := n.providers[effective.Provider].Identity(effective)
	if twin, ok := n.cache.named.twin(identity, app.Name); ok {
		return App{}, &TwinError{App: app.Name, Twin: twin, Identity: identity}
	}
	return effective, nil
}

func (n *Node) checkSettings(app App) error {
	provider, ok := n.providers[app.Provider]
	if !ok {
		known := slices.Sorted(maps.Keys(n.providers))
		return Invalidf("app %q: provider %q is not known; this version has %q", app.Name, app.Provider, known)
	}
	if err := provider.Check(app); err != nil {
		return Invalidf("app %q: %v", app.Name, err)
	}
	return nil
}

// identity is what the platform knows an applied app by; empty where it cannot be told.
func (n *Node) identity(r *records, app App) string {
	effective, _, err := r.resolve(app.Name)
	if err != nil {
		return ""
	}
	provider, ok := n.providers[effective.Provider]
	if !ok {
		return ""
	}
	return provider.Identity(effective)
}

func (n *Node) groupNames(app App) []string {
	provider, ok := n.providers[app.Provider]
	if !ok {
		return nil
	}
	var names []string
	for _, group := range provider.Groups(app) {
		names = append(names, group.Name)
	}
	return names
}

// sameApp reports whether two apps say the same, apart from where they were read.
func sameApp(a, b App) bool {
	if !sameSecrets(a.Credentials, b.Credentials) {
		return false
	}
	a.Credentials, b.Credentials = nil, nil
	a.Revision, b.Revision = 0, 0
	a.CredentialsRevision, b.CredentialsRevision = 0, 0
	return reflect.DeepEqual(normal(a), normal(b))
}

// normal makes empty maps nil, so that they compare equal.
func normal(a App) App {
	if len(a.Options) == 0 {
		a.Options = nil
	}
	if len(a.Labels) == 0 {
		a.Labels = nil
	}
	tokens := map[string]TokenSettings{}
	for name, settings := range a.Tokens {
		if len(settings.Options) == 0 {
			settings.Options = nil
		}
		tokens[name] = settings
	}
	a.Tokens = tokens
	return a
}

func sameSecrets(a, b map[string]Secret) bool {
	return maps.EqualFunc(a, b, Secret.Equal)
}
