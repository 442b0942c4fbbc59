//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

// TestVersionsGoOnOverARestore puts etcd back to a backup while the nodes live:
// no node's version goes back, watches go on, and the next version is above
// everything that any node has shown.
func TestVersionsGoOnOverARestore(t *testing.T) {
	t.Parallel() // it mostly waits
	r := &rig{etcd: startEtcds(t, 1), ttl: 3 * time.Second}
	r.openSandbox(t)
	r.register(t, sandbox.App{AppID: shopID})
	for i := range 3 {
		r.nodes = append(r.nodes, r.startNode(t, fmt.Sprintf("n%d", i+1), r.etcd.endpoints()))
	}
	for _, n := range r.nodes {
		n.ready(t)
	}
	r.apply(t, "shop", r.shop(shopID))
	reading := r.startReaders(t, 3, r.nodes)

	backup := r.etcd.backup(t)
	r.bump(t, 2)
	r.bump(t, 3)
	r.etcd.restore(t, backup)

	for _, n := range r.nodes {
		got, err := n.Token(t.Context(), shopToken, client.TokenOptions{After: 3, Wait: 45 * time.Second})
		if err != nil || got.Version < 4 {
			t.Errorf("%s has version %d after the restore, error %v; want one above 3", n.name, got.Version, err)
		}
	}
	newest := r.settledVersion(t)
	r.bump(t, newest+1)
	reading.stop()
	told := 0
	for _, n := range r.nodes {
		told += strings.Count(n.output(), "etcd was restored from a backup")
	}
	if told == 0 {
		t.Error("nobody was told that etcd was restored")
	}
}

// bump asks for a version and waits until every node serves it.
func (r *rig) bump(t *testing.T, version int64) {
	t.Helper()
	r.nodes[0].ask(t)
	r.all(t, "shop", version)
}

// settledVersion waits until all nodes serve one version.
func (r *rig) settledVersion(t *testing.T) (version int64) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		version = 0
		for _, n := range r.nodes {
			got, err := n.Token(t.Context(), shopToken, client.TokenOptions{})
			if err != nil {
				return err
			}
			if version != 0 && got.Version != version {
				return errors.New("the nodes serve different versions")
			}
			version = got.Version
		}
		return nil
	})
	return version
}

// backup stops the one member, copies its data and starts it again.
func (e *etcds) backup(t *testing.T) (dir string) {
	t.Helper()
	m := e.members[0]
	m.kill()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(m.data)); err != nil {
		t.Fatal(err)
	}
	e.start(t, m)
	e.serve(t)
	return dir
}

// restore puts the one member back to a backup, as an operator does.
func (e *etcds) restore(t *testing.T, dir string) {
	t.Helper()
	m := e.members[0]
	m.kill()
	m.data = dir
	e.start(t, m)
	e.serve(t)
}
