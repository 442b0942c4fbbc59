package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"freshet/coordinator"
	"freshet/store/memory"
)

// Two humans give an app a grant at once: the apps they write are the same, the
// grants are not.
func TestLostAnswerIsNotMistakenForAnothersGrant(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		put := func(value string) error {
			return h.nodes[0].PutApp(t.Context(), coordinator.AppChange{
				App:   coordinator.App{Name: "shop", Incarnation: 1},
				Grant: &coordinator.Grant{App: "shop", Generation: 1, Current: coordinator.NewSecret(value)},
			})
		}
		if err := put("other"); err != nil {
			t.Fatal(err)
		}
		h.nodes[0].LoseAnswer(memory.OpPutApp, false)
		if err := put("mine"); !errors.Is(err, coordinator.ErrConflict) {
			t.Errorf("got error %v, want ErrConflict: the grant there is another's", err)
		}
	})
}

func TestLostAnswerAboutAGrantIsSettledByItsRotation(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		r := <-lead(t, h.nodes[1], false)
		h.nodes[0].LoseAnswer(memory.OpPutApp, true)
		h.nodes[0].Partition()
		answered := make(chan error, 1)
		given := coordinator.Grant{App: "shop", Generation: 1, Current: coordinator.NewSecret("given")}
		run(t, func(ctx context.Context) {
			answered <- h.nodes[0].PutApp(ctx, coordinator.AppChange{App: coordinator.App{Name: "shop", Incarnation: 1}, Grant: &given})
		})
		synctest.Wait()
		i, err := h.nodes[1].Open(t.Context(), coordinator.Opening{Epoch: r.Epoch, Intent: coordinator.Intent{App: "shop", Group: "g", Attempt: "a1"}})
		if err != nil {
			t.Fatal(err)
		}
		now, err := h.nodes[1].Read(t.Context(), coordinator.Query{App: "shop", Group: "g"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.nodes[1].Publish(t.Context(), coordinator.Publication{
			Epoch: r.Epoch, Intent: i, States: []coordinator.State{{Name: shopToken()}},
			Spent: now.Grant, Grant: &coordinator.Grant{App: "shop", Generation: 2, Previous: given.Current},
		})
		if err != nil {
			t.Fatal(err)
		}
		h.nodes[0].Heal()
		if err := <-answered; err != nil {
			t.Errorf("got error %v, want none: what is there came of the grant given", err)
		}
	})
}
