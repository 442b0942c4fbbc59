package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"freshet/coordinator"
)

func watchTests() []Test {
	return []Test{
		{"Watch/ReplayIsTheSnapshot", testReplay},
		{"Watch/TwoSeeTheSame", testTwoWatchers},
		{"Watch/SlowConsumerHoldsUpNobody", testSlowWatcher},
		{"Watch/QuietIsStillAlive", testQuietWatch},
		{"Watch/EndsWithItsContext", testWatchEnds},
		{"Watch/LeavingEndsIt", testWatchLeft},
		{"Watch/ManyRecords", testManyRecords},
	}
}

// story makes changes of every sort, and marks its end.
func (w *world) story() (end func(coordinator.Event) bool) {
	w.Helper()
	w.busy()
	w.note(0)
	w.must(w.store.PutPaused(soon(w.T), &coordinator.Paused{By: "somebody"}, nil))
	w.must(w.store.PutPaused(soon(w.T), nil, nil))
	w.deleteApp()
	w.putApp(appNamed(app, 3), nil)
	return marker(w.T, w.h.Node(2), "end of the story")
}

// replay applies batches to nothing and checks that they are in order.
func replay(t *testing.T, batches []coordinator.Batch) map[string]coordinator.Record {
	t.Helper()
	records := map[string]coordinator.Record{}
	var at int64
	for n, b := range batches {
		if n == 0 && !b.Snapshot {
			t.Error("the first batch is no snapshot")
		}
		if n > 0 && len(b.Events) > 0 && !b.Snapshot && b.Revision <= at {
			t.Errorf("batch %d is of revision %d, after one of %d", n, b.Revision, at)
		}
		at = max(at, b.Revision)
		if b.Snapshot {
			clear(records)
		}
		apply(t, records, b)
	}
	return records
}

func apply(t *testing.T, records map[string]coordinator.Record, b coordinator.Batch) {
	t.Helper()
	for _, e := range b.Events {
		id := identify(e.Record)
		if e.Deleted {
			if records[id] == nil {
				t.Errorf("revision %d deletes %s, which was not there", b.Revision, id)
			}
			delete(records, id)
			continue
		}
		if r := revisionOf(e.Record); !b.Snapshot && r != b.Revision || r > b.Revision || r == 0 {
			t.Errorf("%s says it was changed at revision %d, in a batch of %d", id, r, b.Revision)
		}
		records[id] = e.Record
	}
}

func testReplay(t *testing.T, h Harness) {
	early := watch(t, h.Node(1))
	first := early.next()
	w := newWorld(t, h)
	middle := watch(t, h.Node(2))
	half := middle.next()
	end := w.story()
	w.leader.stop() // no beat after this
	last := marker(t, w.store, "after the leader")
	want := map[string]coordinator.Record{}
	for _, r := range foreground(snapshot(t, w.store)) {
		want[identify(r)] = r
	}
	for name, batches := range map[string][]coordinator.Batch{
		"from the beginning": append(append([]coordinator.Batch{first}, early.until(end)...), early.until(last)...),
		"from the middle":    append(append([]coordinator.Batch{half}, middle.until(end)...), middle.until(last)...),
	} {
		got := replay(t, batches)
		maps.DeleteFunc(got, func(_ string, r coordinator.Record) bool { return background(r) })
		if diff := diff(want, got); diff != "" {
			t.Errorf("replayed %s (-snapshot +replayed):\n%s", name, diff)
		}
	}
}

func testTwoWatchers(t *testing.T, h Harness) {
	w := newWorld(t, h)
	one, two := watch(t, h.Node(1)), watch(t, h.Node(2))
	one.change()
	two.change()
	end := w.story()
	seen := func(w *watcher) []coordinator.Batch {
		var all []coordinator.Batch
		for {
			b := w.change()
			all = append(all, b)
			if end(b.Events[0]) {
				return all
			}
		}
	}
	if diff := diff(seen(one), seen(two)); diff != "" {
		t.Errorf("two watches (-one +two):\n%s", diff)
	}
}

func testSlowWatcher(t *testing.T, h Harness) {
	w := newWorld(t, h)
	slow := watch(t, w.store)
	first := slow.next() // and no more for now
	for range 50 {
		w.note(0)
	}
	end := marker(t, w.store, "end")
	records := replay(t, append([]coordinator.Batch{first}, slow.until(end)...))
	state := records[identify(coordinator.State{Name: nameOf(tokens()[0])})].(coordinator.State)
	if state.Failures != 50 {
		t.Errorf("the slow watch ended at change %d, want 50", state.Failures)
	}
}

func testQuietWatch(t *testing.T, h Harness) {
	changes := watch(t, h.Node(0))
	last := changes.next()
	for range 2 {
		b := changes.next()
		if b.Snapshot || len(b.Events) > 0 {
			t.Errorf("a quiet watch yielded %d events, snapshot %v; want empty batches", len(b.Events), b.Snapshot)
		}
		if b.Revision < last.Revision {
			t.Errorf("a sign of life goes back from revision %d to %d", last.Revision, b.Revision)
		}
		last = b
	}
}

func testWatchEnds(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for b, err := range h.Node(0).Watch(ctx) {
		if b.Snapshot {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the watch ended with error %v, want that of its context", last)
	}
}

func testWatchLeft(t *testing.T, h Harness) {
	for _, err := range h.Node(0).Watch(soon(t)) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	w := &world{T: t, h: h, store: h.Node(0)}
	marker(t, w.store, "after")
	if _, found := find(w.records(), coordinator.Client{Name: "after"}); !found {
		t.Error("the next watch does not see what was written after the first was left")
	}
}

func testManyRecords(t *testing.T, h Harness) {
	const many = 5200 // more than a page
	todo := make(chan int)
	failed := make(chan error, many)
	start(t, func(ctx context.Context) {
		defer close(todo)
		for n := range many {
			select {
			case todo <- n:
			case <-ctx.Done():
				return
			}
		}
	})
	for worker := range 32 {
		store := h.Node(worker % Nodes)
		start(t, func(ctx context.Context) {
			for n := range todo {
				name := coordinator.Name{App: fmt.Sprintf("app-%d", n), Token: "access_token"}
				r := coordinator.Request{Name: name, Above: int64(n), Reason: coordinator.ReasonRefresh}
				failed <- store.Ask(ctx, r, coordinator.State{Name: name})
			}
		})
	}
	for range many {
		if err := eventually(t, "an answer to Ask", failed); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int64]bool{}
	for _, r := range snapshot(t, h.Node(1)) {
		if r, ok := r.(coordinator.Request); ok {
			seen[r.Above] = true
		}
	}
	if len(seen) != many {
		t.Errorf("a snapshot holds %d of %d records", len(seen), many)
	}
}
