//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/store/seal"
)

// keepOnDisk gives the nodes a key file, and each a snapshot and a spool that
// outlive its processes.
func (r *rig) keepOnDisk(t *testing.T) {
	t.Helper()
	r.disk = t.TempDir()
	ring, err := seal.Create(r.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	r.seal = ring
}

func (r *rig) keyFile() string            { return filepath.Join(r.disk, "seal.keys") }
func (r *rig) spoolOf(name string) string { return filepath.Join(r.disk, name, "spool") }

// kept is what a node's configuration says of its disk.
func (r *rig) kept(name string) string {
	if r.disk == "" {
		return ""
	}
	own := filepath.Join(r.disk, name)
	if err := os.MkdirAll(own, 0o700); err != nil {
		return "" // the spool is missed at once
	}
	return fmt.Sprintf("seal: {file: %q}\nsnapshot: %q\nspool: %q\n", r.keyFile(), filepath.Join(own, "snapshot.sealed"), r.spoolOf(name))
}

// sealedAll fails the test if etcd or a node's disk shows a secret.
func (r *rig) sealedAll(t *testing.T) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: r.etcd.endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	all, err := c.Get(t.Context(), "/", clientv3.WithPrefix())
	if err != nil || len(all.Kvs) == 0 {
		t.Fatalf("reading all %d keys: %v", len(all.Kvs), err)
	}
	for _, kv := range all.Kvs {
		if bytes.Contains(append(kv.Key, kv.Value...), []byte(canary)) {
			t.Errorf("etcd shows a secret under %s", kv.Key)
		}
	}
	err = filepath.WalkDir(r.disk, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(canary)) {
			t.Errorf("the disk shows a secret in %s", path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) { // nodes go on writing
		t.Error(err)
	}
}
