//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
	"freshet/store"
	"freshet/store/seal"
)

// withDisk gives the only node of a rig a disk, and returns where.
func (r *rig) withDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := seal.Create(filepath.Join(dir, "seal.keys")); err != nil {
		t.Fatal(err)
	}
	r.extra += fmt.Sprintf("seal: {file: %[1]s/seal.keys}\nsnapshot: %[1]s/node/snapshot.sealed\nspool: %[1]s/node/spool\n", dir)
	return filepath.Join(dir, "node")
}

// holds waits until the snapshot of the node has a value.
func (r *rig) holds(t *testing.T, disk string, name coordinator.Name) {
	t.Helper()
	ring, err := seal.Load(filepath.Join(filepath.Dir(disk), "seal.keys"))
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := store.NewSnapshot(filepath.Join(disk, "snapshot.sealed"), store.Place{Prefix: defaultPrefix, Endpoints: r.etcd.endpoints()}, ring)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		saved, err := snapshot.Load()
		for _, record := range saved.Records {
			if token, ok := record.(coordinator.Token); ok && token.Name == name {
				return nil
			}
		}
		return errors.Join(fmt.Errorf("the snapshot does not hold %s", name), err)
	})
}

// TestANodeServesFromItsDiskWhileEtcdIsGone loses all of etcd and the node, starts
// the node alone, and then gives etcd back.
func TestANodeServesFromItsDiskWhileEtcdIsGone(t *testing.T) {
	t.Parallel() // it mostly waits
	var disk string
	r := startRig(t, 2*time.Second, 1, func(r *rig) { disk = r.withDisk(t) })
	r.register(t, sandbox.App{AppID: shopID})
	held := r.apply(t, "shop", r.shop(shopID))
	r.holds(t, disk, coordinator.Name{App: "shop", Token: "access_token"})
	for _, m := range r.etcd.members {
		m.kill()
	}
	r.nodes[0].kill()
	noCanary(t, disk)

	for range 2 {
		r.nodes = []*node{r.startNode(t, "n1", r.etcd.endpoints())}
		r.servesFromDisk(t, held)
		r.nodes[0].kill()
	}
	n := r.startNode(t, "n1", r.etcd.endpoints())
	r.nodes = []*node{n}
	n.ready(t)
	decidesNothing(t, n, r.shop(shopID))
	if calls := r.tokenCalls(shopID); calls != 1 {
		t.Errorf("%d upstream calls", calls)
	}

	for _, m := range r.etcd.members {
		r.etcd.start(t, m)
	}
	eventually(t, 30*time.Second, func() error { return n.health(t.Context(), "/readyz?fresh", http.StatusOK) })
	status, err := n.Status(t.Context())
	if err != nil || status.Source != client.SourceCluster || status.Revision == 0 {
		t.Errorf("status %+v, %v", status, err)
	}
	eventually(t, 30*time.Second, func() error {
		_, err := n.Refresh(t.Context(), shopToken, client.RefreshBody{AfterVersion: held.Version})
		return err
	})
	r.all(t, "shop", held.Version+1)
}

// servesFromDisk checks that the node serves what it had at once, and says that it is old.
func (r *rig) servesFromDisk(t *testing.T, held client.Token) {
	t.Helper()
	n := r.nodes[0]
	took := eventually(t, 20*time.Second, func() error { return n.health(t.Context(), "/readyz", http.StatusOK) })
	if took > 3*time.Second+patience {
		t.Errorf("it took %s", took)
	}
	if got := r.all(t, "shop", held.Version); got.Value != held.Value || !got.ExpiresAt.Equal(held.ExpiresAt) {
		t.Error("another value is served than before")
	}
	if err := n.health(t.Context(), "/readyz?fresh", http.StatusServiceUnavailable); err != nil {
		t.Error(err)
	}
	status, err := n.Status(t.Context())
	if err != nil || status.Source != client.SourceSnapshot || !status.Synced || !status.Stale || status.Refresher != "" {
		t.Errorf("status %+v, %v", status, err)
	}
	if !strings.Contains(n.output(), "serving what the snapshot on disk holds") {
		t.Error("its log does not say what is served")
	}
}

// decidesNothing checks that what needs etcd is refused, clearly.
func decidesNothing(t *testing.T, n *node, app client.App) {
	t.Helper()
	_, err := n.PutApp(t.Context(), "shop", app, client.ApplyOptions{})
	refused(t, err, http.StatusServiceUnavailable, client.CodeNotSynced)
	_, err = n.Report(t.Context(), shopToken, client.ReportBody{Version: 1, Code: "40001"})
	refused(t, err, http.StatusServiceUnavailable, client.CodeUnavailable, "etcd did not answer in time")
}

// noCanary checks that nothing on a disk shows a secret.
func noCanary(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(canary)) {
			t.Errorf("%s shows a secret", path)
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d files, %v", files, err)
	}
}
