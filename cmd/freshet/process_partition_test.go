//go:build unix

package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/faulttest"
	"freshet/httpapi/client"
)

// TestARefresherThatIsCutOffIsReplaced disturbs every way from the refresher to
// etcd, while readers read from all nodes: the one that is cut off serves on.
func TestARefresherThatIsCutOffIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for sessions to end")
	}
	const ttl = 2 * time.Second
	for _, way := range wayFaults() {
		if way.harmless {
			continue
		}
		t.Run(way.kind, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, ttl, 3, disturbed)
			r.register(t, sandbox.App{AppID: shopID})
			r.apply(t, "shop", r.shop(shopID))
			leader, others := r.refresher(t)
			reading := r.startReaders(t, 6, r.nodes)

			r.paths.each(leader.name, way.do)
			took := eventually(t, time.Minute, func() error { return others[0].elected(t, leader.name) })
			if latest := 2*ttl + handOver + patience; took > latest {
				t.Errorf("nobody refreshed for %s, want at most %s", took, latest)
			}
			others[0].ask(t)
			next := same(t, others, "shop", 2)
			r.paths.each(leader.name, (*faulttest.Proxy).Mend)
			took = eventually(t, time.Minute, func() error { return leader.serve(t, next.Version) })
			if latest := 5*time.Second + patience; took > latest {
				t.Errorf("the former refresher was behind for %s after the network healed, want at most %s", took, latest)
			}
			reading.stop()
			if calls := r.calls(shopID); calls.Calls[sandbox.KindToken].Calls != 2 || calls.Minting.Peak != 1 {
				t.Errorf("%d calls for two values, %d at once", calls.Calls[sandbox.KindToken].Calls, calls.Minting.Peak)
			}
		})
	}
}

// deadConnection is how long a connection to a process that is stopped is waited
// for: the store's ping every 10 s, and 5 s for its answer.
const deadConnection = 15 * time.Second

// TestAStoppedMemberHoldsRefreshingUpForAMoment stops a member, which answers
// nobody but keeps its connections open. Readers notice nothing.
func TestAStoppedMemberHoldsRefreshingUpForAMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits until connections are given up")
	}
	t.Parallel() // it mostly waits
	r := startRig(t, 5*time.Second, 3)
	r.register(t, sandbox.App{AppID: shopID})
	r.apply(t, "shop", r.shop(shopID))
	reading := r.startReaders(t, 6, r.nodes)
	m, _ := r.etcd.leader(t)
	m.signal(syscall.SIGSTOP)
	stopped := time.Now()
	eventually(t, 30*time.Second, func() error { return r.nodes[0].askAbove(t, 1) })
	r.all(t, "shop", 2)
	if took := time.Since(stopped); took > deadConnection+5*time.Second {
		t.Errorf("with %s stopped a new value took %s", m.name, took)
	}
	m.signal(syscall.SIGCONT)
	reading.stop()
	if reads := reading.reads.Load(); reads < 1000 {
		t.Errorf("only %d reads were made", reads)
	}
}

// askAbove asks for a newer version than one, and says whether that was taken down.
func (n *node) askAbove(t *testing.T, version int64) error {
	t.Helper()
	_, err := n.Refresh(t.Context(), shopToken, client.RefreshBody{AfterVersion: version})
	return err
}

// elected returns nil once a node knows a refresher, and it is not the former one.
func (n *node) elected(t *testing.T, former string) error {
	t.Helper()
	status, err := n.Status(t.Context())
	if err == nil && (status.Refresher == former || status.Refresher == "") {
		err = fmt.Errorf("the refresher is %q by the word of %s", status.Refresher, n.name)
	}
	return err
}

// serve returns nil once a node knows a version of shop's access_token.
func (n *node) serve(t *testing.T, version int64) error {
	t.Helper()
	if known := n.state(t).Version; known < version {
		return fmt.Errorf("%s knows version %d, not %d", n.name, known, version)
	}
	return nil
}
