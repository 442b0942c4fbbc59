package memory

import (
	"context"

	"freshet/coordinator"
)

// Open writes an intent, or takes one over.
func (s *Store) Open(ctx context.Context, o coordinator.Opening) (coordinator.Intent, error) {
	c := s.cluster
	revision, err := s.write(ctx, OpOpen, transaction{
		epoch: o.Epoch,
		fence: true,
		check: func() error { return c.checkOpeningLocked(o) },
		do: func(t *tx) {
			t.put(o.Intent)
			for _, b := range o.Budgets {
				t.put(b)
			}
		},
		mine: func() (int64, bool) {
			i, found := recordAt[coordinator.Intent](c, keyOf(o.Intent))
			return i.Revision, found && i.Attempt == o.Intent.Attempt
		},
	})
	if err != nil {
		return coordinator.Intent{}, err
	}
	return copyOf(o.Intent, revision).(coordinator.Intent), nil
}

func (c *Cluster) checkOpeningLocked(o coordinator.Opening) error {
	check := func() error { return c.unchangedLocked(o.Intent, 0) }
	if o.Foreign != nil {
		check = func() error { return c.existsLocked(o.Intent, o.Foreign.Revision) }
	}
	if err := check(); err != nil {
		return err
	}
	if err := c.statesUnchangedLocked(o.States); err != nil {
		return err
	}
	for _, b := range o.Budgets {
		if err := c.unchangedLocked(b, b.Revision); err != nil {
			return err
		}
	}
	if err := c.grantUnchangedLocked(o.Intent.App, o.Grant); err != nil {
		return err
	}
	return c.lineageUnchangedLocked(o.Lineage)
}

// Publish ends an attempt.
func (s *Store) Publish(ctx context.Context, p coordinator.Publication) (int64, error) {
	c := s.cluster
	return s.write(ctx, OpPublish, transaction{
		epoch: p.Epoch,
		fence: p.Epoch != 0,
		check: func() error { return c.checkPublicationLocked(p) },
		do: func(t *tx) {
			for _, state := range p.States {
				t.put(state)
			}
			for _, token := range p.Tokens {
				t.put(token)
			}
			if p.Grant != nil {
				t.put(*p.Grant)
			}
			t.delete(keyOf(p.Intent))
			for _, salvage := range p.Salvage {
				t.delete(keyOf(salvage))
			}
			for _, name := range p.Answered {
				t.delete(keyOf(coordinator.Request{Name: name}))
			}
		},
		mine: func() (int64, bool) { return c.publishedLocked(p) },
	})
}

func (c *Cluster) checkPublicationLocked(p coordinator.Publication) error {
	if p.Grant != nil && (p.Spent == nil || len(p.States) == 0 || p.Grant.App != p.Intent.App) {
		return coordinator.Invalidf("publishing a grant of %q for %q: it needs the app of the intent, the grant it replaces and states", p.Grant.App, p.Intent.App)
	}
	if err := c.existsLocked(p.Intent, p.Intent.Revision); err != nil {
		return err
	}
	if err := c.statesUnchangedLocked(p.States); err != nil {
		return err
	}
	if err := c.grantUnchangedLocked(p.Intent.App, p.Spent); err != nil {
		return err
	}
	return c.lineageUnchangedLocked(p.Lineage)
}

// publishedLocked finds the attempt among the outcomes of every state it writes.
func (c *Cluster) publishedLocked(p coordinator.Publication) (revision int64, ok bool) {
	for _, state := range p.States {
		now, _ := recordAt[coordinator.State](c, keyOf(state))
		if !now.Ended(p.Intent.Attempt) {
			return 0, false
		}
		revision = now.Revision
	}
	return revision, len(p.States) > 0
}

// Salvage saves a result once.
func (s *Store) Salvage(ctx context.Context, salvage coordinator.Salvage) error {
	_, err := s.write(ctx, OpSalvage, transaction{
		do: func(t *tx) {
			if t.cluster.modLocked(keyOf(salvage)) == 0 {
				t.put(salvage)
			}
		},
	})
	return err
}

// DropSalvage deletes a salvaged result.
func (s *Store) DropSalvage(ctx context.Context, e coordinator.Epoch, salvage coordinator.Salvage) error {
	_, err := s.write(ctx, OpDropSalvage, transaction{
		epoch: e,
		fence: true,
		do:    func(t *tx) { t.delete(keyOf(salvage)) },
	})
	return err
}

// Void deletes the intent of an attempt that made no call.
func (s *Store) Void(ctx context.Context, i coordinator.Intent) error {
	c := s.cluster
	_, err := s.write(ctx, OpVoid, transaction{
		check: func() error { return c.existsLocked(i, i.Revision) },
		do:    func(t *tx) { t.delete(keyOf(i)) },
		mine:  func() (int64, bool) { return c.revision, c.modLocked(keyOf(i)) == 0 },
	})
	return err
}
