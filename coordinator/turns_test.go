package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

// A group that is planned again while it waits for a worker has its turn once: it
// must not use up the turn of one that waits behind it.
func TestGroupPlannedAgainTakesNobodysTurn(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		node := c.join("n1", func(config *coordinator.Config) { config.Workers = 1 })
		synctest.Wait()
		c.must(c.sandbox.AddFault(sandbox.Fault{Kind: sandbox.KindStableToken, Do: sandbox.Delay, Delay: 5 * time.Second, Count: 1}))
		names := map[string]coordinator.Name{}
		begin := func(name, appid string) {
			app := shop("stable")
			app.Name, app.Credentials["appid"] = name, coordinator.NewSecret(appid)
			names[name] = coordinator.Name{App: name, Token: "access_token"}
			c.apply(node, app)
			synctest.Wait()
		}
		begin("slow", "wx0000000000000011")
		begin("asked", "wx0000000000000012")
		if _, err := node.Refresh(c.Context(), names["asked"], coordinator.RefreshCall{}); err != nil {
			c.Fatal(err)
		}
		synctest.Wait()
		begin("last", "wx0000000000000013")
		for _, name := range names {
			c.value(node, name, 0)
		}
	})
}
