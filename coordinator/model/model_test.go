package model_test

import (
	"flag"
	"fmt"
	"testing"

	"freshet/coordinator/model"
)

// The large bounds, by hand: go test ./coordinator/model -run Large -v -model.faults=2 -model.kind=strict.
//
//nolint:gochecknoglobals // flags of the test binary
var (
	kindFlag   = flag.String("model.kind", "", "walk through the large bounds of one kind: stable, plain, strict, grace or sibling")
	nodesFlag  = flag.Int("model.nodes", 2, "nodes, 2 or 3")
	faultsFlag = flag.Uint("model.faults", 2, "faults in one run")
	changes    = flag.Uint("model.changes", 0, "changes by people in one run")
	lateFlag   = flag.Uint("model.late", 0, "late writes and late arrivals in one run (W1, W2)")
	disksFlag  = flag.Uint("model.disks", 0, "disks lost in one run (W6)")
	statesFlag = flag.Int("model.states", 20_000_000, "walk no further than so many situations; each takes some 200 bytes")
)

// changesOf are the changes that matter to a kind.
func changesOf(kind model.Kind) []model.Change {
	if kind < model.Strict {
		return []model.Change{model.Push, model.Touch, model.Recreate, model.NewSecret, model.NewParent}
	}
	return []model.Change{model.Push, model.Touch, model.Reseal, model.Reconnect, model.Recreate, model.NewSecret, model.Revoke}
}

// unraced leaves a test to the run without the race detector.
func unraced(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("walked without the race detector: one goroutine has no races")
	}
}

// holds walks, and fails with the shortest way to each violation.
func holds(t *testing.T, c model.Config) {
	t.Helper()
	result := model.Walk(c)
	t.Logf("%s, %d nodes, %d faults: %d situations, %d steps, %d cut, capped %t, windows %v",
		c.Kind, c.Nodes, c.Faults, result.States, result.Steps, result.Cut, result.Capped, result.Found.All())
	for _, v := range result.Broken() {
		t.Errorf("%s, in %d steps", v, result.Counts[v])
		for i, step := range result.Traces[v] {
			t.Logf("%3d %s", i+1, step)
		}
	}
}

// Whatever happens in one run of two nodes with one fault, no rule is missing.
func TestProtocolHolds(t *testing.T) {
	unraced(t)
	for _, kind := range model.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			holds(t, model.Config{Kind: kind, Nodes: 2, Faults: 1, Note: true})
		})
	}
	t.Run("strict with a last chance", func(t *testing.T) {
		holds(t, model.Config{Kind: model.Strict, Nodes: 2, Faults: 1, LastChance: true, Note: true})
	})
}

// Under strict rotation even a process that stands still at the worst moment,
// a request that arrives too late and a disk that is lost revoke nothing.
func TestStrictRotationSurvivesTheWindows(t *testing.T) {
	holds(t, model.Config{Kind: model.Strict, Nodes: 2, Faults: 1, LateWrites: 1, LateArrivals: 1, Disks: 1, Note: true})
	holds(t, model.Config{Kind: model.Strict, Nodes: 3, Faults: 1, Note: true})
}

// People change an app while a node fails.
func TestProtocolHoldsWhilePeopleChangeThings(t *testing.T) {
	unraced(t)
	for _, kind := range []model.Kind{model.Plain, model.Strict} {
		for _, change := range changesOf(kind) {
			t.Run(fmt.Sprintf("%s/%s", kind, change), func(t *testing.T) {
				c := model.Config{Kind: kind, Nodes: 2, ChangeLimit: 1, Changes: []model.Change{change}, Note: true}
				if kind == model.Strict && change != model.Recreate {
					c.Faults = 1
				}
				holds(t, c)
			})
		}
	}
}

// Many reports of one version cost one call.
func TestReportsCostOneCall(t *testing.T) {
	for _, kind := range model.Kinds() {
		holds(t, model.Config{Kind: kind, Nodes: 2, Reports: 3})
	}
}

func TestLargeBounds(t *testing.T) {
	for _, kind := range model.Kinds() {
		if kind.String() != *kindFlag {
			continue
		}
		late, faults := uint8(*lateFlag), uint8(*faultsFlag)
		changed, disks := uint8(*changes), uint8(*disksFlag)
		holds(t, model.Config{
			Kind: kind, Nodes: *nodesFlag, Faults: faults, LateWrites: late, LateArrivals: late, Disks: disks,
			ChangeLimit: changed, Changes: changesOf(kind), States: *statesFlag, Note: true,
		})
		return
	}
	t.Skip("for people: choose one with -model.kind")
}
