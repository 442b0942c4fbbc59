package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
)

// The state of a token is known before its value is shown. A ticket is not asked
// for in between, without the value that its call is made with.
func TestATicketWaitsUntilItsTokenIsShown(t *testing.T) {
	bubble(t, 0, func(c *cluster) {
		m := c.join("n1", func(config *coordinator.Config) {
			config.Render = func(v *coordinator.View) []byte {
				if v.Name == accessToken && v.Token != nil {
					time.Sleep(3 * time.Second) // longer than its refresher waits to see it
				}
				return nil
			}
		})
		synctest.Wait()
		c.apply(m, shop("plain", "jsapi_ticket"))
		if v := c.value(m, jsapiTicket, 0); v.State.Failures != 0 || len(v.State.Outcomes) != 1 {
			c.Errorf("the ticket has the outcomes %+v", v.State.Outcomes)
		}
	})
}
