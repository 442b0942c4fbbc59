package coordinator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A reader that came while the refresher's clock looked ahead was told of no value,
// and one that follows must be told that it is served no more: both follow the margin.
func TestReadersAreToldWhatTheMarginChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := follower(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go n.watchClock(ctx)
		revision, at := int64(1), Point{}
		beat := func(ahead time.Duration, want ...bool) {
			t.Helper()
			revision++
			n.apply(t.Context(), Batch{Revision: revision, Events: []Event{{Record: Heartbeat{Node: "n2", At: time.Now().Add(ahead)}}}})
			synctest.Wait()
			changes, reached := n.Changes(at, Reach{})
			at = reached
			var told []bool
			for c := range changes {
				told = append(told, c.Value)
			}
			if diff := len(told) != len(want) || len(told) == 1 && told[0] != want[0]; diff {
				t.Errorf("with %s ahead it is told %v, want %v", ahead, told, want)
			}
		}
		n.apply(t.Context(), shown(1, 1))
		beat(0, true)
		beat(2*time.Hour, false)
		for range skewSamples - 1 {
			beat(0)
		}
		beat(0, true)
	})
}
