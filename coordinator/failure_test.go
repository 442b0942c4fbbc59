package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

// The wait the platform asked for is kept, whatever force somebody asks with.
func TestForceDoesNotShortenTheWaitThePlatformNamed(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Errcode, Errcode: 89507}) // an hour
		c.apply(c.nodes[0], shop("plain"))
		synctest.Wait()
		for range 29 {
			_, _ = c.nodes[0].Refresh(c.Context(), accessToken, coordinator.RefreshCall{Force: true})
			time.Sleep(2 * time.Minute)
		}
		if got := c.calls(sandbox.KindToken); got != 1 {
			c.Errorf("%d calls within the hour", got)
		}
		time.Sleep(5 * time.Minute)
		c.value(c.nodes[0], accessToken, 0)
	})
}
