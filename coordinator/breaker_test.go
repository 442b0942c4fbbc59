package coordinator_test

import (
	"fmt"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

// branches applies n apps of one upstream and waits for their first values.
func (c *cluster) branches(n int) []coordinator.Name {
	c.Helper()
	var names []coordinator.Name
	for i := range n {
		app := shop("plain")
		app.Name = fmt.Sprintf("branch-%02d", i)
		app.Credentials["appid"] = coordinator.NewSecret(branchID(i))
		c.apply(c.nodes[0], app)
		names = append(names, coordinator.Name{App: app.Name, Token: "access_token"})
	}
	for _, name := range names {
		c.value(c.nodes[0], name, 0)
	}
	return names
}

func branchID(i int) string { return fmt.Sprintf("wx00000000000001%02d", i) }

// tokenCalls are the plain calls of all branches.
func (c *cluster) tokenCalls(n int) (calls int) {
	apps := c.sandbox.Oracle().Apps
	for i := range n {
		calls += apps[branchID(i)].Calls[sandbox.KindToken].Calls
	}
	return calls
}

// Fifty apps of an upstream that is down make few calls between them, whoever
// asks for force; when it is back all have new values soon, the most urgent first.
func TestUpstreamThatIsDownIsLeftAlone(t *testing.T) {
	const apps = 50
	bubble(t, 2, func(c *cluster) {
		names := c.branches(apps)
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Status})
		time.Sleep(90 * time.Minute) // all are due, and turned away
		before := c.tokenCalls(apps)
		for range 10 {
			for _, name := range names {
				_, _ = c.nodes[1].Refresh(c.Context(), name, coordinator.RefreshCall{Force: true})
			}
			time.Sleep(time.Minute)
		}
		// Ten minutes of one call each half minute; the jitter adds to the pause.
		c.between("calls in ten minutes", c.tokenCalls(apps)-before, 10, 20)
		c.showsUpstreamDown(names)

		c.sandbox.ClearFaults("")
		time.Sleep(45 * time.Second)
		for _, name := range names {
			v, err := c.nodes[1].Read(c.Context(), name, coordinator.Want{Above: 1})
			if err != nil {
				c.Errorf("45 s after the upstream is back: %v", err)
			} else if v.State.Failures > 0 {
				c.Errorf("%s failed %d times", name, v.State.Failures)
			}
		}
		if down := c.nodes[1].Upstreams(); len(down) > 0 {
			c.Errorf("still shown as down: %+v", down)
		}
	})
}

// showsUpstreamDown checks what every node tells of the upstream.
func (c *cluster) showsUpstreamDown(names []coordinator.Name) {
	c.Helper()
	for _, m := range c.nodes {
		down := m.Upstreams()
		if len(down) != 1 || down[0].Name == "" || time.Since(down[0].Since) < 20*time.Minute || down[0].Waiting < len(names)/2 {
			c.Errorf("%s tells of upstreams %+v", m.Name(), down)
		}
		if _, ok := m.WaitsFor(names[0].App); !ok {
			c.Errorf("%s does not tell what %s waits for", m.Name(), names[0])
		}
	}
}

// When the upstream is back, the values that end soonest are replaced first.
func TestMostUrgentGoesFirstWhenTheUpstreamIsBack(t *testing.T) {
	const apps = 30
	bubble(t, 1, func(c *cluster) {
		early := coordinator.Name{App: "shop", Token: "access_token"}
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], early, 0)
		time.Sleep(10 * time.Minute)
		names := c.branches(apps)
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Status})
		time.Sleep(85 * time.Minute)
		c.sandbox.ClearFaults("")
		c.fault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: time.Second})
		time.Sleep(2 * time.Minute)
		first := c.value(c.nodes[0], early, 1).Token.Issued
		before := 0
		for _, name := range names {
			if c.value(c.nodes[0], name, 1).Token.Issued.Before(first) {
				before++
			}
		}
		if before > 1 { // the one whose call found the upstream working
			c.Errorf("%d of %d values that live longer were replaced first", before, apps)
		}
	})
}

// What the platform says of one app is no word about the upstream.
func TestWrongSecretsOfManyDoNotStopTheOthers(t *testing.T) {
	for _, code := range []int{40001, 89501, 89503} { // a secret, a person, an address
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, 1, func(c *cluster) {
				for i := range 20 {
					app := shop("plain")
					app.Name = fmt.Sprintf("branch-%02d", i)
					app.Credentials["appid"] = coordinator.NewSecret(branchID(i))
					c.fault(sandbox.Fault{App: branchID(i), Kind: sandbox.KindToken, Do: sandbox.Errcode, Errcode: code})
					c.apply(c.nodes[0], app)
				}
				time.Sleep(time.Second)
				began := time.Now()
				c.apply(c.nodes[0], shop("plain"))
				c.value(c.nodes[0], accessToken, 0)
				if took := time.Since(began); took > time.Second {
					c.Errorf("a good app waited %v behind bad ones", took)
				}
			})
		})
	}
}
