package coordinator

import (
	"context"
	"sync/atomic"
)

// Hazard is one of the moments in which no system can keep a refresh from being
// doubled or its result from being lost. Each time one is met it is counted and
// logged as an error.
type Hazard int

// The hazards, as ARCHITECTURE.md names them.
const (
	HazardLateWrite   Hazard = iota // W1: the call was written after its deadline; another may overlap it
	HazardLateArrival               // W2: the call was answered after its deadline
	HazardLostResult                // W3, W6: a process ended before it had saved a result, or with its disk
	HazardReplay                    // W4: a refresh token that may have been used was presented again
	HazardLostAnswer                // W5: the upstream may have acted, and its answer never came
	hazards
)

// String returns the name under which a hazard is counted.
func (h Hazard) String() string {
	return [...]string{"late_write", "late_arrival", "lost_result", "replay", "lost_answer"}[h]
}

// met counts a hazard and tells whoever reads the log.
func (a *attempt) met(ctx context.Context, h Hazard, what string) {
	a.node.hazards[h].Add(1)
	a.log.ErrorContext(ctx, "hazard met", "hazard", h.String(), "what", what, "attempt", a.intent.Attempt, "previous", a.intent.Previous)
}

// hazardCounts counts since the process began.
type hazardCounts [hazards]atomic.Int64

// Hazards returns how often this node has met which hazards since it began.
func (n *Node) Hazards() map[string]int64 {
	counts := map[string]int64{}
	for h := range hazards {
		if met := n.hazards[h].Load(); met > 0 {
			counts[h.String()] = met
		}
	}
	return counts
}
