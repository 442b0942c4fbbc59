package store

import (
	"context"
	"fmt"

	"freshet/coordinator"
)

// Publish ends an attempt: T2 and T3 while its leadership lasts, T3b(a) after it
// was lost.
func (s *Store) Publish(ctx context.Context, p coordinator.Publication) (int64, error) {
	doing := fmt.Sprintf("publishing %s/%s", p.Intent.App, p.Intent.Group)
	if err := checkIntent(p.Intent); err != nil {
		return 0, err
	}
	if err := checkRotation(p); err != nil {
		return 0, err
	}
	if p.Intent.Revision <= 0 {
		return 0, fmt.Errorf("%s: the intent was never written: %w", doing, coordinator.ErrConflict)
	}
	t, err := s.publication(ctx, p, doing)
	if err != nil {
		return 0, err
	}
	a, err := s.commit(ctx, t)
	if err != nil {
		return 0, err
	}
	if a.committed {
		return a.revision, nil
	}
	if revision, mine, err := s.published(p, a); mine || err != nil {
		return revision, err
	}
	return 0, s.refused(t, a)
}

func (s *Store) publication(ctx context.Context, p coordinator.Publication, doing string) (txn, error) {
	t := txn{doing: doing}
	if p.Epoch != 0 {
		var err error
		if t, err = s.fenced(ctx, p.Epoch, doing); err != nil {
			return t, err
		}
	}
	// The intent is the fence of T3b(a): every takeover changes its revision (R4).
	t.mod(s.keys.of(p.Intent), p.Intent.Revision)
	s.compareStates(&t, p.States)
	s.compareGrant(&t, p.Intent.App, p.Spent)
	s.compareLineage(&t, p.Lineage)
	s.writePublication(&t, p)
	return t, nil
}

func (s *Store) writePublication(t *txn, p coordinator.Publication) {
	for _, state := range p.States {
		t.put(s.keys.of(state), s.codec.plain(state))
	}
	for _, token := range p.Tokens {
		t.writeLeased(s.codec, token, token.Expires)
	}
	if p.Grant != nil { // with the tokens it came with, or not at all
		t.write(s.codec, *p.Grant)
	}
	t.delete(s.keys.of(p.Intent))
	for _, salvage := range p.Salvage {
		t.delete(s.keys.of(salvage))
	}
	for _, name := range p.Answered {
		t.delete(s.keys.request(name))
	}
}

// checkRotation makes sure that a new grant replaces one that is compared, and
// that a lost answer about it can be settled by the states.
func checkRotation(p coordinator.Publication) error {
	if p.Grant == nil {
		return nil
	}
	if p.Spent == nil || len(p.States) == 0 || p.Grant.App != p.Intent.App {
		return coordinator.Invalidf("publishing a grant of %q for %q: it needs the app of the intent, the grant it replaces and states", p.Grant.App, p.Intent.App)
	}
	return nil
}

// published reports whether a refused publication was committed by an earlier
// sending: its attempt is among the outcomes of every state it wrote. Without
// states only the absence of the intent can tell, and only after a sending
// whose answer was lost.
func (s *Store) published(p coordinator.Publication, a answer) (revision int64, mine bool, err error) {
	for _, state := range p.States {
		there, found, err := recordOf[coordinator.State](s.codec, a.there[s.keys.of(state)])
		if err != nil {
			return 0, false, err
		}
		if !found || !there.Ended(p.Intent.Attempt) {
			return 0, false, nil
		}
		revision = max(revision, there.Revision)
	}
	if len(p.States) > 0 {
		return revision, true, nil
	}
	return a.revision, a.unsure && a.there[s.keys.of(p.Intent)] == nil, nil
}

// Void deletes an intent whose attempt tells nothing that must be remembered: a
// first attempt that made no call, or one of a former incarnation (R10, R3).
// Only the intent's revision is compared, so that it works without leadership.
func (s *Store) Void(ctx context.Context, i coordinator.Intent) error {
	t := txn{doing: fmt.Sprintf("voiding the intent of %s/%s", i.App, i.Group)}
	if i.Revision <= 0 {
		return fmt.Errorf("%s: it was never written: %w", t.doing, coordinator.ErrConflict)
	}
	key := s.keys.of(i)
	t.mod(key, i.Revision)
	t.delete(key)
	a, err := s.commit(ctx, t)
	if err != nil {
		return err
	}
	if a.committed || (a.unsure && a.there[key] == nil) {
		return nil
	}
	return s.refused(t, a)
}
