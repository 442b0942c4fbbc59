package memory

import (
	"context"
	"errors"
	"fmt"

	"freshet/coordinator"
)

// PutInput writes what was pushed.
func (s *Store) PutInput(ctx context.Context, i coordinator.Input, seen coordinator.State) error {
	c := s.cluster
	seen.Name = i.Name
	unsure := false
	_, err := s.write(ctx, OpPutInput, transaction{
		check: func() error {
			if err := c.unchangedLocked(seen, seen.Revision); err != nil {
				return err
			}
			return c.unchangedLocked(i, i.Revision)
		},
		do: func(t *tx) { t.put(i) },
		mine: func() (int64, bool) {
			unsure = true
			there, _ := recordAt[coordinator.Input](c, keyOf(i))
			state, _ := recordAt[coordinator.State](c, keyOf(seen))
			return max(there.Revision, state.Revision), there.ID == i.ID || state.Ended(i.ID)
		},
	})
	if unsure && errors.Is(err, coordinator.ErrConflict) {
		return fmt.Errorf("%w: something else was written since", coordinator.ErrAmbiguous)
	}
	return err
}

// TakeInput ends an input.
func (s *Store) TakeInput(ctx context.Context, in coordinator.Intake) (int64, error) {
	c := s.cluster
	return s.write(ctx, OpTakeInput, transaction{
		epoch: in.Epoch,
		fence: true,
		check: func() error {
			if err := c.existsLocked(in.Input, in.Input.Revision); err != nil {
				return err
			}
			return c.unchangedLocked(in.State, in.State.Revision)
		},
		do: func(t *tx) {
			t.put(in.State)
			if in.Token != nil {
				t.put(*in.Token)
			}
			t.delete(keyOf(in.Input))
		},
		mine: func() (int64, bool) {
			state, _ := recordAt[coordinator.State](c, keyOf(in.State))
			return state.Revision, state.Ended(in.Input.ID)
		},
	})
}
