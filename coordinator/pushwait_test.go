package coordinator_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
)

// Whoever makes an app on one node may push to it on another one at once.
func TestPushWaitsForItsAppToBeKnown(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		leader, others := c.refresher()
		others[0].store.Partition()
		late := pushedShop()
		late.Name = "late"
		c.apply(leader, late)
		time.AfterFunc(time.Second/2, others[0].store.Heal)
		_, err := others[0].Push(c.Context(), coordinator.Name{App: "late", Token: "ticket"}, value("one", time.Hour))
		c.must(err)
	})
}

// Other settings of an app that stays what it is do not take away what waits for it.
func TestPushOutlivesAChangeOfItsApp(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		paused := pushedShop()
		paused.Paused = true
		c.apply(c.nodes[0], paused)
		c.push(c.nodes[0], "one")
		changed := pushedShop()
		changed.Labels = map[string]string{"team": "retail"}
		c.apply(c.nodes[0], changed)
		synctest.Wait()
		c.serves("one", 1)
	})
}

func TestPushWaitsForThePauseToEnd(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.must(c.nodes[0].PauseCluster(c.Context(), "api:ann", true))
		c.push(c.nodes[0], "one")
		time.Sleep(time.Minute)
		if v, _ := c.nodes[1].View(accessToken); v.Version() != 0 {
			c.Errorf("version %d during the pause", v.Version())
		}
		c.told(c.nodes[1], coordinator.StatusPaused, "freshet resume", "a pushed value waits")
		c.must(c.nodes[0].PauseCluster(c.Context(), "api:ann", false))
		synctest.Wait() // until all nodes know
		c.serves("one", 1)
	})
}

func TestPushThatEndedMeanwhileIsDropped(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		c.push(c.nodes[0], "one")
		time.Sleep(2*time.Hour + time.Minute)
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		time.Sleep(time.Second)
		v, _ := c.nodes[0].View(accessToken)
		newest := v.State.NewestOutcome()
		if v.Version() != 0 || newest.Result != coordinator.ResultFailed || !strings.Contains(newest.Message, "ended before") {
			c.Errorf("version %d, %+v", v.Version(), newest)
		}
		if left := records[coordinator.Input](c); len(left) != 0 {
			c.Errorf("%d inputs are left", len(left))
		}
	})
}

// Without anybody who publishes it, what was pushed goes with its value.
func TestPushThatNobodyTakesGoesByItself(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		c.push(c.nodes[0], "one")
		time.Sleep(3 * time.Hour)
		if left := records[coordinator.Input](c); len(left) != 0 {
			c.Errorf("%d inputs are left", len(left))
		}
	})
}

// A value ends when it was to end, however far the clock of the node is ahead that took it.
func TestPushThroughAClockThatIsAhead(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		ahead := c.join("ahead", func(config *coordinator.Config) {
			config.Now = func() time.Time { return time.Now().Add(time.Hour) }
		})
		synctest.Wait()
		at := time.Now()
		c.push(ahead, "one")
		if ends := c.value(c.nodes[0], accessToken, 0).Token.Expires; ends.After(at.Add(2*time.Hour + time.Second)) {
			c.Errorf("it lives for %v, pushed with 2h", ends.Sub(at))
		}
	})
}
