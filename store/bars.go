package store

import (
	"context"
	"fmt"

	"freshet/coordinator"
)

func barFields(w *wire, b *coordinator.Bar) {
	text(w, 1, &b.Node)
	text(w, 2, &b.Reason)
	w.instant(3, &b.At)
	w.instant(4, &b.Until)
}

func (k keys) bar(app, egress string) string { return k.barsOf(app) + egress }
func (k keys) barsOf(app string) string      { return k.root + "bars/" + segment(app) + "/" }

// PutBar writes a bar, whatever stood there.
func (s *Store) PutBar(ctx context.Context, b coordinator.Bar) error {
	if b.App == "" || b.Egress == "" {
		return coordinator.Invalidf("writing a bar: it needs an app and an egress address")
	}
	t := txn{doing: fmt.Sprintf("writing the bar of app %q from %q", b.App, b.Egress)}
	t.put(s.keys.of(b), s.codec.plain(b))
	_, err := s.commit(ctx, t)
	return err
}

// LiftBars writes bars that a person ends, all or none.
func (s *Store) LiftBars(ctx context.Context, bars []coordinator.Bar, by *coordinator.Audit) error {
	t := txn{doing: "lifting bars"}
	for _, b := range bars {
		t.put(s.keys.of(b), s.codec.plain(b))
	}
	t.record(s.codec, by)
	t.once()
	a, err := s.commit(ctx, t)
	if err != nil || a.committed {
		return err
	}
	return s.refused(t, a)
}

// DeleteBar deletes a bar of that revision.
func (s *Store) DeleteBar(ctx context.Context, b coordinator.Bar) error {
	t := txn{doing: fmt.Sprintf("lifting the bar of app %q from %q", b.App, b.Egress)}
	if b.App == "" || b.Egress == "" || b.Revision <= 0 {
		return fmt.Errorf("%s: it was never read: %w", t.doing, coordinator.ErrConflict)
	}
	key := s.keys.of(b)
	t.mod(key, b.Revision)
	t.delete(key)
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return err
	case a.committed, a.unsure && a.there[key] == nil:
		return nil
	}
	return s.refused(t, a)
}
