package coordinator_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store/memory"
)

// wallClock is one that somebody sets, beside a monotonic one that goes on.
type wallClock struct{ set atomic.Int64 }

func (w *wallClock) jump(by time.Duration) { w.set.Add(int64(by)) }

// now is an instant of a bubble with a reading of the monotonic clock, which
// time.Now does not give there, and of the wall clock as it was set.
func (w *wallClock) now() time.Time {
	now := time.Now().Round(0)
	wall := now.Add(time.Duration(w.set.Load()))
	layout := struct { // of time.Time with a reading of the monotonic clock
		wall uint64
		ext  int64
		loc  *time.Location
	}{
		wall: 1<<63 | uint64(wall.Unix()-time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix())<<30 | uint64(wall.Nanosecond()),
		ext:  now.UnixNano(), loc: time.UTC,
	}
	return *(*time.Time)(unsafe.Pointer(&layout))
}

// clocked runs a test of two nodes on one machine whose clock can be set.
func clocked(t *testing.T, test func(c *cluster, w *wallClock)) {
	t.Helper()
	w := &wallClock{}
	bubbleOf(t, 0, memory.Config{Now: w.now}, func(c *cluster) {
		c.logs = &bytes.Buffer{}
		for i := range 2 {
			c.join(fmt.Sprintf("n%d", i+1), func(config *coordinator.Config) { config.Now = w.now })
		}
		synctest.Wait()
		test(c, w)
	})
}

// served fails unless every node has a living value of each token.
func (c *cluster) served(names []coordinator.Name) {
	c.Helper()
	for _, m := range c.nodes {
		for _, name := range names {
			v, err := m.Read(c.Context(), name, coordinator.Want{})
			if err != nil || !c.sandbox.Alive(v.Token.Value.Reveal()) {
				c.Fatalf("%s on %s: %v", name, m.Name(), err)
			}
		}
	}
}

// A clock that is set forward makes many values due at once: the calls are
// spread, no reader misses a value, and the clock's owner is told.
func TestClockSetForwardMakesNoStorm(t *testing.T) {
	const apps = 60
	clocked(t, func(c *cluster, w *wallClock) {
		names := c.branches(apps)
		time.Sleep(20 * time.Minute)
		before := c.tokenCalls(apps)
		w.jump(90 * time.Minute) // ten minutes of life are left by it, a hundred in truth
		most, last := 0, before
		for range 31 { // until a heartbeat later than five minutes
			time.Sleep(10 * time.Second)
			synctest.Wait()
			most, last = max(most, c.tokenCalls(apps)-last), c.tokenCalls(apps)
			c.served(names)
		}
		c.between("calls in ten seconds", most, 1, 12)
		c.between("calls in five minutes", last-before, apps, apps)
		time.Sleep(30 * time.Minute)
		c.between("calls in the half hour after", c.tokenCalls(apps)-last, 0, 0)
	})
}

// A clock that is set forward ends the leadership of its node. Whoever leads next,
// by a clock that was set as well, makes no storm either.
func TestClockSetForwardMakesNoStormOfTheNextLeadership(t *testing.T) {
	const apps = 60
	clocked(t, func(c *cluster, w *wallClock) {
		names := c.branches(apps)
		time.Sleep(20 * time.Minute)
		before := c.tokenCalls(apps)
		leader, _ := c.refresher()
		w.jump(90 * time.Minute)
		leader.store.LoseSession(true)
		most, last := 0, before
		for range 31 {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			most, last = max(most, c.tokenCalls(apps)-last), c.tokenCalls(apps)
			c.served(names)
		}
		c.between("calls in ten seconds", most, 1, 12)
		c.between("calls in five minutes", last-before, apps, apps)
	})
}

// What has ended by the wall clock alone is not served, and is replaced first.
func TestClockSetForwardReplacesFirstWhatHasEnded(t *testing.T) {
	const apps = 40
	clocked(t, func(c *cluster, w *wallClock) {
		names := c.branches(apps / 2)
		time.Sleep(30 * time.Minute)
		names = append(names, c.branches(apps)[apps/2:]...)
		synctest.Wait()
		before := c.tokenCalls(apps)
		w.jump(100 * time.Minute) // the older half has ended, the newer half has twenty minutes
		if _, err := c.nodes[0].Read(c.Context(), names[0], coordinator.Want{}); err == nil {
			c.Error("a value that has ended by the wall clock is served")
		}
		time.Sleep(4 * time.Second) // a heartbeat and a moment
		synctest.Wait()
		c.served(names)
		c.between("calls at once", c.tokenCalls(apps)-before, apps/2, apps/2+6)
	})
}

// A clock that is set back makes values look longer-lived than they are: they
// are replaced when they were to be replaced, and versions go on.
func TestClockSetBackRefreshesInTime(t *testing.T) {
	for _, back := range []time.Duration{30 * time.Minute, 3 * time.Hour, 48 * time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			clocked(t, func(c *cluster, w *wallClock) {
				const apps, life = 5, 2 * time.Hour
				names := c.branches(apps)
				time.Sleep(10 * time.Minute)
				before := c.tokenCalls(apps)
				w.jump(-back)
				for range 12 * 12 {
					time.Sleep(5 * time.Minute)
					c.served(names)
				}
				c.between("calls in half a day", c.tokenCalls(apps)-before, apps*int(12*time.Hour/life), apps*int(12*time.Hour/life*2))
			})
		})
	}
}

// A value that has ended by the monotonic clock is not served again when the
// wall clock says that it lives, and neither when the store is listed again.
func TestClockSetBackServesNothingThatHasEnded(t *testing.T) {
	clocked(t, func(c *cluster, w *wallClock) {
		c.apply(c.nodes[0], shop("plain"))
		issued := c.value(c.nodes[1], accessToken, 0).Token.Issued
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Status})
		time.Sleep(time.Hour)
		w.jump(-3 * time.Hour)
		for range 60 {
			for _, m := range c.nodes {
				v, err := m.Read(c.Context(), accessToken, coordinator.Want{})
				age := time.Since(issued)
				if lives := age < 2*time.Hour-3*time.Second; lives != (err == nil) {
					c.Fatalf("%s after %v: %v", m.Name(), age, err)
				}
				if v, ok := m.View(accessToken); ok && err != nil && v.Status(w.now()) != coordinator.StatusExpired {
					c.Errorf("status %s of %v", v.Status(w.now()), v.Version())
				}
				_ = v
			}
			time.Sleep(2 * time.Minute)
		}
		for _, m := range c.nodes {
			m.store.Partition()
			m.store.Heal()
		}
		time.Sleep(time.Minute)
		if _, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{}); err == nil {
			c.Error("served again after the store was listed again")
		}
	})
}

// A clock that is set back while an upstream fails does not shorten the pauses,
// and one that is set to and fro makes no calls.
func TestClockThatJumpsWhileAnUpstreamFails(t *testing.T) {
	clocked(t, func(c *cluster, w *wallClock) {
		names := c.branches(1)
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Status})
		time.Sleep(90 * time.Minute)
		w.jump(-4 * time.Hour)
		before := c.tokenCalls(1)
		time.Sleep(10 * time.Minute)
		c.between("calls in ten minutes", c.tokenCalls(1)-before, 1, 10)
		c.sandbox.ClearFaults("")
		time.Sleep(6 * time.Minute)
		c.served(names)
		before = c.tokenCalls(1)
		for range 100 {
			w.jump(10 * time.Minute)
			time.Sleep(time.Second)
			w.jump(-10 * time.Minute)
			time.Sleep(time.Second)
		}
		c.between("calls while the clock went to and fro", c.tokenCalls(1)-before, 0, 0)
	})
}

// The deadline of an attempt has passed when the machine was suspended for so
// long, although its monotonic clock stood still: another may be calling.
func TestNoCallAfterASuspension(t *testing.T) {
	clocked(t, func(c *cluster, w *wallClock) {
		leader, _ := c.refresher()
		opened, voided := leader.store.HoldNext(memory.OpOpen), leader.store.HoldNext(memory.OpVoid)
		c.apply(c.nodes[0], shop("plain"))
		<-opened.Sent()
		w.jump(11 * time.Second)
		c.must(opened.Deliver())
		synctest.Wait()
		select {
		case <-voided.Sent():
		default:
			c.Fatal("the attempt was not given up")
		}
		if got := c.calls(sandbox.KindToken); got != 0 {
			c.Errorf("%d calls after the deadline by the wall clock", got)
		}
		c.must(voided.Deliver())
		c.value(c.nodes[1], accessToken, 0)
	})
}

// Jumps are told to whoever reads the log.
func TestClockJumpIsLogged(t *testing.T) {
	clocked(t, func(c *cluster, w *wallClock) {
		for _, jump := range []time.Duration{time.Second, time.Hour, -time.Hour} {
			before := c.logs.Len()
			w.jump(jump)
			time.Sleep(4 * time.Second)
			synctest.Wait()
			said := strings.Contains(c.logs.String()[before:], "jump="+jump.String())
			if said != (jump.Abs() > 2*time.Second) {
				c.Errorf("a jump of %v: told %t", jump, said)
			}
		}
	})
}
