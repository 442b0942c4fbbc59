package store

import (
	"context"
	"errors"
	"fmt"
	"maps"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// PutApp writes an app with its credentials and states.
func (s *Store) PutApp(ctx context.Context, c coordinator.AppChange) error {
	if err := coordinator.CheckAppName(c.App.Name); err != nil {
		return coordinator.Invalidf("writing an app: %v", err)
	}
	if c.Grant != nil && c.Grant.App != c.App.Name {
		return coordinator.Invalidf("writing app %q: the grant is one of app %q", c.App.Name, c.Grant.App)
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	old, err := s.credentialsOf(ctx, c.App.Name)
	if err != nil {
		return err
	}
	t := txn{doing: fmt.Sprintf("writing app %q", c.App.Name)}
	s.compareChange(&t, c)
	s.writeApp(&t, c, old)
	s.writeGrant(&t, c, old)
	t.record(s.codec, c.Audit)
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return err
	case a.committed:
		return nil
	case a.unsure && c.Audit == nil && s.appWritten(c, a): // a record would be there, were it ours
		return s.grantWritten(t, c, a)
	}
	return s.refused(t, a)
}

// compareChange makes sure that no app was changed or deleted since the caller
// looked (what it checked about parents and identities still holds), and that
// no version was published since the states were read.
func (s *Store) compareChange(t *txn, c coordinator.AppChange) {
	t.cmps = append(t.cmps, clientv3.Compare(clientv3.ModRevision(s.keys.changed()), "<", c.Seen+1))
	t.reads = append(t.reads, s.keys.changed(), s.keys.app(c.App.Name))
	s.compareStates(t, c.States)
	t.put(s.keys.changed(), encode(appChange{App: c.App.Name}, appChangeFields))
	for _, state := range c.States {
		t.put(s.keys.of(state), s.codec.plain(state))
	}
}

func (s *Store) writeApp(t *txn, c coordinator.AppChange, old coordinator.Credentials) {
	app := c.App.Name
	t.put(s.keys.app(app), s.codec.plain(c.App))
	fresh := coordinator.Credentials{App: app, Incarnation: c.App.Incarnation, Fields: c.App.Credentials}
	t.mod(s.keys.credentials(app), old.Revision)
	for _, group := range c.Calm {
		t.cmps = append(t.cmps,
			clientv3.Compare(clientv3.CreateRevision(s.keys.intent(app, group)), "=", 0),
			clientv3.Compare(clientv3.CreateRevision(s.keys.salvageOf(app, group)), "=", 0).WithPrefix())
	}
	if !sameCredentials(old, fresh) {
		t.write(s.codec, fresh)
	}
	if old.Revision == 0 || old.Incarnation != fresh.Incarnation {
		t.deleteAll(s.keys.barsOf(app))
		t.deleteAll(s.keys.intentsOf(app)) // R10: a new incarnation ends every wait
	}
	for _, name := range c.Drop {
		t.delete(s.keys.token(name))
		t.delete(s.keys.request(name))
		t.delete(s.keys.input(name))
	}
	for _, group := range c.Void {
		t.delete(s.keys.intent(app, group))
		t.deleteAll(s.keys.salvageOf(app, group))
	}
}

// writeGrant writes the grant a human gave. A new incarnation alone keeps every
// attempt of the former one from writing over it, so what it replaces need not
// have been seen; within an incarnation a rotation may have come in between,
// and the only copy of its refresh token would be lost. One that was read with
// what it replaces is always held to that.
func (s *Store) writeGrant(t *txn, c coordinator.AppChange, old coordinator.Credentials) {
	if c.Grant == nil {
		return
	}
	key := s.keys.of(*c.Grant)
	if lives := old.Revision != 0 && old.Incarnation == c.App.Incarnation; lives || c.Grant.Revision != 0 {
		t.mod(key, c.Grant.Revision)
	} else {
		t.reads = append(t.reads, key)
	}
	t.write(s.codec, *c.Grant)
}

// sameCredentials reports whether credentials need not be written: writing them
// would make every open attempt read all again. A change of credentials always
// begins a new incarnation, so within one, none given means those there are.
func sameCredentials(old, fresh coordinator.Credentials) bool {
	return old.Revision != 0 && old.Incarnation == fresh.Incarnation &&
		(fresh.Fields == nil || maps.EqualFunc(old.Fields, fresh.Fields, coordinator.Secret.Equal))
}

// appWritten reports whether what is there is what we wrote: the app as we wrote
// it, in a change of apps after the one the caller had seen.
func (s *Store) appWritten(c coordinator.AppChange, a answer) bool {
	key := s.keys.app(c.App.Name)
	there, found, err := recordOf[coordinator.App](s.codec, a.there[key])
	return found && err == nil && sameRecord(there, c.App) && there.Revision > c.Seen
}

// grantWritten tells whether the grant there is ours as well, after an answer was
// lost: somebody else may have written the same app with another grant. Ours may
// have been rotated since; after more than one rotation nobody can tell.
func (s *Store) grantWritten(t txn, c coordinator.AppChange, a answer) error {
	if c.Grant == nil {
		return nil
	}
	there, found, err := recordOf[coordinator.Grant](s.codec, a.there[s.keys.of(*c.Grant)])
	switch {
	case err != nil:
		return err
	case found && sameRecord(there, *c.Grant): // sealed, the same differs each time
		return nil
	case there.Generation > c.Grant.Generation+1:
		return t.gaveUp(true, errors.New("the grant was rotated since"))
	case there.Previous.Equal(c.Grant.Current):
		return nil
	}
	return s.refused(t, a)
}

func (s *Store) credentialsOf(ctx context.Context, app string) (coordinator.Credentials, error) {
	resp, err := insist(ctx, s, "reading credentials", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, s.keys.credentials(app))
	})
	if err != nil || len(resp.Kvs) == 0 {
		return coordinator.Credentials{}, err
	}
	c, _, err := recordOf[coordinator.Credentials](s.codec, resp.Kvs[0])
	return c, err
}

// DeleteApp deletes an app and leaves tombstones. Its budgets stay: a new app of
// the name may not spend them again.
func (s *Store) DeleteApp(ctx context.Context, c coordinator.AppChange) error {
	app := c.App.Name
	if err := coordinator.CheckAppName(app); err != nil {
		return coordinator.Invalidf("deleting an app: %v", err)
	}
	t := txn{doing: fmt.Sprintf("deleting app %q", app)}
	s.compareChange(&t, c)
	t.delete(s.keys.app(app))
	t.delete(s.keys.credentials(app))
	t.delete(s.keys.grant(app))
	t.deleteAll(s.keys.tokensOf(app))
	t.deleteAll(s.keys.intentsOf(app))
	t.deleteAll(s.keys.salvageOfApp(app))
	t.deleteAll(s.keys.requestsOf(app))
	t.deleteAll(s.keys.inputsOf(app))
	t.deleteAll(s.keys.barsOf(app))
	t.record(s.codec, c.Audit)
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return err
	case a.committed, a.unsure && a.there[s.keys.app(app)] == nil:
		return nil
	}
	return s.refused(t, a)
}

// PutClient writes a client.
func (s *Store) PutClient(ctx context.Context, c coordinator.Client, by *coordinator.Audit) error {
	if c.Name == "" {
		return coordinator.Invalidf("writing a client: it needs a name")
	}
	t := txn{doing: fmt.Sprintf("writing client %q", c.Name)}
	key, value := s.keys.of(c), s.codec.plain(c)
	t.mod(key, c.Revision)
	t.put(key, value)
	t.record(s.codec, by)
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return err
	case a.committed, a.unsure && a.holds(key, value):
		return nil
	}
	return s.refused(t, a)
}

// DeleteClient deletes a client.
func (s *Store) DeleteClient(ctx context.Context, c coordinator.Client, by *coordinator.Audit) error {
	t := txn{doing: fmt.Sprintf("deleting client %q", c.Name)}
	if c.Name == "" || c.Revision <= 0 {
		return fmt.Errorf("%s: it was never read: %w", t.doing, coordinator.ErrConflict)
	}
	key := s.keys.of(c)
	t.mod(key, c.Revision)
	t.delete(key)
	t.record(s.codec, by)
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return err
	case a.committed, a.unsure && a.there[key] == nil:
		return nil
	}
	return s.refused(t, a)
}

// PutPaused pauses or resumes the cluster.
func (s *Store) PutPaused(ctx context.Context, p *coordinator.Paused, by *coordinator.Audit) error {
	t := txn{doing: "pausing or resuming the cluster"}
	key := s.keys.paused()
	if p == nil {
		t.cmps = append(t.cmps, clientv3.Compare(clientv3.CreateRevision(key), ">", 0))
		t.delete(key)
	} else {
		t.mod(key, 0)
		t.put(key, s.codec.plain(*p))
	}
	t.record(s.codec, by)
	t.once()
	_, err := s.commit(ctx, t) // refused, it is so already
	return err
}

// PutAppliedFile records that a file was applied.
func (s *Store) PutAppliedFile(ctx context.Context, e coordinator.Epoch, f coordinator.AppliedFile, by *coordinator.Audit) error {
	if f.File == "" {
		return coordinator.Invalidf("recording an applied file: it needs a name")
	}
	t, err := s.fenced(ctx, e, fmt.Sprintf("recording that %q was applied", f.File))
	if err != nil {
		return err
	}
	t.put(s.keys.of(f), s.codec.plain(f))
	t.record(s.codec, by)
	return s.commitFenced(ctx, t)
}
