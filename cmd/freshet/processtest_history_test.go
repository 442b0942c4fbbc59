//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/store"
)

// history is everything that was written to the cluster's etcd, in order.
type history struct {
	mu      sync.Mutex
	batches []coordinator.Batch
}

// watch follows the cluster's records until the test ends.
func (r *rig) watch(t *testing.T) *history {
	t.Helper()
	s, err := store.New(store.Config{Endpoints: r.etcd.endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		for batch, err := range s.Watch(ctx) {
			if err == nil {
				h.keep(batch)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		following.Wait()
		_ = s.Close()
	})
	eventually(t, 10*time.Second, func() error {
		if len(h.all()) == 0 {
			return fmt.Errorf("nothing is heard from etcd")
		}
		return nil
	})
	return h
}

func (h *history) keep(b coordinator.Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches = append(h.batches, b)
}

func (h *history) all() []coordinator.Batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clip(h.batches)
}

// deposed lists the writes that carry an epoch although a later leadership had
// begun. A result that its owner saved by the intent alone, after it was
// deposed, says that it was salvaged and is none of them.
func (h *history) deposed() []string {
	var wrong []string
	var newest coordinator.Epoch
	for _, batch := range h.all() {
		saved := salvaged(batch)
		for _, event := range batch.Events {
			epoch := epochOf(event)
			if _, elected := event.Record.(coordinator.Elected); elected && epoch > newest {
				newest = epoch
				continue
			}
			if epoch != 0 && epoch < newest && !batch.Snapshot && !saved {
				wrong = append(wrong, fmt.Sprintf("revision %d: a %T of epoch %d, after epoch %d had begun", batch.Revision, event.Record, epoch, newest))
			}
		}
	}
	return wrong
}

// salvaged reports whether a batch ends an attempt that had lost its leadership.
func salvaged(b coordinator.Batch) bool {
	for _, event := range b.Events {
		if state, ok := event.Record.(coordinator.State); ok && state.NewestOutcome().Result == coordinator.ResultSalvaged {
			return true
		}
	}
	return false
}

// epochOf is the leadership that wrote a record; 0 where none must have.
func epochOf(e coordinator.Event) coordinator.Epoch {
	if e.Deleted {
		return 0
	}
	switch record := e.Record.(type) {
	case coordinator.State:
		return record.Epoch
	case coordinator.Token:
		return record.Epoch
	case coordinator.Intent:
		return record.Epoch
	case coordinator.Heartbeat:
		return record.Epoch
	case coordinator.Elected:
		return record.Epoch
	}
	return 0
}
