package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
)

// A node that is cut off cannot say of an app that it is as it was applied:
// somebody else may have changed it since.
func TestANodeThatHearsNothingSaysOfNoAppThatItIsUnchanged(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		m, other := c.nodes[0], c.nodes[1]
		c.apply(m, shop("plain"))
		c.value(m, accessToken, 0)
		m.store.Partition()
		changed := shop("plain")
		changed.Labels = map[string]string{"team": "retail"}
		c.apply(other, changed)

		time.Sleep(time.Minute)
		before := c.memory.Revision()
		says := map[string]func() error{
			"apply":   func() error { _, err := m.Apply(c.Context(), shop("plain"), coordinator.Applying{}); return err },
			"preview": func() error { _, err := m.Preview(changed, coordinator.Applying{}); return err },
			"lift":    func() error { _, err := m.LiftBars(c.Context(), "api:test", "shop", ""); return err },
			"resume":  func() error { return m.PauseApp(c.Context(), "api:test", "shop", false) },
		}
		for what, say := range says {
			began := time.Now()
			if err := say(); !errors.Is(err, coordinator.ErrStale) {
				c.Errorf("%s: got error %v, want %v", what, err, coordinator.ErrStale)
			}
			if took := time.Since(began); took > 0 {
				c.Errorf("%s was refused after %v", what, took)
			}
		}
		c.noWritesSince(before)

		m.store.Heal()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if done, err := m.Apply(c.Context(), shop("plain"), coordinator.Applying{}); err != nil || done.Change != coordinator.ChangeUpdated {
			c.Errorf("when it hears again: %s, error %v", done.Change, err)
		}
		if would, err := m.Preview(shop("plain"), coordinator.Applying{}); err != nil || would.Change != coordinator.ChangeUnchanged {
			c.Errorf("after that: %s, error %v", would.Change, err)
		}
		c.must(m.PauseApp(c.Context(), "api:test", "shop", false))
	})
}
