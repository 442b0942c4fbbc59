package store

import (
	"context"
	"errors"
	"fmt"

	"freshet/coordinator"
)

// PutInput writes what was pushed. Its lease only removes what nobody publishes
// for as long as it lives.
func (s *Store) PutInput(ctx context.Context, i coordinator.Input, seen coordinator.State) error {
	t := txn{doing: fmt.Sprintf("pushing a value of %s", i.Name)}
	if err := checkInput(i); err != nil {
		return err
	}
	key, stateKey := s.keys.of(i), s.keys.state(i.Name)
	t.mod(stateKey, seen.Revision) // no later push was published, and the app is the same
	t.mod(key, i.Revision)         // nor does one wait that the caller has not seen
	t.writeLeased(s.codec, i, i.Expires)
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return err
	case a.committed:
		return nil
	case !a.unsure:
		return s.refused(t, a)
	}
	mine, err := s.pushed(i, a)
	switch {
	case err != nil:
		return err
	case mine:
		return nil
	}
	// It may have been committed, and another push have taken its place: to push
	// again could replace that one.
	return t.gaveUp(true, errors.New("something else was written since"))
}

// pushed reports, after an answer was lost, whether an input is there, or was and
// has been published.
func (s *Store) pushed(i coordinator.Input, a answer) (bool, error) {
	there, _, err := recordOf[coordinator.Input](s.codec, a.there[s.keys.of(i)])
	if err != nil {
		return false, err
	}
	state, _, err := recordOf[coordinator.State](s.codec, a.there[s.keys.state(i.Name)])
	return there.ID == i.ID || state.Ended(i.ID), err
}

// TakeInput ends an input: what it holds is published, or it is dropped.
func (s *Store) TakeInput(ctx context.Context, in coordinator.Intake) (int64, error) {
	doing := fmt.Sprintf("publishing what was pushed for %s", in.Input.Name)
	if err := checkInput(in.Input); err != nil {
		return 0, err
	}
	if in.Input.Revision <= 0 {
		return 0, fmt.Errorf("%s: it was never written: %w", doing, coordinator.ErrConflict)
	}
	t, err := s.fenced(ctx, in.Epoch, doing)
	if err != nil {
		return 0, err
	}
	t.mod(s.keys.of(in.Input), in.Input.Revision) // it is published once, and only where no later one has come
	s.compareStates(&t, []coordinator.State{in.State})
	t.put(s.keys.of(in.State), s.codec.plain(in.State))
	if in.Token != nil {
		t.writeLeased(s.codec, *in.Token, in.Token.Expires)
	}
	t.delete(s.keys.of(in.Input))
	a, err := s.commit(ctx, t)
	switch {
	case err != nil:
		return 0, err
	case a.committed:
		return a.revision, nil
	}
	state, found, err := recordOf[coordinator.State](s.codec, a.there[s.keys.of(in.State)])
	switch {
	case err != nil:
		return 0, err
	case found && state.Ended(in.Input.ID):
		return state.Revision, nil
	}
	return 0, s.refused(t, a)
}

func checkInput(i coordinator.Input) error {
	if err := i.Name.Check(); err != nil {
		return coordinator.Invalidf("pushing a value: %v", err)
	}
	if i.ID == "" {
		return coordinator.Invalidf("pushing a value of %s: it needs an id", i.Name)
	}
	return nil
}
