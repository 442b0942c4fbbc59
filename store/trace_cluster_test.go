package store

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/sandbox"
	"freshet/coordinator/provider/wechat"
	"freshet/store/seal"
)

const (
	tracedCall   = 2 * time.Second        // timeout of calls
	tracedMargin = 300 * time.Millisecond // of takeovers
	tracedUser   = "alice"
	tracedClient = "client"
)

//nolint:gochecknoglobals // names, never changed
var (
	crmToken  = coordinator.Name{App: "crm", Token: "access_token"}
	mallToken = coordinator.Name{App: "mall", Token: "access_token"}
)

// traced is a cluster of whole nodes over etcd, on whose ways transactions are held,
// and the platform.
type traced struct {
	*testing.T
	box  *sandbox.Sandbox
	raw  *clientv3.Client
	ring *seal.Keyring
	eye  *Store // sees everything
}

// tracedNode is one of its nodes.
type tracedNode struct {
	*coordinator.Node
	way  *way
	disk string // of its spool
}

func newTraced(t *testing.T) *traced {
	t.Helper()
	box, err := sandbox.New(sandbox.Config{AnyApp: true})
	must(t, err)
	ring := newRing(t)
	return &traced{T: t, box: box, raw: raw(t), ring: ring, eye: open(t, sealedBy(ring))}
}

// join starts a node, on a disk that a former one may have used.
func (c *traced) join(name, disk string) *tracedNode {
	c.Helper()
	n := &tracedNode{way: &way{}, disk: disk}
	// Sessions outlive every trace: leaderships end when a test deletes their keys.
	kept := open(c.T, spoilt(n.way.spoil), sealedBy(c.ring), func(config *Config) { config.SessionTTL = 30 * time.Second })
	kept.silence = 30 * time.Second
	log := testLog(c.T).With("node", name)
	spool, err := NewSpool(disk, c.ring, log)
	must(c.T, err)
	transport := c.box.Client().Transport
	n.Node, err = coordinator.New(coordinator.Config{
		Name: name, Store: kept, Spool: spool, Logger: log, TakeoverMargin: tracedMargin, DrainLimit: time.Second, Heartbeat: time.Second,
		Providers: map[string]coordinator.Provider{
			"oauth2": oauth2.New(oauth2.Config{Transport: transport}), "wechat": wechat.New(wechat.Config{Transport: transport}),
		},
	})
	must(c.T, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(c.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx); err != nil {
			c.Errorf("%s: %v", name, err)
		}
	})
	c.Cleanup(func() {
		n.way.open()
		c.box.ClearFaults("")
		stop()
		running.Wait()
		must(c.T, spool.Close())
	})
	return n
}

// pair starts a node that leads, and one that follows.
func (c *traced) pair() (a, b *tracedNode) {
	c.Helper()
	a = c.join("a", c.TempDir())
	c.led(a)
	b = c.join("b", c.TempDir())
	c.until("b follows", func() bool { return b.Status().Refresher == "a" })
	c.until("b is a candidate", func() bool { return len(candidates(c.T, c.raw, c.eye)) == 2 })
	return a, b
}

// led waits until a node leads by its own word.
func (c *traced) led(n *tracedNode) {
	c.Helper()
	c.until(n.Name()+" leads", func() bool { return n.Status().Refresher == n.Name() })
}

// until waits for a condition.
func (c *traced) until(what string, done func() bool) {
	c.Helper()
	ctx := soon(c.T)
	for !done() {
		select {
		case <-ctx.Done():
			c.Fatalf("it did not come to this: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// sent waits until a hold has caught something.
func (c *traced) sent(what string, h *hold) {
	c.Helper()
	await(c.T, what, h.sent)
}

// delivered lets etcd take what a hold has caught, and checks whether it did.
func (c *traced) delivered(h *hold, want bool) {
	c.Helper()
	committed, err := h.deliver()
	must(c.T, err)
	if committed != want {
		c.Errorf("what was on its way was committed: %t, want %t", committed, want)
	}
}

// depose deletes the election key of whoever leads, as etcdctl would.
func (c *traced) depose() {
	c.Helper()
	oldest := candidates(c.T, c.raw, c.eye)[0]
	for _, kv := range candidates(c.T, c.raw, c.eye) {
		if kv.CreateRevision < oldest.CreateRevision {
			oldest = kv
		}
	}
	_, err := c.raw.Delete(soon(c.T), string(oldest.Key))
	must(c.T, err)
}

// kill ends all that a node can do, for good.
func (c *traced) kill(n *tracedNode) {
	n.way.deafen()
	n.way.hold(everyTxn)
}

// crm is an app that lives on a user's consent, given now.
func (c *traced) crm(rotation sandbox.RefreshRotation) coordinator.App {
	c.Helper()
	must(c.T, c.box.UpdateOAuthClient(tracedClient, func(client *sandbox.OAuthClient) error {
		client.ID, client.Secret, client.Rotation = tracedClient, "s3cret", rotation
		return nil
	}))
	refresh, err := c.box.Issue(tracedClient, tracedUser)
	must(c.T, err)
	app := coordinator.App{
		Name: "crm", Provider: "oauth2", Owner: "api:test", Upstream: "https://login.example.com/oauth/token",
		Credentials: map[string]coordinator.Secret{
			"client_id": coordinator.NewSecret(tracedClient), "client_secret": coordinator.NewSecret("s3cret"),
			coordinator.CredentialRefresh: coordinator.NewSecret(refresh),
		},
		Options: map[string]string{"grant": "refresh_token", "rotation": string(rotation)},
		Tokens:  map[string]coordinator.TokenSettings{"access_token": {}},
	}
	app.Refresh.Timeout, app.Refresh.RetryMin = tracedCall, time.Second
	return app
}

// mall is an app of an account at WeChat's plain line.
func mall(account string) coordinator.App {
	app := coordinator.App{
		Name: "mall", Provider: "wechat", Owner: "api:test", Options: map[string]string{"mode": "plain"},
		Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret(account), "secret": coordinator.NewSecret("s3cret")},
		Tokens:      map[string]coordinator.TokenSettings{"access_token": {}},
	}
	app.Refresh.Timeout, app.Refresh.RetryMin = tracedCall, time.Second
	return app
}

func (c *traced) apply(n *tracedNode, app coordinator.App) {
	c.Helper()
	_, err := n.Apply(soon(c.T), app, coordinator.Applying{ReplaceGrant: true})
	must(c.T, err)
}

// next orders what the platform does with the next call for an app.
func (c *traced) next(f sandbox.Fault) {
	c.Helper()
	f.Count = 1
	must(c.T, c.box.AddFault(f))
}

// slowly is an answer that takes its time, and comes long before the call's deadline.
func slowly() sandbox.Fault {
	return sandbox.Fault{Do: sandbox.Delay, Delay: tracedCall / 4, When: sandbox.After}
}

func (c *traced) calls(account string) int {
	sum := 0
	for _, kind := range []sandbox.Kind{sandbox.KindToken, sandbox.KindOAuthToken} {
		sum += c.box.Oracle().Apps[account].Calls[kind].Calls
	}
	return sum
}

// flying reports whether a call for an account is under way.
func (c *traced) flying(account string) bool {
	return c.box.Oracle().Apps[account].Minting.InFlight > 0
}

// value waits for a node's value.
func (c *traced) value(n *tracedNode, name coordinator.Name, after int64) *coordinator.View {
	c.Helper()
	v, err := n.Read(soon(c.T), name, coordinator.Want{Above: after, Wait: 25 * time.Second})
	if err != nil {
		c.Fatalf("%s on %s above %d: %v", name, n.Name(), after, err)
	}
	return v
}

// group is what etcd holds of crm.
func (c *traced) group() coordinator.Situation {
	c.Helper()
	now, err := c.eye.Read(soon(c.T), coordinator.Query{App: "crm", Group: "access_token", Tokens: []string{"access_token"}, Lineage: []string{"crm"}})
	must(c.T, err)
	return now
}

// state is crm's, in etcd.
func (c *traced) state() coordinator.State { return c.group().States[0] }

// touch writes crm's state again as it is: whoever compares its revision notices.
func (c *traced) touch() {
	c.Helper()
	key := c.eye.keys.state(crmToken)
	held, err := c.raw.Get(soon(c.T), key)
	must(c.T, err)
	_, err = c.raw.Put(soon(c.T), key, string(held.Kvs[0].Value))
	must(c.T, err)
}

// settled waits until nothing of crm is left over, and checks that its newest refresh
// token is kept, that its first version is the only one, and that the platform was
// asked so often and never with a replaced token.
func (c *traced) settled(calls int) {
	c.Helper()
	c.until("nothing is left over", func() bool {
		now := c.group()
		return now.Intent == nil && len(now.Salvage) == 0
	})
	now := c.group()
	newest, ok := c.box.CurrentRefresh(tracedClient, tracedUser)
	if !ok || now.Grant == nil || now.Grant.Current.Reveal() != newest {
		c.Error("the newest refresh token is lost")
	}
	if s := now.States[0]; s.Version != 1 || s.Status != coordinator.StatusFresh {
		c.Errorf("version %d is %s, want a fresh version 1", s.Version, s.Status)
	}
	oracle := c.box.Oracle().Apps[tracedClient].OAuth
	if got := c.calls(tracedClient); got != calls || oracle.Reused != 0 {
		c.Errorf("%d calls, want %d; %d replaced refresh tokens were presented", got, calls, oracle.Reused)
	}
}

// diskOf copies a node's disk as a crash would leave it now.
func (c *traced) diskOf(n *tracedNode) string {
	c.Helper()
	image := c.TempDir()
	must(c.T, os.CopyFS(image, os.DirFS(n.disk)))
	must(c.T, os.Remove(filepath.Join(image, "lock")))
	return image
}
