package store

import (
	"context"
	"fmt"

	"freshet/coordinator"
)

// Open writes an intent (T1) or takes one over (T6).
func (s *Store) Open(ctx context.Context, o coordinator.Opening) (coordinator.Intent, error) {
	var none coordinator.Intent
	if err := checkIntent(o.Intent); err != nil {
		return none, err
	}
	t, err := s.fenced(ctx, o.Epoch, fmt.Sprintf("opening an intent for %s/%s", o.Intent.App, o.Intent.Group))
	if err != nil {
		return none, err
	}
	key := s.keys.of(o.Intent)
	s.compareOpening(&t, key, o)
	t.put(key, s.codec.plain(o.Intent))
	for _, b := range o.Budgets {
		t.leased = append(t.leased, s.leasedBudget(b))
	}
	a, err := s.commit(ctx, t)
	if err != nil {
		return none, err
	}
	opened := o.Intent
	opened.Revision = a.revision
	if a.committed {
		return opened, nil
	}
	// A refusal after our own commit: the intent there is this very attempt's.
	there, found, err := recordOf[coordinator.Intent](s.codec, a.there[key])
	if err != nil {
		return none, err
	}
	if found && there.Attempt == o.Intent.Attempt {
		return there, nil
	}
	return none, s.refused(t, a)
}

func (s *Store) compareOpening(t *txn, key string, o coordinator.Opening) {
	if o.Foreign == nil {
		t.mod(key, 0) // T1: at most one intent is open for a group
	} else {
		t.mod(key, o.Foreign.Revision) // T6: exactly the intent that was waited for
	}
	s.compareStates(t, o.States)
	s.compareGrant(t, o.Intent.App, o.Grant)
	s.compareLineage(t, o.Lineage)
	for _, b := range o.Budgets {
		t.mod(s.keys.of(b), b.Revision) // no call is counted twice or not at all
	}
}

// compareStates makes sure that no version was published, and no token deleted,
// since the states were read.
func (s *Store) compareStates(t *txn, states []coordinator.State) {
	for _, state := range states {
		t.mod(s.keys.of(state), state.Revision)
	}
}

// compareGrant makes sure that the refresh token a call presents, or presented,
// is still the newest. A nil one is not compared.
func (s *Store) compareGrant(t *txn, app string, asRead *coordinator.Grant) {
	if asRead != nil {
		t.mod(s.keys.grant(app), asRead.Revision)
	}
}

// compareLineage makes sure that the credentials a call is made with are still
// those of these incarnations (R11).
func (s *Store) compareLineage(t *txn, lineage []coordinator.Ancestor) {
	for _, a := range lineage {
		t.mod(s.keys.credentials(a.App), a.Revision)
	}
}

// leasedBudget keeps a budget for one more window after its own.
func (s *Store) leasedBudget(b coordinator.Budget) leased {
	return leased{key: s.keys.of(b), value: s.codec.plain(b), expires: b.Ends.Add(budgetWindow)}
}

func checkIntent(i coordinator.Intent) error {
	if i.App == "" || i.Group == "" || i.Attempt == "" {
		return coordinator.Invalidf("an intent needs an app, a group and an attempt; got %q, %q, %q", i.App, i.Group, i.Attempt)
	}
	return nil
}
