package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/static"
	"freshet/store/memory"
)

// pushing is a test of a cluster of n nodes that keeps the app "shop", whose
// values are pushed.
func pushing(t *testing.T, n int, test func(c *cluster)) {
	t.Helper()
	bubbleWith(t, n, memory.Config{}, map[string]coordinator.Provider{"static": static.New()}, func(c *cluster) {
		c.apply(c.nodes[0], pushedShop())
		synctest.Wait()
		test(c)
	})
}

func pushedShop() coordinator.App {
	return coordinator.App{
		Name: "shop", Provider: "static", Owner: "api:test",
		Tokens: map[string]coordinator.TokenSettings{"access_token": {}, "ticket": {Window: coordinator.Window{Length: 10 * time.Minute}}},
	}
}

func value(text string, lives time.Duration) coordinator.Push {
	return coordinator.Push{Value: coordinator.NewSecret(text), Lifetime: lives, By: "orders"}
}

// push pushes a value that lives for two hours.
func (c *cluster) push(m *member, text string) coordinator.Pushed {
	c.Helper()
	pushed, err := m.Push(c.Context(), accessToken, value(text, 2*time.Hour))
	c.must(err)
	return pushed
}

// serves checks what every node serves.
func (c *cluster) serves(text string, version int64) {
	c.Helper()
	synctest.Wait() // a node that has not heard of a resume yet says at once that the app is paused
	for _, m := range c.nodes {
		v := c.value(m, accessToken, version-1)
		if v.Token.Value.Reveal() != text || v.Version() != version {
			c.Errorf("%s serves %q as version %d, want %q as %d", m.Name(), v.Token.Value.Reveal(), v.Version(), text, version)
		}
	}
	if left := records[coordinator.Input](c); len(left) != 0 {
		c.Errorf("%d inputs are left", len(left))
	}
}

func TestPushedValueIsServedByEveryNode(t *testing.T) {
	pushing(t, 3, func(c *cluster) {
		_, others := c.refresher()
		p := value("one", 2*time.Hour)
		p.Type, p.Scope, p.Extra = "Bearer", "a b", map[string]string{"instance_url": "https://x"}
		at := time.Now()
		pushed, err := others[0].Push(c.Context(), accessToken, p)
		c.must(err)
		if pushed.Version != 1 || !pushed.Expires.Equal(at.Add(2*time.Hour)) {
			c.Errorf("promised version %d until %v", pushed.Version, pushed.Expires)
		}
		c.serves("one", 1)
		v := c.value(others[1], accessToken, 0)
		token := v.Token
		if token.Type != "Bearer" || token.Scope != "a b" || token.Extra["instance_url"] != "https://x" || !token.Expires.Equal(at.Add(2*time.Hour)) {
			c.Errorf("served with %+v", token)
		}
		newest := v.State.NewestOutcome()
		if newest.Result != coordinator.ResultPublished || newest.Message != "pushed by orders" || !newest.Began.Equal(at) {
			c.Errorf("outcome %+v", newest)
		}
		if pushed := c.push(others[0], "two"); pushed.Version != 2 {
			c.Errorf("promised version %d after 1", pushed.Version)
		}
		c.serves("two", 2)
	})
}

// The refresher dies between a push and its publication: whoever leads next
// publishes it, and what the deposed one had on its way changes nothing.
func TestPushOutlivesTheRefresher(t *testing.T) {
	pushing(t, 3, func(c *cluster) {
		leader, others := c.refresher()
		held := leader.store.HoldNext(memory.OpTakeInput)
		pushed := c.push(others[0], "one")
		<-held.Sent()
		leader.store.Partition()
		if v := c.value(others[1], accessToken, pushed.Version-1); v.Token.Value.Reveal() != "one" {
			c.Errorf("%q is served", v.Token.Value.Reveal())
		}
		before := c.memory.Revision()
		if err := held.Deliver(); !errors.Is(err, coordinator.ErrFenced) && !errors.Is(err, coordinator.ErrConflict) {
			c.Errorf("what the deposed refresher had on its way: %v", err)
		}
		if c.memory.Revision() != before {
			c.Error("it changed something")
		}
		leader.store.Heal()
		time.Sleep(time.Minute)
		c.serves("one", 1)
	})
}

// A refresher that was deposed without a word sends its publication before anybody
// else leads: it is refused, and the push waits.
func TestDeposedRefresherPublishesNoPush(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		leader, _ := c.refresher()
		held := leader.store.HoldNext(memory.OpTakeInput)
		c.push(leader, "one")
		<-held.Sent()
		leader.store.LoseSession(false)
		if err := held.Deliver(); !errors.Is(err, coordinator.ErrFenced) {
			c.Errorf("got error %v, want %v", err, coordinator.ErrFenced)
		}
		c.serves("one", 1) // under its next leadership
	})
}

// Each transaction of a push loses its answer, having been committed or not.
func TestLostAnswersOfAPushAreSettled(t *testing.T) {
	for _, op := range []memory.Op{memory.OpPutInput, memory.OpTakeInput} {
		for _, persist := range []bool{false, true} {
			t.Run(string(op), func(t *testing.T) {
				pushing(t, 2, func(c *cluster) {
					leader, _ := c.refresher()
					leader.store.LoseAnswer(op, persist)
					c.push(leader, "one")
					c.serves("one", 1)
					time.Sleep(time.Minute)
					c.serves("one", 1)
				})
			})
		}
	}
}

// Two pushes in a row: the second takes the place of the first, whether or not the
// first was about to be published.
func TestTwoPushesPublishTheNewest(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		leader, others := c.refresher()
		held := leader.store.HoldNext(memory.OpTakeInput)
		c.push(others[0], "one")
		<-held.Sent()
		c.push(others[0], "two")
		if err := held.Deliver(); !errors.Is(err, coordinator.ErrConflict) {
			c.Errorf("publishing the first: %v", err)
		}
		c.serves("two", 1)
	})
}

// A push that is on its way for long must not replace what was pushed after it.
func TestLatePushLoses(t *testing.T) {
	pushing(t, 3, func(c *cluster) {
		_, others := c.refresher()
		held := others[0].store.HoldNext(memory.OpPutInput)
		failed := make(chan error, 1)
		go func() {
			_, err := others[0].Push(c.Context(), accessToken, value("old", time.Hour))
			failed <- err
		}()
		<-held.Sent()
		c.push(others[1], "new")
		c.serves("new", 1)
		if err := held.Deliver(); !errors.Is(err, coordinator.ErrConflict) {
			c.Errorf("got error %v, want %v", err, coordinator.ErrConflict)
		}
		if err := <-failed; !errors.Is(err, coordinator.ErrAmbiguous) {
			c.Errorf("who pushed it is told %v, want %v", err, coordinator.ErrAmbiguous)
		}
		time.Sleep(time.Minute)
		c.serves("new", 1)
	})
}

// The same holds where the later one still waits.
func TestLatePushDoesNotReplaceOneThatWaits(t *testing.T) {
	pushing(t, 3, func(c *cluster) {
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		_, others := c.refresher()
		held := others[0].store.HoldNext(memory.OpPutInput)
		go func() { _, _ = others[0].Push(c.Context(), accessToken, value("old", time.Hour)) }()
		<-held.Sent()
		c.push(others[1], "new")
		if err := held.Deliver(); !errors.Is(err, coordinator.ErrConflict) {
			c.Errorf("got error %v, want %v", err, coordinator.ErrConflict)
		}
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.serves("new", 1)
	})
}

// An app is deleted, and made again, while a push for it is on its way to the
// store or to its publication: the new app does not get the value.
func TestPushDoesNotOutliveItsApp(t *testing.T) {
	for _, op := range []memory.Op{memory.OpPutInput, memory.OpTakeInput} {
		t.Run(string(op), func(t *testing.T) {
			pushing(t, 2, func(c *cluster) {
				leader, _ := c.refresher()
				held := leader.store.HoldNext(op)
				go func() { _, _ = leader.Push(c.Context(), accessToken, value("old", time.Hour)) }()
				<-held.Sent()
				c.must(c.nodes[1].Remove(c.Context(), "api:test", "shop"))
				c.apply(c.nodes[1], pushedShop())
				if err := held.Deliver(); !errors.Is(err, coordinator.ErrConflict) {
					c.Errorf("got error %v, want %v", err, coordinator.ErrConflict)
				}
				time.Sleep(time.Minute)
				if v, _ := c.nodes[1].View(accessToken); v.Token != nil || v.Status(time.Now()) != coordinator.StatusPending {
					c.Errorf("status %s, version %d", v.Status(time.Now()), v.Version())
				}
				c.push(leader, "new")
				c.serves("new", 1)
			})
		})
	}
}

// A node of an older build, which knows of no inputs, leaves one behind when it
// deletes an app.
func TestInputOfAFormerLifeIsDropped(t *testing.T) {
	pushing(t, 1, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		v, _ := c.nodes[0].View(accessToken)
		c.must(c.nodes[0].store.PutInput(c.Context(), coordinator.Input{
			Name: accessToken, ID: "left", Incarnation: v.State.Incarnation - 1, Value: coordinator.NewSecret("left over"),
			Pushed: time.Now(), Expires: time.Now().Add(time.Hour), By: "orders",
		}, v.State))
		time.Sleep(time.Minute)
		c.serves("one", 1)
	})
}

func TestSameValuePushedAgainKeepsItsVersion(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		until := time.Now().Add(2 * time.Hour)
		if pushed := c.push(c.nodes[1], "one"); pushed.Version != 1 {
			c.Errorf("promised version %d, want the one that is held", pushed.Version)
		}
		time.Sleep(time.Second)
		c.serves("one", 1)
		v := c.value(c.nodes[0], accessToken, 0)
		if !v.Token.Expires.Equal(until) || v.State.NewestOutcome().Result != coordinator.ResultSame {
			c.Errorf("expires %v, want %v; %+v", v.Token.Expires, until, v.State.NewestOutcome())
		}
	})
}

// Readers take a version for all that comes with it.
func TestSameValuePushedWithSomethingElseIsANewVersion(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		version := int64(0)
		for _, change := range []func(p *coordinator.Push){
			func(*coordinator.Push) {},
			func(p *coordinator.Push) { p.Type = "Bearer" },
			func(p *coordinator.Push) { p.Scope = "a b" },
			func(p *coordinator.Push) { p.Extra = map[string]string{"instance_url": "https://eu1.example.com"} },
		} {
			p := value("one", time.Hour)
			change(&p)
			version++
			pushed, err := c.nodes[1].Push(c.Context(), accessToken, p)
			c.must(err)
			if pushed.Version != version {
				c.Errorf("promised version %d, want %d", pushed.Version, version)
			}
			c.serves("one", version)
			synctest.Wait()
		}
	})
}

// Whoever was promised a version gets one, although the value in whose place
// another came was never published, and that other one is held already.
func TestPromisedVersionComes(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		c.push(c.nodes[0], "one")
		c.serves("one", 1)
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", true))
		for _, text := range []string{"two", "one"} {
			if pushed := c.push(c.nodes[0], text); pushed.Version != 2 {
				c.Errorf("for %q version %d was promised", text, pushed.Version)
			}
			synctest.Wait()
		}
		c.must(c.nodes[0].PauseApp(c.Context(), "api:test", "shop", false))
		c.serves("one", 2)
	})
}

// The trace of a push goes on over its publication to every node.
func TestPushIsOneTrace(t *testing.T) {
	pushing(t, 2, func(c *cluster) {
		_, others := c.refresher()
		c.push(others[0], "one")
		c.serves("one", 1)
		synctest.Wait() // the publication is over a moment after its value is served
		var names []string
		traces := map[string]bool{}
		for _, span := range c.spans.Spans() {
			if span.Name == "push" || span.Name == "publish pushed value" || span.Name == "applied" {
				names = append(names, span.Name)
				traces[span.TraceID] = true
			}
		}
		if len(names) != 4 || len(traces) != 1 {
			c.Errorf("%d traces of %v, want one of a push, its publication and two nodes", len(traces), names)
		}
	})
}
