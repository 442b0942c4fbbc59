package store

import (
	"errors"
	"testing"

	"freshet/coordinator"
)

// Two humans give an app a grant at once: the apps they write are the same, the
// grants are not.
func TestALostAnswerDoesNotClaimAnothersGrant(t *testing.T) {
	b := newBench(t)
	change := func(value string) coordinator.AppChange {
		c := coordinator.AppChange{App: b.app(), Grant: &coordinator.Grant{
			App: "shop", Incarnation: 2, Generation: 1, Current: coordinator.NewSecret(value),
		}}
		c.App.Incarnation = 2
		return c
	}
	mine, other := change("mine"), change("other")
	mine.Seen, other.Seen = b.seen(), b.seen()
	must(t, b.s.PutApp(soon(t), other))
	for rotations, want := range []error{coordinator.ErrConflict, coordinator.ErrConflict, coordinator.ErrAmbiguous} {
		if rotations > 0 {
			b.rotate()
		}
		b.faults.fail(dropped, 1, nil)
		if err := b.s.PutApp(soon(t), mine); !errors.Is(err, want) {
			t.Errorf("after %d rotations of another's grant: got error %v, want %v", rotations, err, want)
		}
	}
}

func TestALostAnswerAboutAGrantIsSettledByItsRotation(t *testing.T) {
	b := newBench(t)
	c := coordinator.AppChange{App: b.app(), Seen: b.seen(), Grant: &coordinator.Grant{
		App: "shop", Incarnation: 1, Generation: 1, Current: coordinator.NewSecret("mine"),
	}}
	must(t, b.s.PutApp(soon(t), c))
	b.rotate()
	b.faults.fail(dropped, 1, nil) // which stands for one that was committed
	if err := b.s.PutApp(soon(t), c); err != nil {
		t.Errorf("got error %v, want none: what is there came of our own grant", err)
	}
}

// rotate opens and publishes an attempt that rotates the grant.
func (b *bench) rotate() {
	b.Helper()
	b.open()
	must(b.T, second(b.s.Publish(soon(b.T), rotation(b.look(), b.epoch))))
}
