package coordinator_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/static"
	"freshet/store/memory"
)

// What was pushed after the backup was taken is remembered by the nodes that
// live, and told to those that come.
func TestAPushedValueSurvivesARestore(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		restore := c.memory.Backup()
		c.push(c.nodes[0], "two")
		synctest.Wait()
		c.push(c.nodes[0], "three")
		until := c.value(c.nodes[1], accessToken, 1).Token.Expires
		c.serves("three", 3)
		time.Sleep(time.Minute)
		restore()
		time.Sleep(time.Minute)
		c.join("n3")
		c.serves("three", 4)
		if v := c.value(c.nodes[2], accessToken, 0); !v.Token.Expires.Equal(until) {
			c.Errorf("it ends at %v, want %v", v.Token.Expires, until)
		}
		if pushed := c.push(c.nodes[2], "four"); pushed.Version != 5 {
			c.Errorf("promised version %d", pushed.Version)
		}
		c.serves("four", 5)
	})
}

// A push that comes right after the restore is the newest, whatever version it
// was published as.
func TestAPushRightAfterARestoreIsServedByAll(t *testing.T) {
	for _, forgotten := range []int64{1, 2, 3} {
		pushing(t, 2, func(c *cluster) {
			c.push(c.nodes[0], "one")
			c.serves("one", 1)
			restore := c.memory.Backup()
			for i := range forgotten {
				c.push(c.nodes[0], fmt.Sprintf("lost %d", i))
				synctest.Wait()
			}
			time.Sleep(time.Minute)
			restore()
			synctest.Wait()
			c.push(c.nodes[1], "new")
			time.Sleep(time.Minute)
			c.join("n3")
			last := c.value(c.nodes[0], accessToken, 0).Version()
			c.serves("new", last)
			if last <= 1+forgotten {
				c.Errorf("it is version %d, under which another value was shown", last)
			}
		})
	}
}

// What waited to be published when the backup was taken was published since, and
// replaced: it must not come back above what was pushed after it.
func TestAPushThatWaitsInABackupReplacesNoLaterOne(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		c.push(c.nodes[0], "one")
		synctest.Wait()
		restore := c.memory.Backup()
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.serves("one", 1)
		time.Sleep(time.Minute)
		c.push(c.nodes[0], "two")
		c.serves("two", 2)
		time.Sleep(time.Minute)
		restore()
		time.Sleep(time.Minute)
		if waiting := records[coordinator.Input](c); len(waiting) != 1 {
			c.Fatalf("%d inputs wait: this test shows nothing", len(waiting))
		}
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.serves("two", 3)
	})
}

// What is pushed after the restore, and waits, is newer than all that was shown.
func TestAPushThatWaitsAfterARestoreStays(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		synctest.Wait()
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		restore := c.memory.Backup()
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		synctest.Wait()
		c.push(c.nodes[0], "two")
		c.serves("two", 2)
		time.Sleep(time.Minute)
		restore()
		synctest.Wait()
		c.push(c.nodes[1], "new")
		time.Sleep(time.Minute)
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.serves("new", 3)
	})
}

// A value that has ended is not brought back, and neither is one of an app that
// the backup does not know.
func TestWhatCannotBePushedAgainStaysForgotten(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		restoreEmpty := c.memory.Backup()
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		time.Sleep(2 * time.Hour)
		restoreEmpty()
		time.Sleep(time.Minute)
		if left := records[coordinator.Input](c); len(left) != 0 {
			c.Errorf("%d inputs are left", len(left))
		}
		if v, _ := c.nodes[0].View(accessToken); v.Status(time.Now()) == coordinator.StatusFresh {
			c.Errorf("version %d is %s", v.Version(), v.Status(time.Now()))
		}
		c.push(c.nodes[0], "two")
		c.serves("two", 2)
	})
}

// Refresh tokens rest for a while only: whatever else is to be brought back, and
// however long that takes, comes after them.
func TestRefreshTokensAreBroughtBackBeforePushedValues(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	bubbleWith(t, 2, memory.Config{}, map[string]coordinator.Provider{"family": f, "static": static.New()}, func(c *cluster) {
		c.apply(c.nodes[0], crm("r1"))
		c.apply(c.nodes[0], pushedShop())
		c.value(c.nodes[0], crmToken, 0)
		synctest.Wait()
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		restore := c.memory.Backup()
		c.refreshed(c.nodes[0], crmToken)
		c.push(c.nodes[0], "two")
		c.serves("two", 2)
		time.Sleep(time.Minute)
		for _, m := range c.nodes {
			m.store.HoldNext(memory.OpPutInput)
		}
		restore()
		time.Sleep(20 * time.Second) // less than they rest
		if saved := records[coordinator.Salvage](c); len(saved) == 0 {
			c.Error("the refresh token is not brought back")
		}
	})
}
