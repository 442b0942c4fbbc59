package coordinator_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/static"
	"freshet/store/memory"
)

// counted is a provider that counts how often it is asked who an app is.
type counted struct {
	static.Provider

	asked atomic.Int64
}

func (p *counted) Identity(app coordinator.App) string {
	p.asked.Add(1)
	return p.Provider.Identity(app)
}

// What it costs to apply an app does not depend on how many others there are.
func TestAnAppIsAppliedWithoutALookAtAllOthers(t *testing.T) {
	p := &counted{}
	bubbleWith(t, 1, memory.Config{}, map[string]coordinator.Provider{"counted": p}, func(c *cluster) {
		n := c.nodes[0]
		const many = 300
		for i := range many {
			c.apply(n, coordinator.App{Name: fmt.Sprintf("app-%d", i), Provider: "counted"})
		}
		before := p.asked.Load()
		c.apply(n, coordinator.App{Name: "one-more", Parent: "app-7"})
		c.apply(n, coordinator.App{Name: "app-9", Parent: "app-8"})
		if asked := p.asked.Load() - before; asked > 20 {
			t.Errorf("among %d apps the provider was asked %d times who an app is", many, asked)
		}
	})
}
