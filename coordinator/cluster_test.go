package coordinator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/sandbox"
	"freshet/coordinator/provider/wechat"
	"freshet/store/memory"
	"freshet/tracing"
)

const (
	appid  = "wx0000000000000001"
	secret = "canary-secret-of-the-shop"
)

// cluster is nodes over one memory store and one sandbox, inside a bubble.
type cluster struct {
	*testing.T
	sandbox *sandbox.Sandbox
	memory  *memory.Cluster
	tracer  *tracing.Tracer
	spans   *tracing.Recorder
	more    map[string]coordinator.Provider // beside wechat
	seed    *coordinator.Seed
	logs    *bytes.Buffer // of all nodes at debug level, if set
	log     *slog.Logger
	nodes   []*member
}

type member struct {
	*coordinator.Node
	store     *memory.Store
	spool     *memory.Spool
	stop      context.CancelFunc // SIGTERM
	done      chan struct{}
	transport *egress // of its calls to the platform
}

// bubble runs a test of a cluster of n nodes in virtual time.
func bubble(t *testing.T, n int, test func(c *cluster)) {
	t.Helper()
	bubbleOf(t, n, memory.Config{}, test)
}

// calm is a cluster whose sessions and heartbeats are slow, for tests of weeks.
func calm() memory.Config { return memory.Config{SessionTTL: 15 * time.Minute} }

func bubbleOf(t *testing.T, n int, config memory.Config, test func(c *cluster)) {
	t.Helper()
	bubbleWith(t, n, config, nil, test)
}

func bubbleWith(t *testing.T, n int, config memory.Config, more map[string]coordinator.Provider, test func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sb, err := sandbox.New(sandbox.Config{Apps: []sandbox.App{{AppID: appid, Secret: secret}}, AnyApp: true})
		if err != nil {
			t.Fatal(err)
		}
		c := &cluster{T: t, sandbox: sb, memory: memory.New(config), more: more}
		c.tracer, c.spans = tracing.NewRecorder()
		for i := range n {
			c.join(fmt.Sprintf("n%d", i+1))
		}
		defer c.end()
		synctest.Wait()
		test(c)
	})
}

// end stops all nodes, also after a failure.
func (c *cluster) end() {
	for _, m := range c.nodes {
		m.store.Heal()
		m.stop()
	}
	for _, m := range c.nodes {
		<-m.done
	}
}

// join starts a node.
func (c *cluster) join(name string, change ...func(*coordinator.Config)) *member {
	c.Helper()
	return c.joinWith(name, memory.NewSpool(), change...)
}

// joinWith starts a node on a disk that a former process may have used.
func (c *cluster) joinWith(name string, spool *memory.Spool, change ...func(*coordinator.Config)) *member {
	c.Helper()
	m := &member{store: c.memory.Store(), spool: spool, done: make(chan struct{}), transport: &egress{inner: c.sandbox.Client().Transport}}
	providers := map[string]coordinator.Provider{
		"oauth2": oauth2.New(oauth2.Config{Transport: m.transport}), "wechat": wechat.New(wechat.Config{Transport: m.transport}),
	}
	maps.Copy(providers, c.more)
	config := coordinator.Config{
		Name: name, Store: m.store, Tracer: c.tracer, Seed: c.seed, Heartbeat: c.memory.SessionTTL() / 5,
		Logger: c.logger().With("node", name), Spool: spool,
		Providers: providers,
	}
	for _, f := range change {
		f(&config)
	}
	node, err := coordinator.New(config)
	if err != nil {
		c.Fatal(err)
	}
	m.Node = node
	ctx, cancel := context.WithCancel(c.Context())
	m.stop = cancel
	go func() {
		defer close(m.done)
		if err := node.Run(ctx); err != nil {
			c.Errorf("%s: %v", name, err)
		}
	}()
	c.nodes = append(c.nodes, m)
	return m
}

// logger returns the log of all nodes.
func (c *cluster) logger() *slog.Logger {
	switch {
	case c.log != nil:
	case c.logs != nil:
		c.log = slog.New(slog.NewTextHandler(c.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	default:
		c.log = slog.New(slog.NewTextHandler(c.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	return c.log
}

// shop is the app of most tests.
func shop(mode string, tokens ...string) coordinator.App {
	app := coordinator.App{
		Name: "shop", Provider: "wechat", Owner: "api:test", Options: map[string]string{"mode": mode}, Tokens: map[string]coordinator.TokenSettings{},
		Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret(appid), "secret": coordinator.NewSecret(secret)},
	}
	for _, token := range append(tokens, "access_token") {
		app.Tokens[token] = coordinator.TokenSettings{}
	}
	return app
}

//nolint:gochecknoglobals // names of tokens, never changed
var (
	accessToken = coordinator.Name{App: "shop", Token: "access_token"}
	jsapiTicket = coordinator.Name{App: "shop", Token: "jsapi_ticket"}
)

// apply applies an app through a node.
func (c *cluster) apply(m *member, app coordinator.App) {
	c.Helper()
	if _, err := m.Apply(c.Context(), app, coordinator.Applying{}); err != nil {
		c.Fatalf("apply %s: %v", app.Name, err)
	}
}

// value waits for a version above after, and returns it.
func (c *cluster) value(m *member, name coordinator.Name, after int64) *coordinator.View {
	c.Helper()
	v, err := m.Read(c.Context(), name, coordinator.Want{Above: after, Wait: time.Minute})
	if err != nil {
		c.Fatalf("%s on %s above %d: %v", name, m.Name(), after, err)
	}
	return v
}

// refresher returns the node that leads, and the others.
func (c *cluster) refresher() (leader *member, others []*member) {
	c.Helper()
	var name string
	for _, record := range c.memory.Records() {
		if elected, ok := record.(coordinator.Elected); ok {
			name = elected.Node
		}
	}
	for _, m := range c.nodes {
		if m.Name() == name {
			leader = m
			continue
		}
		others = append(others, m)
	}
	if leader == nil {
		c.Fatal("no refresher")
	}
	return leader, others
}

func (c *cluster) calls(kind sandbox.Kind) int {
	return c.sandbox.Oracle().Apps[appid].Calls[kind].Calls
}

func TestAppIsFetchedWhenItIsApplied(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.apply(c.nodes[1], shop("stable", "jsapi_ticket"))
		for _, m := range c.nodes {
			v := c.value(m, accessToken, 0)
			if v.Version() != 1 || !c.sandbox.Alive(v.Token.Value.Reveal()) {
				c.Errorf("%s: version %d, alive %t", m.Name(), v.Version(), c.sandbox.Alive(v.Token.Value.Reveal()))
			}
			c.value(m, jsapiTicket, 0)
		}
		if got := c.calls(sandbox.KindStableToken); got != 1 {
			c.Errorf("%d calls, want 1", got)
		}
	})
}

func TestWaitersShareOneCall(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.must(c.sandbox.AddFault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: 5 * time.Second}))
		c.apply(c.nodes[0], shop("plain"))
		synctest.Wait()
		versions := make(chan int64, 300)
		for i := range cap(versions) {
			go func() {
				v, err := c.nodes[i%3].Read(c.Context(), accessToken, coordinator.Want{Wait: 30 * time.Second})
				if err != nil {
					c.Error(err)
					versions <- 0
					return
				}
				versions <- v.Version()
			}()
		}
		for range cap(versions) {
			if v := <-versions; v != 1 {
				c.Errorf("version %d", v)
			}
		}
		if got := c.calls(sandbox.KindToken); got != 1 {
			c.Errorf("%d calls, want 1", got)
		}
	})
}

// Two weeks of plain tokens: one call for each two thirds of two hours, never a
// moment without a living value on any node, never a version that goes back.
func TestTwoWeeksOfPlainTokens(t *testing.T) {
	bubbleOf(t, 3, calm(), func(c *cluster) {
		c.apply(c.nodes[0], shop("plain", "jsapi_ticket"))
		c.value(c.nodes[2], jsapiTicket, 0)
		synctest.Wait()
		last := map[string]int64{}
		const weeks, step = 14 * 24 * time.Hour, 7 * time.Minute
		for end := time.Now().Add(weeks); time.Now().Before(end); time.Sleep(step) {
			for _, m := range c.nodes {
				v, err := m.Read(c.Context(), accessToken, coordinator.Want{})
				if err != nil {
					c.Fatalf("%s: %v", m.Name(), err)
				}
				if !c.sandbox.Alive(v.Token.Value.Reveal()) || v.Version() < last[m.Name()] {
					c.Fatalf("%s: version %d after %d, alive %t", m.Name(), v.Version(), last[m.Name()], c.sandbox.Alive(v.Token.Value.Reveal()))
				}
				last[m.Name()] = v.Version()
			}
		}
		// A lifetime of 7200 s less a third, give or take a tenth of that third.
		c.between("token calls", c.calls(sandbox.KindToken), int(weeks/(5040*time.Second)), int(weeks/(4560*time.Second))+1)
		// The platform repeats a ticket until it ends: it is asked a few times for each life.
		c.between("ticket calls", c.calls(sandbox.KindTicket), int(weeks/(7200*time.Second)), 5*int(weeks/(7200*time.Second)))
		if peak := c.sandbox.Oracle().Apps[appid].Minting.Peak; peak != 1 {
			c.Errorf("%d token calls at once", peak)
		}
	})
}

func TestTwoWeeksOfStableTokens(t *testing.T) {
	bubbleOf(t, 2, calm(), func(c *cluster) {
		c.apply(c.nodes[0], shop("stable"))
		c.value(c.nodes[1], accessToken, 0)
		const weeks, step = 14 * 24 * time.Hour, 11 * time.Minute
		for end := time.Now().Add(weeks); time.Now().Before(end); time.Sleep(step) {
			v, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{})
			if err != nil || !c.sandbox.Alive(v.Token.Value.Reveal()) {
				c.Fatalf("%v, alive %t", err, err == nil && c.sandbox.Alive(v.Token.Value.Reveal()))
			}
		}
		// The platform renews in the last five minutes only: one call for each life.
		lives := int(weeks / (6900 * time.Second))
		c.between("stable calls", c.calls(sandbox.KindStableToken), lives-1, lives+2)
	})
}

func TestFailoverServesOnAndRefreshesAgain(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], accessToken, 0)
		time.Sleep(time.Hour)
		leader, others := c.refresher()
		leader.store.Partition()
		for range 24 {
			time.Sleep(time.Hour)
			for _, m := range others {
				v, err := m.Read(c.Context(), accessToken, coordinator.Want{})
				if err != nil || !c.sandbox.Alive(v.Token.Value.Reveal()) {
					c.Fatalf("%s: %v", m.Name(), err)
				}
			}
		}
		if now, _ := c.refresher(); now == leader {
			c.Error("the partitioned node still leads")
		}
		leader.store.Heal()
		time.Sleep(10 * time.Second)
		if got, want := c.value(leader, accessToken, 0).Version(), c.value(others[0], accessToken, 0).Version(); got != want {
			c.Errorf("the healed node serves version %d, the others %d", got, want)
		}
	})
}

func TestGracefulStopHandsOverAtOnce(t *testing.T) {
	bubble(t, 3, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[0], accessToken, 0)
		leader, others := c.refresher()
		began := time.Now()
		leader.stop()
		<-leader.done
		synctest.Wait()
		for others[0].Status().Refresher == leader.Name() {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took >= time.Second {
			c.Errorf("hand-over took %v", took)
		}
	})
}

func TestCallUnderWayIsReadAndPublishedAtTheEnd(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.must(c.sandbox.AddFault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: 6 * time.Second}))
		c.apply(c.nodes[0], shop("plain"))
		time.Sleep(time.Second)
		leader, others := c.refresher()
		leader.stop()
		v := c.value(others[0], accessToken, 0)
		if v.State.NewestOutcome().Epoch == 0 || c.calls(sandbox.KindToken) != 1 {
			c.Errorf("%d calls, outcome %+v", c.calls(sandbox.KindToken), v.State.NewestOutcome())
		}
	})
}

func TestTwoAppsOfOneIdentityAreRefused(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		twin := shop("plain")
		twin.Name = "twin"
		_, err := c.nodes[0].Apply(c.Context(), twin, coordinator.Applying{})
		if !errors.Is(err, coordinator.ErrInvalid) {
			c.Errorf("error %v", err)
		}
	})
}

func TestDeletedAppGoesOnWithItsVersions(t *testing.T) {
	bubble(t, 2, func(c *cluster) {
		c.apply(c.nodes[0], shop("plain"))
		c.value(c.nodes[1], accessToken, 0)
		c.must(c.nodes[0].Remove(c.Context(), "api:test", "shop"))
		synctest.Wait()
		if _, err := c.nodes[1].Read(c.Context(), accessToken, coordinator.Want{}); !errors.Is(err, coordinator.ErrUnknownToken) {
			c.Errorf("after delete: %v", err)
		}
		c.apply(c.nodes[1], shop("plain"))
		if v := c.value(c.nodes[0], accessToken, 0); v.Version() != 2 {
			c.Errorf("version %d, want 2", v.Version())
		}
	})
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) between(what string, got, least, most int) {
	c.Helper()
	if got < least || got > most {
		c.Errorf("%d %s, want %d to %d", got, what, least, most)
	}
}
