package memory

import (
	"context"
	"errors"
	"fmt"

	"freshet/coordinator"
)

// transaction is one write. Its functions are called with the mutex held.
type transaction struct {
	epoch coordinator.Epoch // to fence by, where fenced is set
	fence bool
	check func() error // the other compares; nil: none
	do    func(t *tx)
	audit *coordinator.Audit // who makes the change; nil: it is not recorded
	once  bool               // nothing but its own record keeps it from being done twice
	// mine recognises a commit of this same transaction whose answer was lost,
	// and returns its revision; nil: sending it again does no harm.
	mine func() (int64, bool)
}

// write sends a transaction until it is answered definitely or ctx ends.
func (s *Store) write(ctx context.Context, op Op, t transaction) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	again := false
	if f, ok := s.nextFault(op); ok {
		answered, err := s.suffer(ctx, f, t)
		if answered {
			return 0, err
		}
		again = true
	}
	if err := s.reach(ctx); err != nil {
		return 0, fmt.Errorf("%w: %w", coordinator.ErrAmbiguous, err)
	}
	revision, err := s.cluster.commit(t, again)
	if errors.Is(err, coordinator.ErrFenced) {
		s.stepDown(t.epoch)
	}
	return revision, err
}

// commit applies a transaction if its compares hold. Where they fail because it
// was sent before and committed, it recognises its own work.
func (c *Cluster) commit(t transaction, again bool) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	err := c.checkLocked(t)
	recorded := int64(0)
	if t.audit != nil {
		recorded, _ = c.writtenLocked(*t.audit)
	}
	if again && recorded != 0 && (err != nil || t.once) {
		return recorded, nil
	}
	if err == nil {
		return c.updateLocked(func(tx *tx) {
			t.do(tx)
			tx.putAudit(t.audit)
		}), nil
	}
	if again && t.mine != nil {
		if revision, ok := t.mine(); ok {
			return revision, nil
		}
	}
	return 0, err
}

func (c *Cluster) checkLocked(t transaction) error {
	if t.fence && !c.leadsLocked(t.epoch) {
		return coordinator.ErrFenced
	}
	if t.check == nil {
		return nil
	}
	return t.check()
}

// stepDown ends the leadership whose write was fenced.
func (s *Store) stepDown(epoch coordinator.Epoch) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if s.leading != nil && s.leading.epoch == epoch {
		s.leading.over = true
		s.cluster.wakeLocked()
	}
}

// reach waits until the cluster can be reached; the error is that of ctx.
func (s *Store) reach(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.cluster.mu.Lock()
		cut, moved := s.cut, s.cluster.moved
		s.cluster.mu.Unlock()
		if !cut {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-moved:
		}
	}
}

// unchangedLocked compares the revision of a record's key with the one it was read at.
func (c *Cluster) unchangedLocked(record coordinator.Record, revision int64) error {
	k := keyOf(record)
	if c.modLocked(k) != revision {
		return fmt.Errorf("comparing %s %q: %w", k.kind, k.id, coordinator.ErrConflict)
	}
	return nil
}

// existsLocked is unchangedLocked for a record that must exist.
func (c *Cluster) existsLocked(record coordinator.Record, revision int64) error {
	if revision == 0 {
		k := keyOf(record)
		return fmt.Errorf("comparing %s %q, never read: %w", k.kind, k.id, coordinator.ErrConflict)
	}
	return c.unchangedLocked(record, revision)
}

// statesUnchangedLocked compares states with the revisions they were read at.
func (c *Cluster) statesUnchangedLocked(states []coordinator.State) error {
	for _, s := range states {
		if err := c.unchangedLocked(s, s.Revision); err != nil {
			return err
		}
	}
	return nil
}

// grantUnchangedLocked compares an app's grant with the revision it was read at;
// a nil one is not compared.
func (c *Cluster) grantUnchangedLocked(app string, asRead *coordinator.Grant) error {
	if asRead == nil {
		return nil
	}
	return c.unchangedLocked(coordinator.Grant{App: app}, asRead.Revision)
}

// lineageUnchangedLocked compares the credentials of a lineage with the revisions they were read at.
func (c *Cluster) lineageUnchangedLocked(lineage []coordinator.Ancestor) error {
	for _, a := range lineage {
		if err := c.unchangedLocked(coordinator.Credentials{App: a.App}, a.Revision); err != nil {
			return err
		}
	}
	return nil
}

// writtenLocked reports whether exactly this record, but for its revision, is
// what its key holds.
func (c *Cluster) writtenLocked(record coordinator.Record) (int64, bool) {
	k := keyOf(record)
	e := c.keys[k.kind][k.id]
	if e == nil || !same(e.record, record) {
		return 0, false
	}
	return e.mod, true
}
