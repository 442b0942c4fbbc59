// Package storetest is the contract of coordinator.Store in executable form.
// Every implementation passes it: package store against a real etcd, package
// store/memory inside and outside of virtual time.
//
// No test sleeps or measures time: they wait for what must happen, for up to a
// minute, and show that something did not happen by what happened after it.
package storetest

import (
	"iter"
	"maps"
	"slices"
	"testing"

	"freshet/coordinator"
)

// Nodes is how many independent stores a Harness has.
const Nodes = 3

// Harness is one fresh, empty cluster. Its sessions should live a few seconds
// only, but at least two: some tests wait for one to expire.
type Harness interface {
	// Node returns the store of node i, 0 ≤ i < Nodes: each with connections
	// and sessions of its own, the same one for the same i.
	Node(i int) coordinator.Store
}

// ElectionKeyDropper is a Harness that can remove the election key of an epoch
// behind the back of the node that leads under it.
type ElectionKeyDropper interface {
	DropElectionKey(epoch coordinator.Epoch)
}

// SessionExpirer is a Harness that can end all sessions of node i at once, as
// if it had been silent for too long.
type SessionExpirer interface {
	ExpireSessions(i int)
}

// Test is one test of the suite.
type Test struct {
	Name string
	Run  func(t *testing.T, h Harness)
}

// Run runs the whole suite, each test on a cluster of its own.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, test := range Tests() {
		t.Run(test.Name, func(t *testing.T) { test.Run(t, open(t)) })
	}
}

// Tests returns the tests one by one, for those who cannot have subtests.
func Tests() []Test {
	var all []Test
	for _, theme := range [][]Test{
		readTests(), openTests(), publishTests(), grantTests(), salvageTests(), requestTests(), inputTests(),
		appTests(), barTests(), registryTests(), auditTests(), watchTests(), recordTests(), leadTests(), faultTests(), joinTests(), traceTests(),
	} {
		all = append(all, theme...)
	}
	return all
}

// inOrder ranges over a table of tests by name.
func inOrder[V any](table map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !yield(name, table[name]) {
				return
			}
		}
	}
}
