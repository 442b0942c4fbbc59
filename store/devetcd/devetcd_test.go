package devetcd_test

import (
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"freshet/store/devetcd"
)

func TestDataSurvivesARestartAndNothingIsLeftRunning(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	dir := filepath.Join(t.TempDir(), "etcd")
	use(t, dir, func(c *clientv3.Client) {
		if _, err := c.Put(t.Context(), "/a", "kept"); err != nil {
			t.Fatal(err)
		}
	})
	use(t, dir, func(c *clientv3.Client) {
		got, err := c.Get(t.Context(), "/a")
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "kept" {
			t.Errorf("after a restart /a = %v, want \"kept\"", got.Kvs)
		}
	})
	goleak.VerifyNone(t, ignore)
}

func TestItListensOnlyWhereItIsTold(t *testing.T) {
	silent, err := devetcd.Start(t.Context(), devetcd.Config{Dir: t.TempDir(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if got := silent.Endpoint(); got != "" {
		t.Errorf("Endpoint() = %q without Listen, want none", got)
	}
	open, err := devetcd.Start(t.Context(), devetcd.Config{Dir: t.TempDir(), Fast: true, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	c, err := clientv3.NewFromURL(open.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Get(t.Context(), "/a"); err != nil {
		t.Errorf("reading over %s: %v", open.Endpoint(), err)
	}
}

func TestADirectoryIsNeeded(t *testing.T) {
	if _, err := devetcd.Start(t.Context(), devetcd.Config{}); err == nil {
		t.Error("Start without a directory succeeded")
	}
}

func TestAFolderInUseIsNotWaitedForWithoutAWord(t *testing.T) {
	dir := t.TempDir()
	first, err := devetcd.Start(t.Context(), devetcd.Config{Dir: dir, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := devetcd.Start(t.Context(), devetcd.Config{Dir: dir, Fast: true}); err == nil || !strings.Contains(err.Error(), "another process uses this folder") {
		t.Errorf("a second start: %v", err)
	}
}

func use(t *testing.T, dir string, f func(*clientv3.Client)) {
	t.Helper()
	e, err := devetcd.Start(t.Context(), devetcd.Config{Dir: dir, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Client()
	if err != nil {
		t.Fatal(err)
	}
	f(c)
	_ = c.Close() // says only that its context has ended
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
