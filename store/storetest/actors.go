package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"freshet/coordinator"
)

// beatEvery is well below every session's TTL.
const beatEvery = 500 * time.Millisecond

// leader is a node that leads, and beats, until it is told to stop.
type leader struct {
	coordinator.Leadership
	ended <-chan error // yields the cause of its end, once
	stop  func()       // ends Lead and waits for it
}

// elect lets a node campaign until it leads.
func elect(t *testing.T, store coordinator.Store, node string) *leader {
	t.Helper()
	l := campaign(t, store, node)
	return l.await(t)
}

// candidate is a node that campaigns; each leadership is told on elected.
type candidate struct {
	elected chan *leader
	stop    func()
}

// campaign starts Lead. A leadership ends with its context.
func campaign(t *testing.T, store coordinator.Store, node string) *candidate {
	c := &candidate{elected: make(chan *leader)}
	c.stop = start(t, func(ctx context.Context) {
		_ = store.Lead(ctx, node, func(leading context.Context, l coordinator.Leadership) error {
			ended := make(chan error, 1)
			select {
			case c.elected <- &leader{Leadership: l, ended: ended}:
			case <-leading.Done():
			}
			beat(leading, store, l)
			ended <- context.Cause(leading)
			return nil
		})
	})
	return c
}

// await waits until the candidate leads.
func (c *candidate) await(t *testing.T) *leader {
	t.Helper()
	select {
	case l := <-c.elected:
		l.stop = c.stop
		return l
	case <-soon(t).Done():
		t.Fatal("nobody was elected")
		return nil
	}
}

// beat beats until ctx ends.
func beat(ctx context.Context, store coordinator.Store, l coordinator.Leadership) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = store.Beat(ctx, coordinator.Heartbeat{Epoch: l.Epoch, At: time.Now()})
		}
	}
}

// start runs f until stop is called or the test ends.
func start(t *testing.T, f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// watcher is a watch whose batches are taken one by one.
type watcher struct {
	t       *testing.T
	batches chan coordinator.Batch
	ended   chan error
}

// watch starts a watch. It ends with the test.
func watch(t *testing.T, store coordinator.Store) *watcher {
	w := &watcher{t: t, batches: make(chan coordinator.Batch), ended: make(chan error, 1)}
	start(t, func(ctx context.Context) {
		for batch, err := range store.Watch(ctx) {
			if err != nil {
				w.ended <- err
				return
			}
			select {
			case w.batches <- batch:
			case <-ctx.Done():
			}
		}
	})
	return w
}

// next returns the next batch of any kind.
func (w *watcher) next() coordinator.Batch {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return w.take(ctx)
}

func (w *watcher) take(ctx context.Context) coordinator.Batch {
	w.t.Helper()
	select {
	case b := <-w.batches:
		return b
	case err := <-w.ended:
		w.t.Fatalf("the watch ended: %v", err)
	case <-ctx.Done():
		w.t.Fatal("what was waited for did not come from the watch")
	}
	return coordinator.Batch{}
}

// change returns the next batch with something in the foreground, and only that.
func (w *watcher) change() coordinator.Batch {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		b := w.take(ctx)
		var events []coordinator.Event
		for _, e := range b.Events {
			if !background(e.Record) {
				events = append(events, e)
			}
		}
		if b.Events = events; b.Snapshot || len(events) > 0 {
			return b
		}
	}
}

// until returns the batches up to the first one that is chosen, which is the last of them.
func (w *watcher) until(chosen func(coordinator.Event) bool) []coordinator.Batch {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	var all []coordinator.Batch
	for {
		b := w.take(ctx)
		all = append(all, b)
		if slices.ContainsFunc(b.Events, chosen) {
			return all
		}
	}
}

// marker is a client that is written to mark a place in the history.
func marker(t *testing.T, store coordinator.Store, name string) func(coordinator.Event) bool {
	t.Helper()
	if err := store.PutClient(soon(t), coordinator.Client{Name: name}, nil); err != nil {
		t.Fatal(err)
	}
	return func(e coordinator.Event) bool {
		c, ok := e.Record.(coordinator.Client)
		return ok && c.Name == name
	}
}

// eventually waits for a channel to be closed or to yield.
func eventually[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-soon(t).Done():
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}
