package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"freshet/coordinator"
)

// PutApp writes an app with its credentials and states.
func (s *Store) PutApp(ctx context.Context, ch coordinator.AppChange) error {
	c := s.cluster
	_, err := s.write(ctx, OpPutApp, transaction{
		audit: ch.Audit,
		check: func() error {
			if err := c.checkGivenLocked(ch); err != nil {
				return err
			}
			return c.checkAppChangeLocked(ch)
		},
		do: func(t *tx) {
			t.put(ch.App)
			t.putCredentials(ch.App)
			if ch.Grant != nil {
				t.put(*ch.Grant)
			}
			for _, name := range ch.Drop {
				t.delete(keyOf(coordinator.Token{Name: name}))
				t.delete(keyOf(coordinator.Request{Name: name}))
				t.delete(keyOf(coordinator.Input{Name: name}))
			}
			t.putAll(ch.States)
			void := func(app, group string) bool {
				return app == ch.App.Name && slices.Contains(ch.Void, group)
			}
			t.deleteAttempts(void)
		},
		mine: func() (int64, bool) {
			revision, ok := c.writtenLocked(ch.App)
			return revision, ch.Audit == nil && ok && revision > ch.Seen && c.grantWrittenLocked(ch.Grant)
		},
	})
	return err
}

// DeleteApp deletes an app and leaves tombstones.
func (s *Store) DeleteApp(ctx context.Context, ch coordinator.AppChange) error {
	c := s.cluster
	name := ch.App.Name
	_, err := s.write(ctx, OpDeleteApp, transaction{
		audit: ch.Audit,
		check: func() error { return c.checkAppChangeLocked(ch) },
		do: func(t *tx) {
			t.delete(keyOf(coordinator.App{Name: name}))
			t.delete(keyOf(coordinator.Credentials{App: name}))
			t.delete(keyOf(coordinator.Grant{App: name}))
			t.deleteAll(kindToken, func(r coordinator.Record) bool { return r.(coordinator.Token).Name.App == name })
			t.deleteAll(kindRequest, func(r coordinator.Record) bool { return r.(coordinator.Request).Name.App == name })
			t.deleteAll(kindInput, func(r coordinator.Record) bool { return r.(coordinator.Input).Name.App == name })
			t.deleteAttempts(func(app, _ string) bool { return app == name })
			t.deleteBars(name)
			t.putAll(ch.States)
		},
		mine: func() (int64, bool) { return c.revision, c.modLocked(keyOf(coordinator.App{Name: name})) == 0 },
	})
	return err
}

// checkAppChangeLocked compares all apps, so that nothing an app was checked
// against (parents, children, identities) has changed, and the states, so that
// no version is lost.
func (c *Cluster) checkAppChangeLocked(ch coordinator.AppChange) error {
	if c.apps > ch.Seen {
		return fmt.Errorf("comparing apps with revision %d: %w", ch.Seen, coordinator.ErrConflict)
	}
	for _, e := range slices.Concat(slices.Collect(maps.Values(c.keys[kindIntent])), slices.Collect(maps.Values(c.keys[kindSalvage]))) {
		if app, group := attemptOf(e.record); app == ch.App.Name && slices.Contains(ch.Calm, group) {
			return fmt.Errorf("comparing the attempts of group %q: %w", group, coordinator.ErrConflict)
		}
	}
	return c.statesUnchangedLocked(ch.States)
}

// attemptOf names the group that an intent or a salvaged result belongs to.
func attemptOf(record coordinator.Record) (app, group string) {
	switch r := record.(type) {
	case coordinator.Intent:
		return r.App, r.Group
	case coordinator.Salvage:
		return r.App, r.Group
	}
	return "", ""
}

// checkGivenLocked compares the grant a human gave with the revision it was
// read at. One that begins an incarnation need not have been read: no attempt
// of the former incarnation can write over it.
func (c *Cluster) checkGivenLocked(ch coordinator.AppChange) error {
	if ch.Grant == nil {
		return nil
	}
	if ch.Grant.App != ch.App.Name {
		return coordinator.Invalidf("writing app %q: the grant is one of app %q", ch.App.Name, ch.Grant.App)
	}
	old, found := recordAt[coordinator.Credentials](c, keyOf(coordinator.Credentials{App: ch.App.Name}))
	if lives := found && old.Incarnation == ch.App.Incarnation; lives || ch.Grant.Revision != 0 {
		return c.unchangedLocked(*ch.Grant, ch.Grant.Revision)
	}
	return nil
}

// grantWrittenLocked reports whether a grant, or what it was rotated to, is there.
func (c *Cluster) grantWrittenLocked(g *coordinator.Grant) bool {
	if g == nil {
		return true
	}
	if _, ok := c.writtenLocked(*g); ok {
		return true
	}
	there, _ := recordAt[coordinator.Grant](c, keyOf(*g))
	return there.Previous.Equal(g.Current)
}

// putCredentials writes an app's credentials if they changed: every attempt
// compares their revision. A change of credentials always begins a new
// incarnation, so that within one, none given means those there are. A new
// incarnation ends the app's intents.
func (t *tx) putCredentials(a coordinator.App) {
	fresh := coordinator.Credentials{App: a.Name, Incarnation: a.Incarnation, Fields: a.Credentials}
	old, found := recordAt[coordinator.Credentials](t.cluster, keyOf(fresh))
	lives := found && old.Incarnation == fresh.Incarnation
	if !lives || a.Credentials != nil && !same(old, fresh) {
		t.put(fresh)
	}
	if !lives {
		t.deleteBars(a.Name)
		t.deleteAll(kindIntent, func(r coordinator.Record) bool { return r.(coordinator.Intent).App == a.Name })
	}
}

func (t *tx) putAll(states []coordinator.State) {
	for _, state := range states {
		t.put(state)
	}
}

// deleteAttempts deletes the intents and salvage of the chosen fetch groups.
func (t *tx) deleteAttempts(chosen func(app, group string) bool) {
	t.deleteAll(kindIntent, func(r coordinator.Record) bool {
		i := r.(coordinator.Intent)
		return chosen(i.App, i.Group)
	})
	t.deleteAll(kindSalvage, func(r coordinator.Record) bool {
		s := r.(coordinator.Salvage)
		return chosen(s.App, s.Group)
	})
}

// PutClient writes a client.
func (s *Store) PutClient(ctx context.Context, client coordinator.Client, a *coordinator.Audit) error {
	c := s.cluster
	_, err := s.write(ctx, OpPutClient, transaction{
		audit: a,
		check: func() error { return c.unchangedLocked(client, client.Revision) },
		do:    func(t *tx) { t.put(client) },
		mine:  func() (int64, bool) { return c.writtenLocked(client) },
	})
	return err
}

// DeleteClient deletes a client.
func (s *Store) DeleteClient(ctx context.Context, client coordinator.Client, a *coordinator.Audit) error {
	c := s.cluster
	_, err := s.write(ctx, OpDeleteClient, transaction{
		audit: a,
		check: func() error { return c.existsLocked(client, client.Revision) },
		do:    func(t *tx) { t.delete(keyOf(client)) },
		mine:  func() (int64, bool) { return c.revision, c.modLocked(keyOf(client)) == 0 },
	})
	return err
}

// PutPaused pauses or resumes the cluster.
func (s *Store) PutPaused(ctx context.Context, p *coordinator.Paused, a *coordinator.Audit) error {
	c := s.cluster
	_, err := s.write(ctx, OpPutPaused, transaction{
		audit: a,
		once:  true,
		check: func() error {
			if is := c.modLocked(keyOf(coordinator.Paused{})) != 0; is == (p != nil) {
				return errAlready
			}
			return nil
		},
		do: func(t *tx) {
			if p == nil {
				t.delete(keyOf(coordinator.Paused{}))
				return
			}
			t.put(*p)
		},
	})
	if errors.Is(err, errAlready) {
		return nil
	}
	return err
}

var errAlready = errors.New("it is so already")

// PutAppliedFile records that a file was applied.
func (s *Store) PutAppliedFile(ctx context.Context, e coordinator.Epoch, f coordinator.AppliedFile, a *coordinator.Audit) error {
	_, err := s.write(ctx, OpPutAppliedFile, transaction{
		audit: a,
		epoch: e,
		fence: true,
		do:    func(t *tx) { t.put(f) },
	})
	return err
}
