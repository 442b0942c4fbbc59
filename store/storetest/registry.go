package storetest

import (
	"testing"

	"freshet/coordinator"
)

func registryTests() []Test {
	return []Test{
		{"Clients/AreComparedAndSet", testClients},
		{"Paused/IsSetAndUnset", testPaused},
		{"AppliedFile/IsRemembered", testAppliedFile},
	}
}

func testClients(t *testing.T, h Harness) {
	w := &world{T: t, h: h, store: h.Node(0)}
	ctx := soon(t)
	c := coordinator.Client{Name: "orders", Note: "first"}
	get := func() coordinator.Client {
		t.Helper()
		got, _ := find(w.records(), c)
		return got
	}
	w.must(w.store.PutClient(ctx, c, nil))
	w.refused(coordinator.ErrConflict, func() error {
		return h.Node(1).PutClient(ctx, coordinator.Client{Name: "orders", Note: "another"}, nil)
	})
	first := get()
	second := first
	second.Note = "second"
	w.must(h.Node(1).PutClient(ctx, second, nil))
	if got := get(); got.Note != "second" || got.Revision <= first.Revision {
		t.Errorf("client: got note %q at revision %d, want \"second\" after %d", got.Note, got.Revision, first.Revision)
	}
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutClient(ctx, first, nil) })
	w.refused(coordinator.ErrConflict, func() error { return w.store.DeleteClient(ctx, first, nil) })
	w.must(w.store.DeleteClient(ctx, get(), nil))
	if got := get(); got.Name != "" {
		t.Errorf("after its deletion: got client %+v", got)
	}
	w.refused(coordinator.ErrConflict, func() error { return w.store.PutClient(ctx, second, nil) })
}

func testPaused(t *testing.T, h Harness) {
	w := &world{T: t, h: h, store: h.Node(0)}
	p := coordinator.Paused{By: "somebody", At: at(1)}
	for range 2 {
		w.must(w.store.PutPaused(soon(t), &p, nil))
	}
	if got, found := find(w.records(), p); !found || got.By != p.By {
		t.Errorf("got pause %+v, want one by %q", got, p.By)
	}
	for range 2 {
		w.must(w.store.PutPaused(soon(t), nil, nil))
	}
	if got, found := find(w.records(), p); found {
		t.Errorf("after resuming: got pause %+v", got)
	}
}

func testAppliedFile(t *testing.T, h Harness) {
	w := newWorld(t, h)
	for _, hash := range []string{"one", "two"} {
		f := coordinator.AppliedFile{File: "apps.yaml", Hash: hash, At: at(1)}
		w.must(w.store.PutAppliedFile(soon(t), w.leader.Epoch, f, nil))
		if got, _ := find(w.records(), f); got.Hash != hash {
			t.Errorf("got hash %q, want %q", got.Hash, hash)
		}
	}
}
