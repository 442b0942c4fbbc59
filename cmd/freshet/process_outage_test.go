//go:build unix

package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

const (
	brief   = "brief/access_token"
	briefID = "wx0000000000000002"

	// readMargin is how long before its expiry a value is not served any more;
	// what the API tells of expiries is rounded to whole seconds.
	readMargin = 2 * time.Second
)

// TestTheClusterOutlivesItsEtcd takes etcd's leader away, then its quorum, and
// gives both back.
func TestTheClusterOutlivesItsEtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits until a value has expired")
	}
	t.Parallel() // it mostly waits
	r := startRig(t, 3*time.Second, 3)
	r.register(t, sandbox.App{AppID: shopID})
	r.register(t, sandbox.App{AppID: briefID, Lifetime: 14 * time.Second, Overlap: 5 * time.Second})
	r.apply(t, "shop", r.shop(shopID))
	reading := r.startReaders(t, 6, r.nodes)

	first, others := r.etcd.leader(t)
	first.kill()
	r.nodes[0].ask(t)
	r.all(t, "shop", 2)

	app := r.shop(briefID)
	app.Refresh.Window = client.Window{Share: 0.5}
	held := r.apply(t, "brief", app)
	calls := r.tokenCalls(shopID) + r.tokenCalls(briefID)
	others[0].signal(syscall.SIGSTOP)
	r.serveUntilExpiry(t, held)
	r.goStale(t)
	if now := r.tokenCalls(shopID) + r.tokenCalls(briefID); now != calls {
		t.Errorf("%d upstream calls were made without a quorum to write them down in", now-calls)
	}

	others[0].signal(syscall.SIGCONT)
	r.etcd.start(t, first)
	r.recover(t)
	reading.stop()
	if reads := reading.reads.Load(); reads < 1000 {
		t.Errorf("only %d reads were made", reads)
	}
}

// serveUntilExpiry reads a value from every node until it is refused, which is
// not before its time, and never after.
func (r *rig) serveUntilExpiry(t *testing.T, held client.Token) {
	t.Helper()
	for _, n := range r.nodes {
		served := time.Now() // the last time it was
		var refusal error
		eventually(t, 20*time.Second, func() error {
			asked := time.Now()
			if refusal = n.serves(t, held); refusal == nil {
				served = asked
			}
			return not(refusal)
		})
		refused(t, refusal, http.StatusServiceUnavailable, client.CodeNoValidToken, brief)
		early := held.ExpiresAt.Add(-readMargin - patience)
		if n == r.nodes[0] && served.Before(early) {
			t.Errorf("%s stopped serving %s before the value's expiry", n.name, held.ExpiresAt.Sub(served))
		}
	}
}

// serves reads a value that does not change any more; the error says why there is none.
func (n *node) serves(t *testing.T, held client.Token) error {
	t.Helper()
	got, err := n.Token(t.Context(), brief, client.TokenOptions{})
	if err == nil && (got.Version != held.Version || !time.Now().Before(got.ExpiresAt)) {
		t.Errorf("%s serves version %d that expires at %s", n.name, got.Version, got.ExpiresAt)
	}
	return err
}

var errServed = errors.New("the value is served")

// not is an error where err is none.
func not(err error) error {
	if err == nil {
		return errServed
	}
	return nil
}

// goStale checks that every node says that it hears nothing, and is ready all the same.
func (r *rig) goStale(t *testing.T) {
	t.Helper()
	for _, n := range r.nodes {
		eventually(t, 20*time.Second, func() error { return n.health(t.Context(), "/readyz?fresh", http.StatusServiceUnavailable) })
		if err := n.health(t.Context(), "/readyz", http.StatusOK); err != nil {
			t.Error(err)
		}
		_, err := n.PutApp(t.Context(), "shop", r.shop(shopID), client.ApplyOptions{})
		refused(t, err, http.StatusServiceUnavailable, client.CodeStale, "heard nothing from etcd")
		before := n.watchAge(t)
		eventually(t, 10*time.Second, func() error {
			if age := n.watchAge(t); age <= before || age < 10 {
				return fmt.Errorf("the watch age of %s is %d, and was %d", n.name, age, before)
			}
			return nil
		})
	}
}

// recover checks that everything goes on without anybody's help.
func (r *rig) recover(t *testing.T) {
	t.Helper()
	for _, n := range r.nodes {
		eventually(t, 30*time.Second, func() error { return n.health(t.Context(), "/readyz?fresh", http.StatusOK) })
	}
	for _, n := range r.nodes {
		if _, err := n.Token(t.Context(), brief, client.TokenOptions{Wait: 30 * time.Second}); err != nil {
			t.Errorf("%s has no value of what had expired: %v", n.name, err)
		}
	}
	r.nodes[0].ask(t)
	r.all(t, "shop", 3)
}

// watchAge is the header Freshet-Watch-Age.
func (n *node) watchAge(t *testing.T) int {
	t.Helper()
	_, header, err := get(t.Context(), n.api+"/livez")
	if err != nil {
		t.Fatal(err)
	}
	age, err := strconv.Atoi(header.Get("Freshet-Watch-Age"))
	if err != nil {
		t.Fatal(err)
	}
	return age
}
