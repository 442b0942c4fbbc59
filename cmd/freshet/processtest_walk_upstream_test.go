//go:build unix

package main

import (
	"context"
	"math/rand/v2"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/faulttest"
	"freshet/httpapi/client"
)

// upstreamFault is one thing that a platform does to an app, for a while.
type upstreamFault struct {
	kind    string
	hold    time.Duration
	fault   sandbox.Fault
	excuses []faulttest.Excuse
}

// upstreamFaults are what platforms do. Where one has acted and its answer is lost,
// the value that was published dies without our knowing.
func upstreamFaults(rng *rand.Rand) []upstreamFault {
	unseen := []faulttest.Excuse{faulttest.Dying, faulttest.Losing}
	short, late := moment(rng, 100*time.Millisecond, walkTimeout/2), walkTimeout+moment(rng, 200*time.Millisecond, 3*time.Second)
	while := moment(rng, time.Second, 2*time.Second)
	hang := moment(rng, walkTimeout/2, walkTimeout+time.Second)
	faults := []upstreamFault{
		{"upstream slow", while, sandbox.Fault{Do: sandbox.Delay, Delay: short}, nil},
		{"upstream slow to answer", while, sandbox.Fault{Do: sandbox.Delay, Delay: short, When: sandbox.After}, unseen},
		{"upstream hangs", hang, sandbox.Fault{Do: sandbox.Hang, Count: 1}, nil},
		{"upstream acts and hangs", hang, sandbox.Fault{Do: sandbox.Hang, When: sandbox.After, Count: 1}, unseen},
		{"upstream acts after the deadline", late + while/2, sandbox.Fault{Do: sandbox.Delay, Delay: late, Late: true, Count: 1}, unseen},
		{"upstream busy", while, sandbox.Fault{Do: sandbox.Errcode, Errcode: -1, Count: 2}, nil},
		{"upstream answers 503", while, sandbox.Fault{Do: sandbox.Status, Count: 2}, nil},
		{"upstream floods", while, sandbox.Fault{Do: sandbox.Huge, Bytes: 4 << 20, Count: 1}, nil},
	}
	for _, lie := range []struct {
		kind string
		do   sandbox.Action
	}{{"answers HTML", sandbox.HTML}, {"cuts its answer", sandbox.Truncate}, {"resets", sandbox.Reset}} {
		faults = append(faults,
			upstreamFault{"upstream " + lie.kind, while, sandbox.Fault{Do: lie.do, Count: 1}, nil},
			upstreamFault{"upstream acts and " + lie.kind, while, sandbox.Fault{Do: lie.do, When: sandbox.After, Count: 1}, unseen})
	}
	return faults
}

// upstream attacks one app after another at the platform until ctx ends.
func (w *walk) upstream(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		a := pick(rng, w.apps)
		if a.brief {
			continue
		}
		if rng.IntN(6) == 0 {
			w.killAtPlatform(ctx, rng, a)
		} else {
			w.strike(ctx, rng, a)
		}
		pause(ctx, moment(rng, 100*time.Millisecond, 400*time.Millisecond))
	}
}

// strike orders one fault and makes the app meet it.
func (w *walk) strike(ctx context.Context, rng *rand.Rand, a walkApp) {
	one := pick(rng, upstreamFaults(rng))
	one.fault.App, one.fault.Kind = a.id, a.kind
	var declares []declared
	for _, excuse := range one.excuses {
		declares = append(declares, declared{excuse, []string{a.name.App}})
	}
	if w.box.AddFault(one.fault) != nil {
		return
	}
	lift := w.during(one.kind, declares...)
	if rng.Float64() < w.share {
		w.ask(ctx, pick(rng, w.posts), a)
	}
	pause(ctx, one.hold)
	w.box.ClearFaults(a.id)
	lift(walkTimeout + 2*time.Second) // a call that was struck may still be under way
}

// killAtPlatform ends the app's value before its time, or lets another system mint
// one, and reports it.
func (w *walk) killAtPlatform(ctx context.Context, rng *rand.Rand, a walkApp) {
	ctx, cancel := context.WithTimeout(ctx, clientLimit)
	defer cancel()
	dying := declared{faulttest.Dying, []string{a.name.App}}
	if a.plain && rng.IntN(2) == 0 {
		lift := w.during("another system mints", dying)
		_, _ = w.box.Mint(a.id) // the account is there
		lift(0)
	} else if held, err := pick(rng, w.posts).living.Load().Token(ctx, a.name.String(), client.TokenOptions{}); err == nil {
		lift := w.during("platform kills the value", dying)
		w.box.KillToken(held.Value)
		lift(0)
	}
	pause(ctx, 500*time.Millisecond)
	w.report(ctx, pick(rng, w.posts), a)
}

// away lets the platform of the brief app answer nothing of use for about as long
// as its values live, over and over, until ctx ends.
func (w *walk) away(ctx context.Context, rng *rand.Rand) {
	for _, a := range w.apps {
		for a.brief && ctx.Err() == nil {
			life := a.account.Lifetime
			if w.box.AddFault(sandbox.Fault{App: a.id, Kind: a.kind, Do: sandbox.Status}) == nil {
				w.during("upstream away until values expire")
			}
			pause(ctx, moment(rng, life/2, life*3/2))
			w.box.ClearFaults(a.id)
			pause(ctx, moment(rng, life/2, life))
		}
	}
}
