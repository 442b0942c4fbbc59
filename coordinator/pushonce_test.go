package coordinator_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/static"
	"freshet/store/memory"
)

// pushNamed pushes a value under an idempotency key.
func (c *cluster) pushNamed(m *member, text, named string) (coordinator.Pushed, error) {
	c.Helper()
	p := value(text, 2*time.Hour)
	p.IdempotencyKey = named
	return m.Push(c.Context(), accessToken, p)
}

// Somebody whose answer was lost pushes again, at another node, after somebody
// else's push was served: the older value must not come back.
func TestAPushSentAgainReplacesNoLaterOne(t *testing.T) {
	pushing(t, 3, func(c *cluster) {
		first, err := c.pushNamed(c.nodes[0], "one", "a")
		c.must(err)
		c.serves("one", 1)
		synctest.Wait()
		c.push(c.nodes[1], "two")
		c.serves("two", 2)
		synctest.Wait()
		before := c.memory.Revision()
		again, err := c.pushNamed(c.nodes[2], "one", "a")
		c.must(err)
		if again.Version != first.Version {
			c.Errorf("promised version %d, and %d the first time", again.Version, first.Version)
		}
		c.noWritesSince(before)
		c.serves("two", 2)

		// Another one of the same value is another push, and so is the same name of somebody else.
		if other, err := c.pushNamed(c.nodes[2], "one", "b"); err != nil || other.Version != 3 {
			c.Errorf("promised version %d, error %v", other.Version, err)
		}
		c.serves("one", 3)
		synctest.Wait()
		p := value("three", time.Hour)
		p.IdempotencyKey, p.By = "a", "billing"
		if other, err := c.nodes[0].Push(c.Context(), accessToken, p); err != nil || other.Version != 4 {
			c.Errorf("promised version %d, error %v", other.Version, err)
		}
		c.serves("three", 4)
	})
}

// While it waits to be published it is known as well, with the end it was given.
func TestAPushSentAgainWhileItWaitsChangesNothing(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		first, err := c.pushNamed(c.nodes[0], "one", "a")
		c.must(err)
		time.Sleep(time.Minute)
		again, err := c.pushNamed(c.nodes[1], "one", "a")
		c.must(err)
		if again.Version != 1 || !again.Expires.Equal(first.Expires) {
			c.Errorf("promised %+v, and %+v the first time", again, first)
		}
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.serves("one", 1)
	})
}

func TestAnIdempotencyKeyIsForOneValue(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		refused := func() {
			c.Helper()
			_, err := c.pushNamed(c.nodes[0], "canary", "a")
			if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), "another value") || strings.Contains(err.Error(), "canary") {
				c.Errorf("error %v", err)
			}
		}
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		_, err := c.pushNamed(c.nodes[0], "one", "a")
		c.must(err)
		synctest.Wait()
		refused()
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.serves("one", 1)
		synctest.Wait()
		refused()
		_, err = c.pushNamed(c.nodes[0], "one", strings.Repeat("a", 65))
		if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), "idempotency key") {
			c.Errorf("a long one: %v", err)
		}
	})
}

// A push that was dropped is no push: the same again is taken.
func TestAPushThatWasDroppedIsTakenWhenItIsSentAgain(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		_, err := c.pushNamed(c.nodes[0], "one", "a")
		c.must(err)
		time.Sleep(2*time.Hour + time.Second)
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		time.Sleep(time.Second)
		if v, _ := c.nodes[0].View(accessToken); v.State.NewestOutcome().Result != coordinator.ResultFailed {
			c.Fatalf("it was not dropped: %+v", v.State.NewestOutcome())
		}
		_, err = c.pushNamed(c.nodes[0], "one", "a")
		c.must(err)
		c.serves("one", 1)
	})
}

// A node that has taken in the state of a publication, and not yet its value, is
// asked for the same again: it keeps its version all the same.
func TestTheSameValueKeepsItsVersionWhileItArrives(t *testing.T) {
	slow := make(chan struct{}, 1)
	arrives := func(config *coordinator.Config) {
		config.Render = func(v *coordinator.View) []byte {
			if v.Version() == 1 {
				select {
				case slow <- struct{}{}:
					time.Sleep(time.Second)
				default:
				}
			}
			return nil
		}
	}
	bubbleWith(t, 1, memory.Config{}, map[string]coordinator.Provider{"static": static.New()}, func(c *cluster) {
		c.apply(c.nodes[0], pushedShop())
		late := c.join("late", arrives)
		synctest.Wait()
		c.push(c.nodes[0], "one")
		synctest.Wait() // the late one is in the midst of it
		if v, _ := late.View(accessToken); v.Version() != 0 || len(slow) != 1 {
			c.Fatalf("it shows version %d: this test shows nothing", v.Version())
		}
		if pushed := c.push(late, "one"); pushed.Version != 1 {
			c.Errorf("promised version %d", pushed.Version)
		}
		time.Sleep(time.Second)
		c.serves("one", 1)
	})
}

// Nor does it come back where the later one took its place while both waited, before
// and after that one is published, nor while a third one waits.
func TestAPushSentAgainReplacesNoLaterOneThatWaits(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		pause := func(paused bool) {
			c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", paused))
			synctest.Wait()
		}
		again := func() {
			c.Helper()
			if pushed, err := c.pushNamed(c.nodes[0], "one", "a"); err != nil || pushed.Version != 1 {
				c.Errorf("promised version %d, error %v; want that in whose place the later one comes", pushed.Version, err)
			}
			synctest.Wait()
		}
		pause(true)
		again()
		for _, text := range []string{"two", "three"} {
			c.push(c.nodes[1], text)
			synctest.Wait()
			again()
		}
		pause(false)
		c.serves("three", 1)
		again()
		c.serves("three", 1)
		pause(true)
		c.push(c.nodes[1], "four")
		synctest.Wait()
		again()
		pause(false)
		c.serves("four", 2)
	})
}
