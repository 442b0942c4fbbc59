//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

const (
	// stopLimit is how long a node that has nothing in hand may take to stop when
	// all of etcd is gone: resigning, revoking and leaving have 2 s each.
	stopLimit = 8 * time.Second
	// drainLimit is how long a result is held for an etcd that may come back.
	drainLimit = 15 * time.Second
)

// TestNodesToldToStopWhileEtcdIsGoneEnd has nothing in hand: a value was just published.
func TestNodesToldToStopWhileEtcdIsGoneEnd(t *testing.T) {
	t.Parallel() // it mostly waits
	r := startRig(t, 3*time.Second, 2)
	r.register(t, sandbox.App{AppID: shopID})
	r.apply(t, "shop", r.shop(shopID))
	leader, _ := r.refresher(t)
	leader.ask(t)
	r.all(t, "shop", 2)

	r.etcd.vanish()
	for _, n := range r.nodes {
		n.signal(syscall.SIGTERM)
	}
	told := time.Now()
	for _, n := range r.nodes {
		if code := n.exits(t, stopLimit-time.Since(told)); code != exitOK {
			t.Errorf("exit code %d of %s", code, n.name)
		}
	}
}

// TestARotatedRefreshTokenOutlivesAStopWithoutEtcd is told to stop during a call
// whose result nobody can take. The next process of that node publishes it.
func TestARotatedRefreshTokenOutlivesAStopWithoutEtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the limit of a drain")
	}
	t.Parallel() // it mostly waits
	r := startRig(t, 3*time.Second, 1, func(r *rig) { r.keepOnDisk(t) })
	w := &walk{rig: r}
	a := r.oauth(sandbox.RotateStrict, time.Hour)
	w.enrollOAuth(t, &a)
	a.app.Refresh.Timeout = client.Duration(10 * time.Second)
	r.apply(t, a.name.App, a.app)
	n := r.nodes[0]

	r.fault(t, sandbox.Fault{Kind: a.kind, Do: sandbox.Delay, When: sandbox.After, Delay: 2 * time.Second, Count: 1})
	before, _ := r.box.CurrentRefresh(a.id, walkSubject)
	if _, err := n.Refresh(t.Context(), a.name.String(), client.RefreshBody{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if now, _ := r.box.CurrentRefresh(a.id, walkSubject); now == before {
			return errAlive
		}
		return nil
	})
	r.etcd.vanish()
	n.signal(syscall.SIGTERM)
	if code := n.exits(t, drainLimit+stopLimit); code != exitOK {
		t.Errorf("exit code %d", code)
	}

	for _, m := range r.etcd.members {
		r.etcd.start(t, m)
	}
	r.nodes[0] = r.startNode(t, n.name, r.endpointsOf(t, n.name))
	r.nodes[0].ready(t)
	r.all(t, a.name.App, 2)
	if said := r.nodes[0].output(); !strings.Contains(said, "results of a former process are replayed") {
		t.Error("the value was not published from the spool")
	}
}

// vanish kills every member at once.
func (e *etcds) vanish() {
	for _, m := range e.members {
		m.signal(syscall.SIGKILL)
	}
	for _, m := range e.members {
		<-m.ended
	}
}
