package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
	"freshet/store/memory"
	"freshet/store/storetest"
)

// harness gives the suite a cluster in memory.
type harness struct {
	cluster *memory.Cluster
	nodes   []*memory.Store
}

func open(ttl time.Duration) *harness {
	h := &harness{cluster: memory.New(memory.Config{SessionTTL: ttl})}
	for range storetest.Nodes {
		h.nodes = append(h.nodes, h.cluster.Store())
	}
	return h
}

func (h *harness) Node(i int) coordinator.Store            { return h.nodes[i] }
func (h *harness) DropElectionKey(epoch coordinator.Epoch) { h.cluster.DeleteElectionKey(epoch) }
func (h *harness) ExpireSessions(i int)                    { h.nodes[i].LoseSession(true) }

// LoseAnswer loses the answer to the next call of each write of a registry.
func (h *harness) LoseAnswer(i int, committed bool) {
	for _, op := range []memory.Op{
		memory.OpPutApp, memory.OpDeleteApp, memory.OpPutClient, memory.OpDeleteClient,
		memory.OpPutPaused, memory.OpLiftBars, memory.OpPutAppliedFile,
	} {
		h.nodes[i].LoseAnswer(op, committed)
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		t.Parallel()
		return open(3 * time.Second)
	})
}

func TestContractInVirtualTime(t *testing.T) {
	for _, test := range storetest.Tests() {
		t.Run(test.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test.Run(t, open(0)) })
		})
	}
}
