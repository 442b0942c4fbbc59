package store

import (
	"context"
	"fmt"

	"freshet/coordinator"
)

// Salvage saves a result that cannot be published (T3b(b)). Nothing fences it:
// whoever holds the only copy of a rotated credential may always save it.
func (s *Store) Salvage(ctx context.Context, v coordinator.Salvage) error {
	t := txn{doing: fmt.Sprintf("saving the result of %s/%s", v.App, v.Group)}
	if v.App == "" || v.Group == "" || v.Attempt == "" {
		return coordinator.Invalidf("%s: it needs an app, a group and an attempt", t.doing)
	}
	t.mod(s.keys.of(v), 0) // written once: what is there is the same attempt's
	t.write(s.codec, v)
	_, err := s.commit(ctx, t)
	return err
}

// DropSalvage deletes a salvaged result.
func (s *Store) DropSalvage(ctx context.Context, e coordinator.Epoch, v coordinator.Salvage) error {
	t, err := s.fenced(ctx, e, fmt.Sprintf("dropping salvage of %s/%s", v.App, v.Group))
	if err != nil {
		return err
	}
	t.delete(s.keys.of(v))
	return s.commitFenced(ctx, t)
}

// commitFenced commits a transaction that compares nothing but its epoch.
func (s *Store) commitFenced(ctx context.Context, t txn) error {
	a, err := s.commit(ctx, t)
	if err != nil {
		return err
	}
	if !a.committed {
		return s.refused(t, a)
	}
	return nil
}
