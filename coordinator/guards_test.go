package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store/memory"
)

// A leadership is not left, and no other one sought, before the calls that were
// begun under it are answered.
func TestLeadershipIsNotLeftBeforeItsWorkersEnd(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Count: 1, Do: sandbox.Delay, Delay: 8 * time.Second})
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		first := c.epoch()
		c.nodes[0].store.LoseSession(true)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := c.epoch(); got != first {
			c.Errorf("epoch %d began while a call of %d was under way", got, first)
		}
		time.Sleep(5 * time.Second)
		if got := c.epoch(); got == first {
			c.Error("the node does not lead again")
		}
		if v := c.value(c.nodes[0], accessToken, 0); v.Version() != 1 || c.calls(sandbox.KindToken) != 1 {
			c.Errorf("version %d after %d calls", v.Version(), c.calls(sandbox.KindToken))
		}
	})
}

// epoch is the newest leadership.
func (c *cluster) epoch() coordinator.Epoch {
	c.Helper()
	elected := records[coordinator.Elected](c)
	if len(elected) != 1 {
		c.Fatalf("%d records of who was elected", len(elected))
	}
	return elected[0].Epoch
}

// An attempt that took over another and then makes no call leaves the intent: it
// is all that is known of the call before it.
func TestTakeoverThatMakesNoCallIsNotVoided(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, others := c.refresher()
		held := leader.store.HoldNext(memory.OpPublish)
		c.apply(c.nodes[0], crm("r1"))
		<-held.Sent()
		leader.store.Partition()
		others[0].store.FailNext(memory.OpRead, 1, false, errors.New("the store has a bad moment"))
		time.Sleep(time.Hour)
		v, _ := others[0].View(crmToken)
		if got := f.presented(); !slices.Equal(got, []int{1}) || v.State.Status != coordinator.StatusUncertain {
			c.Errorf("presented %v, status %s", got, v.State.Status)
		}
	})
}

// An intent of the refresher's own epoch is as foreign as any other, once nobody
// in this process works under it.
func TestOwnIntentWithoutAWorkerIsTakenOver(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		c.nodes[0].store.FailNext(memory.OpPublish, 1, false, errors.New("the store has a bad moment"))
		c.apply(c.nodes[0], shop("plain"))
		v := c.value(c.nodes[0], accessToken, 0)
		if v.Version() != 1 || c.calls(sandbox.KindToken) != 2 || len(records[coordinator.Intent](c)) != 0 {
			c.Errorf("version %d after %d calls, %d intents are left", v.Version(), c.calls(sandbox.KindToken), len(records[coordinator.Intent](c)))
		}
	})
}

// A process dies between its intent and its call. On its disk it finds that it
// made none, and says so before anybody has to fear otherwise.
func TestProcessThatComesBackVoidsWhatItNeverCalled(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, others := c.refresher()
		held := leader.store.HoldNext(memory.OpOpen)
		c.apply(c.nodes[0], crm("r1"))
		<-held.Sent()
		leader.store.Partition() // for ever: it is dead
		c.must(held.Deliver())
		back := c.joinWith(leader.Name()+"b", leader.spool.Restart())
		v := c.value(others[0], crmToken, 0)
		if got := f.presented(); !slices.Equal(got, []int{1}) || v.State.Status != coordinator.StatusFresh {
			c.Errorf("presented %v, status %s", got, v.State.Status)
		}
		if used := back.spool.InUse(); len(used) != 0 {
			c.Errorf("the spool holds %v", used)
		}
		c.settled(f)
	})
}

// A call that was noted is feared, whether or not it was made.
func TestProcessThatComesBackVoidsNoCall(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, others := c.refresher()
		f.next(func(context.Context) error {
			leader.store.Partition() // for ever: it is dead before it has the answer
			leader.spool = leader.spool.Restart()
			return nil
		})
		c.apply(c.nodes[0], crm("r1"))
		synctest.Wait()
		c.joinWith(leader.Name()+"b", leader.spool)
		time.Sleep(time.Hour)
		v, _ := others[0].View(crmToken)
		if got := f.presented(); !slices.Equal(got, []int{1}) || v.State.Status != coordinator.StatusUncertain {
			c.Errorf("presented %v, status %s", got, v.State.Status)
		}
	})
}
