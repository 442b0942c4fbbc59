package memory

import (
	"context"

	"freshet/coordinator"
)

// PutBar writes a bar, whatever stood there.
func (s *Store) PutBar(ctx context.Context, b coordinator.Bar) error {
	if b.App == "" || b.Egress == "" {
		return coordinator.Invalidf("writing a bar: it needs an app and an egress address")
	}
	_, err := s.write(ctx, OpPutBar, transaction{do: func(t *tx) { t.put(b) }})
	return err
}

// DeleteBar deletes a bar of that revision.
func (s *Store) DeleteBar(ctx context.Context, b coordinator.Bar) error {
	c := s.cluster
	_, err := s.write(ctx, OpDeleteBar, transaction{
		check: func() error { return c.existsLocked(b, b.Revision) },
		do:    func(t *tx) { t.delete(keyOf(b)) },
		mine:  func() (int64, bool) { return c.revision, c.modLocked(keyOf(b)) == 0 },
	})
	return err
}

// LiftBars writes bars that a person ends.
func (s *Store) LiftBars(ctx context.Context, bars []coordinator.Bar, a *coordinator.Audit) error {
	_, err := s.write(ctx, OpLiftBars, transaction{audit: a, once: true, do: func(t *tx) {
		for _, b := range bars {
			t.put(b)
		}
	}})
	return err
}

// deleteBars deletes all bars of an app: they were about a former life of it.
func (t *tx) deleteBars(app string) {
	t.deleteAll(kindBar, func(r coordinator.Record) bool { return r.(coordinator.Bar).App == app })
}
