package store

import (
	"errors"
	"testing"

	"freshet/coordinator"
)

// A push whose answer was lost is recognised although it was published since:
// pushed again, it would come after what was pushed meanwhile.
func TestAPushIsRecognisedAfterItWasPublished(t *testing.T) {
	b := newBench(t)
	i, seen := b.input("p1"), b.look().States[0]
	b.faults.fail(lost, 1, nil)
	b.faults.meanwhile(func() {
		there := i
		there.Revision = at(t, b.raw, b.s.keys.of(i)).Kvs[0].ModRevision
		must(t, second(b.s.TakeInput(soon(t), intakeOf(seen, there, b.epoch))))
		must(t, second(b.s.TakeInput(soon(t), b.pushed("p2"))))
	})
	if err := b.s.PutInput(soon(t), i, seen); err != nil {
		t.Errorf("got error %v, want it recognised", err)
	}
	if got := b.look().Tokens[0].Value.Reveal(); got != "value of p2" {
		t.Errorf("%q is published last, want what was pushed last", got)
	}
}

// Where another push has taken the place of one whose answer was lost, nobody can
// tell whether that one came first: to push again would replace the later one.
func TestAPushInWhosePlaceAnotherCameIsNotRepeated(t *testing.T) {
	b := newBench(t)
	i, seen := b.input("p1"), b.look().States[0]
	b.faults.fail(lost, 1, nil)
	b.faults.meanwhile(func() {
		later := b.input("p2")
		later.Revision = at(t, b.raw, b.s.keys.of(i)).Kvs[0].ModRevision
		must(t, b.s.PutInput(soon(t), later, seen))
	})
	if err := b.s.PutInput(soon(t), i, seen); !errors.Is(err, coordinator.ErrAmbiguous) {
		t.Errorf("got error %v, want %v", err, coordinator.ErrAmbiguous)
	}
}

// The secret of a push that nobody publishes goes by itself.
func TestAnInputHasTheLeaseOfItsValue(t *testing.T) {
	b := newBench(t)
	i := b.input("p1")
	must(t, b.s.PutInput(soon(t), i, b.look().States[0]))
	if lease := at(t, b.raw, b.s.keys.of(i)).Kvs[0].Lease; lease == 0 {
		t.Error("it has no lease")
	}
}
