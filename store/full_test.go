package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/coordinator/provider/wechat"
	"freshet/store/devetcd"
)

// full is a node on an etcd of its own, which can be filled.
type full struct {
	*testing.T
	at   string // its endpoint
	raw  *clientv3.Client
	box  *sandbox.Sandbox
	node *coordinator.Node

	asked *atomic.Int64 // writes the node has sent
}

// counting counts what is sent to write.
type counting struct {
	clientv3.KV
	clientv3.Lease
	sent *atomic.Int64
}

func (c counting) Txn(ctx context.Context) clientv3.Txn {
	c.sent.Add(1)
	return c.KV.Txn(ctx)
}

func (c counting) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	c.sent.Add(1)
	return c.Lease.Grant(ctx, ttl)
}

func (c counting) Close() error { return c.Lease.Close() }

const fullAppID = "wx0000000000000001"

func newFull(t *testing.T) *full {
	t.Helper()
	e, err := devetcd.Start(soon(t), devetcd.Config{Dir: t.TempDir(), Fast: true, Quota: 4 << 20, Listen: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(func() { _ = e.Close() })
	f := &full{T: t, asked: new(atomic.Int64)}
	f.at = e.Endpoint()
	f.raw = dialled(t, f.at)
	f.box, err = sandbox.New(sandbox.Config{Apps: []sandbox.App{{AppID: fullAppID, Secret: "secret"}}})
	must(t, err)
	s := open(t, dialling(f.at), spoilt(func(c *clientv3.Client) {
		counted := counting{KV: c.KV, Lease: c.Lease, sent: f.asked}
		c.KV, c.Lease = counted, counted
	}))
	f.node, err = coordinator.New(coordinator.Config{
		Name: "n1", Store: s, Logger: testLog(t), RoomEvery: 50 * time.Millisecond, Heartbeat: 100 * time.Millisecond,
		Providers: map[string]coordinator.Provider{"wechat": wechat.New(wechat.Config{Transport: f.box.Client().Transport})},
	})
	must(t, err)
	run(t, func(ctx context.Context) { must(t, f.node.Run(ctx)) })
	f.until("the node is synced", func() bool { return f.node.Health().Synced })
	return f
}

// until waits for what must happen.
func (f *full) until(what string, ok func() bool) {
	f.Helper()
	for ctx := soon(f.T); !ok(); sleep(ctx, 5*time.Millisecond) {
		if ctx.Err() != nil {
			f.Fatalf("it did not happen that %s", what)
		}
	}
}

func (f *full) value(after int64) *coordinator.View {
	f.Helper()
	v, err := f.node.Read(soon(f.T), shop, coordinator.Want{Above: after, Wait: 20 * time.Second})
	if err != nil {
		f.Fatalf("there is no version above %d: %v", after, err)
	}
	return v
}

func (f *full) calls() int { return f.box.Oracle().Apps[fullAppID].Calls[sandbox.KindToken].Calls }

// fill writes until enough says so, or etcd has no room.
func (f *full) fill(enough func() bool) {
	f.Helper()
	junk := strings.Repeat("x", 32<<10)
	for i := 0; !enough(); i++ {
		_, err := f.raw.Put(soon(f.T), fmt.Sprintf("/junk/%d", i), junk)
		if errors.Is(err, rpctypes.ErrNoSpace) {
			return
		}
		must(f.T, err)
		sleep(f.Context(), 10*time.Millisecond) // etcd counts its pages ten times a second
	}
}

// clear makes room as an operator does.
func (f *full) clear() {
	f.Helper()
	gone, err := f.raw.Delete(soon(f.T), "/junk/", clientv3.WithPrefix())
	must(f.T, err)
	must(f.T, second(f.raw.Compact(soon(f.T), gone.Header.Revision, clientv3.WithCompactPhysical())))
	must(f.T, second(f.raw.Defragment(soon(f.T), f.at)))
	must(f.T, second(f.raw.AlarmDisarm(soon(f.T), &clientv3.AlarmMember{MemberID: 0, Alarm: pb.AlarmType_NONE})))
}

func (f *full) apply() {
	f.Helper()
	must(f.T, second(f.node.Apply(soon(f.T), coordinator.App{
		Name: "shop", Provider: "wechat", Owner: "api:test", Options: map[string]string{"mode": "plain"},
		Credentials: map[string]coordinator.Secret{"appid": coordinator.NewSecret(fullAppID), "secret": coordinator.NewSecret("secret")},
		Tokens:      map[string]coordinator.TokenSettings{shop.Token: {}},
		Refresh:     coordinator.RefreshSettings{Timeout: time.Minute},
	}, coordinator.Applying{})))
	f.value(0)
}

func TestNothingIsRefreshedWhileEtcdIsAlmostFull(t *testing.T) {
	f := newFull(t)
	f.apply()
	f.fill(func() bool { return f.node.Room().Full() })
	if f.node.Room().Alarm {
		t.Fatal("etcd was filled up altogether: this test shows nothing")
	}
	calls := f.calls()
	must(t, second(f.node.Refresh(soon(t), shop, coordinator.RefreshCall{})))
	f.until("the state says why", func() bool {
		v, _ := f.node.View(shop)
		return v.State.Reason == coordinator.ReasonStoreFull
	})
	// A request by somebody else shows that all before it was looked at.
	before := f.node.Status().Revision
	f.until("a second of heartbeats went by", func() bool { return f.node.Status().Revision >= before+10 })
	if now := f.calls(); now != calls {
		t.Errorf("%d calls were made without room for what they yield", now-calls)
	}
	f.value(0)
	f.clear()
	f.value(1)
	f.until("the state is clear", func() bool {
		v, _ := f.node.View(shop)
		return v.State.Reason == ""
	})
}

func TestAResultInHandIsKeptUntilEtcdHasRoom(t *testing.T) {
	f := newFull(t)
	f.apply()
	must(t, f.box.AddFault(sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: time.Hour}))
	calls := f.calls()
	must(t, second(f.node.Refresh(soon(t), shop, coordinator.RefreshCall{})))
	f.until("a call is under way", func() bool { return f.calls() == calls+1 })
	f.fill(func() bool { return false })
	f.until("the alarm is seen", func() bool { return f.node.Room().Alarm })
	f.box.ClearFaults("") // only now, however long that took
	f.until("the call is answered", func() bool { return f.box.Oracle().Apps[fullAppID].Minting.InFlight == 0 })
	sent, began := f.asked.Load(), time.Now()
	sleep(t.Context(), 3*time.Second)
	if rate := float64(f.asked.Load()-sent) / time.Since(began).Seconds(); rate > 8 {
		t.Errorf("%.1f writes a second were sent to an etcd that is full", rate)
	}
	if v := f.value(0); v.Version() != 1 {
		t.Errorf("version %d is served, want 1", v.Version())
	}
	f.clear()
	if v := f.value(1); v.Version() != 2 || f.calls() != calls+1 {
		t.Errorf("version %d after %d calls, want the result of the one call as version 2", v.Version(), f.calls()-calls)
	}
	must(t, second(f.node.Refresh(soon(t), shop, coordinator.RefreshCall{})))
	f.value(2)
}
