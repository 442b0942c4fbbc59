//go:build unix

package main

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

const (
	step      = 90 * time.Minute // leaves half an hour of two
	otherStep = 20 * time.Minute
	clockApps = 12
	briefLife = 8 * time.Second
)

// clocks is a cluster whose nodes have wall clocks of their own, with some tokens
// that live two hours and one that lives a moment.
type clocks struct {
	*rig
	brief client.Token
	dead  map[string]bool // values that the platform has ended
}

func startClocks(t *testing.T) *clocks {
	t.Helper()
	if testing.Short() {
		t.Skip("it waits for a value to end")
	}
	settable := false
	r := startRig(t, 2*time.Second, 3, func(r *rig) { settable = r.ownClocks(t, 3) })
	if !settable {
		t.Skip("the nodes have no clocks of their own")
	}
	c := &clocks{rig: r, dead: map[string]bool{}}
	for i := range clockApps {
		c.register(t, sandbox.App{AppID: accountOf(i), Overlap: time.Minute})
		c.apply(t, appOf(i), c.shop(accountOf(i)))
	}
	c.register(t, sandbox.App{AppID: "wx-brief", Lifetime: briefLife, Overlap: time.Second})
	return c
}

func appOf(i int) string     { return fmt.Sprintf("app%d", i) }
func accountOf(i int) string { return fmt.Sprintf("wx-%d", i) }
func tokenOf(i int) string   { return appOf(i) + "/access_token" }

// asked is how many calls the platform has seen for the long-lived tokens.
func (c *clocks) asked() int {
	sum := 0
	for i := range clockApps {
		sum += c.tokenCalls(accountOf(i))
	}
	return sum
}

// set sets the clocks of the refresher, of another node and of the third.
func (c *clocks) set(t *testing.T, refresher, other, third time.Duration) {
	t.Helper()
	leader, others := c.refresher(t)
	c.setOne(t, leader, refresher)
	c.setOne(t, others[0], other)
	c.setOne(t, others[1], third)
}

// setOne sets a node's clock, and looks at what it tells over HTTP.
func (c *clocks) setOne(t *testing.T, n *node, by time.Duration) {
	t.Helper()
	c.clock[n.name].set(t, by)
	_, header, err := get(t.Context(), n.ops+"/readyz")
	if err != nil {
		t.Fatal(err)
	}
	told, err := http.ParseTime(header.Get("Date"))
	if differs := time.Until(told); err != nil || (differs-by).Abs() > 5*time.Second {
		t.Fatalf("the clock of %s differs by %s, and was set by %s (%v)", n.name, differs, by, err)
	}
}

// served checks that every node serves every long-lived token, of a version or above.
func (c *clocks) served(t *testing.T) {
	t.Helper()
	for i := range clockApps {
		for _, n := range c.nodes {
			got, err := n.Token(t.Context(), tokenOf(i), client.TokenOptions{})
			if err != nil || !c.box.Alive(got.Value) {
				t.Errorf("%s does not serve %s: %v", n.name, tokenOf(i), err)
			}
		}
	}
}

// goesOn asks for a second version of a token and waits until every node serves it.
func (c *clocks) goesOn(t *testing.T, i int) {
	t.Helper()
	if _, err := c.nodes[0].Refresh(t.Context(), tokenOf(i), client.RefreshBody{}); err != nil {
		t.Fatal(err)
	}
	c.all(t, tokenOf(i), 2)
}

// ends waits until the brief value has ended at the platform, and a while longer, and
// checks that no node serves it then, whatever its clock shows.
func (c *clocks) ends(t *testing.T) {
	t.Helper()
	served := 0
	var ended time.Time
	eventually(t, briefLife+20*time.Second, func() error {
		dead := !c.box.Alive(c.brief.Value)
		if dead && ended.IsZero() {
			ended = time.Now()
		}
		for _, n := range c.nodes {
			got, err := n.Token(t.Context(), "brief/access_token", client.TokenOptions{})
			switch {
			case err != nil:
			case dead:
				t.Errorf("%s serves a value %s after it has ended", n.name, time.Since(ended))
			case got.Value == c.brief.Value:
				served++
			}
		}
		if ended.IsZero() || time.Since(ended) < 3*time.Second {
			return errors.New("the value lives, or has just ended")
		}
		return nil
	})
	if served == 0 {
		t.Error("nobody served the value before it ended")
	}
}

// Clocks of nodes are set forward, the refresher's too, and then all of them: what
// they make due is not fetched at once, every node serves on, and new versions come.
func TestClocksSetForwardMakeNoStorm(t *testing.T) {
	t.Parallel() // it mostly waits
	c := startClocks(t)
	before := c.asked()
	c.set(t, step, otherStep, 0)
	c.goesOn(t, 0)
	c.served(t)
	c.set(t, 0, 0, 0)
	c.goesOn(t, 1)
	c.served(t)
	c.forgotten(t)
	c.set(t, 0, step, step) // the refresher's last, or they would find it ahead again
	c.set(t, step, step, step)
	c.goesOn(t, 2)
	c.served(t)
	c.calm(t, before, 3)
}

// forgotten waits until no node takes the refresher's clock to be ahead any more, as
// it does for some heartbeats after it was: meanwhile it serves nothing that has
// less left by its own.
func (c *clocks) forgotten(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		eventually(t, 30*time.Second, func() error {
			s, err := n.Status(t.Context())
			if err == nil && s.SkewSeconds > 2 {
				err = fmt.Errorf("%s takes the refresher's clock to be %.0f s ahead", n.name, s.SkewSeconds)
			}
			return err
		})
	}
}

// calm checks that little more calls were made since than were asked for.
func (c *clocks) calm(t *testing.T, before, asked int) {
	t.Helper()
	if calls := c.asked() - before; calls < asked || calls > asked+clockApps/3 {
		t.Errorf("%d calls for %d tokens, and %d were asked for", calls, clockApps, asked)
	}
}

// Clocks of nodes are set back while the platform is away: no node serves a value
// that has ended in truth, and new versions come.
func TestClocksSetBackServeNothingThatHasEnded(t *testing.T) {
	t.Parallel() // it mostly waits
	c := startClocks(t)
	c.brief = c.apply(t, "brief", c.shop("wx-brief"))
	c.fault(t, sandbox.Fault{App: "wx-brief", Do: sandbox.Status})
	before := c.asked()
	c.set(t, -step, -otherStep, 0)
	c.goesOn(t, 0)
	c.served(t)
	c.ends(t)
	c.box.ClearFaults("")
	c.goesOn(t, 1)
	c.served(t)
	c.calm(t, before, 2)
}
