//go:build unix

package main

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// shortWalk is the length of a walk for which nobody asked.
const shortWalk = 75 * time.Second

// TestARandomWalkOverFaultsBreaksNoPromise kills, stops, cuts and delays nodes and
// etcd members, lets the platform lie and hang, and compacts etcd, in an order
// that a seed decides, while clients read. FRESHET_SOAK is how long, FRESHET_SEED
// a seed to repeat.
func TestARandomWalkOverFaultsBreaksNoPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("it walks for more than a minute")
	}
	length, seed := walkLength(t), walkSeed(t)
	t.Logf("seed %d, for %s; repeat it with FRESHET_SEED=%d", seed, length, seed)
	w := startWalk(t, length)
	lane := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	loading, unload := context.WithCancel(t.Context())
	defer unload()
	working := w.load(loading, t, lane(1), length)
	working.Go(func() { w.upstream(ctx, lane(2)) })
	working.Go(func() { w.away(ctx, lane(4)) })
	working.Go(func() { w.human(loading, t) })
	w.goOn(ctx, t, lane(3))
	cancel()

	w.box.ClearFaults("")
	w.agree(t, "the end")
	unload()
	working.Wait()
	w.finish(t)
	t.Logf("seed %d, %s\n\n%s", seed, length, w.figures.Table(w.ledger, w.reads, w.calls, w.grants))
}

// finish judges what can only be judged at the end.
func (w *walk) finish(t *testing.T) {
	t.Helper()
	w.caughtUp(t)
	w.recoverable(t)
	for _, p := range w.posts {
		w.reads.Ended(p.living.Load().label)
	}
	for _, a := range w.apps {
		w.calls.Charged(w.ledger, a.name.App)
		asked := w.calls.Begun(a.name.App)
		if counted := w.box.Oracle().Apps[a.id].Calls[a.kind].Calls; counted != asked {
			t.Errorf("the platform counted %d calls of %s, and we %d", counted, a.name.App, asked)
		}
	}
	w.sealedAll(t)
	w.tell(t)
	if w.spans.Spans() == 0 {
		t.Error("no span was searched")
	}
}

func walkLength(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("FRESHET_SOAK")
	if text == "" {
		return shortWalk
	}
	length, err := time.ParseDuration(text)
	if err != nil || length <= 0 {
		t.Fatalf("FRESHET_SOAK is %q: use a length such as 60m", text)
	}
	return length
}

func walkSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("FRESHET_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("FRESHET_SEED is %q: use a number", text)
	}
	return seed
}
