//go:build unix

package main

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

// TestAThousandReadersOfANewAppCauseOneCall holds the platform's answer back until
// every reader's request was sent.
func TestAThousandReadersOfANewAppCauseOneCall(t *testing.T) {
	const many = 1000
	r := startRig(t, 5*time.Second, 3)
	r.register(t, sandbox.App{AppID: shopID})
	r.fault(t, sandbox.Fault{Kind: sandbox.KindToken, Do: sandbox.Delay, Delay: time.Minute})
	app := r.shop(shopID)
	app.Refresh.Timeout = client.Duration(time.Minute)
	if _, err := r.nodes[0].PutApp(t.Context(), "shop", app, client.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}

	var sent atomic.Int64
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Add(1) },
	})
	got := make(chan client.Token, many)
	var reading sync.WaitGroup
	for i := range many {
		n := r.nodes[i%len(r.nodes)]
		reading.Go(func() { got <- readOnce(ctx, t, n) })
	}
	eventually(t, 40*time.Second, func() error {
		if sent.Load() < many {
			return context.DeadlineExceeded
		}
		return nil
	})
	r.inFlight(t)
	r.box.ClearFaults("")
	reading.Wait()
	close(got)

	first := r.all(t, "shop", 1)
	for one := range got {
		if one.Version != 1 || one.Value != first.Value {
			t.Errorf("%s answered version %d, the value all nodes hold: %t", one.Node, one.Version, one.Value == first.Value)
		}
	}
	if calls := r.calls(shopID); calls.Calls[sandbox.KindToken].Calls != 1 || calls.Minting.Peak != 1 {
		t.Errorf("%d readers caused %d calls, %d at once", many, calls.Calls[sandbox.KindToken].Calls, calls.Minting.Peak)
	}
}

func readOnce(ctx context.Context, t *testing.T, n *node) client.Token {
	got, err := n.Token(ctx, shopToken, client.TokenOptions{Wait: time.Minute})
	if err != nil {
		t.Errorf("a reader of %s: %v", n.name, err)
	}
	return got
}

// TestTwoAppsOfOneAccountAreRefused asks a node that did not take the first one.
func TestTwoAppsOfOneAccountAreRefused(t *testing.T) {
	r := startRig(t, 3*time.Second, 2)
	r.register(t, sandbox.App{AppID: shopID})
	r.apply(t, "shop", r.shop(shopID))
	_, err := r.nodes[1].PutApp(t.Context(), "copy", r.shop(shopID), client.ApplyOptions{})
	refused(t, err, http.StatusBadRequest, client.CodeInvalidRequest, `app "copy"`, `app "shop"`, "same identity")
	if got := r.tokenCalls(shopID); got != 1 {
		t.Errorf("the platform was called %d times", got)
	}
}

// TestTwoForeignMintsAreRecognised lets another system replace our value twice;
// each time a client reports that it has died.
func TestTwoForeignMintsAreRecognised(t *testing.T) {
	r := startRig(t, 3*time.Second, 2)
	r.register(t, sandbox.App{AppID: shopID, Overlap: 200 * time.Millisecond})
	held := r.apply(t, "shop", r.shop(shopID))
	for range 2 {
		r.mint(t, shopID)
		eventually(t, 10*time.Second, func() error {
			if r.box.Alive(held.Value) {
				return errAlive
			}
			return nil
		})
		answer, err := r.nodes[1].Report(t.Context(), shopToken, client.ReportBody{Version: held.Version, Code: "40001"})
		if err != nil || answer.After != held.Version {
			t.Fatalf("the report was answered %+v, %v", answer, err)
		}
		held = r.all(t, "shop", held.Version+1)
	}
	states, err := r.nodes[0].States(t.Context(), client.StatesOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := slices.ContainsFunc(states.States, func(s client.State) bool {
		return s.Name() == shopToken && s.Reason == "foreign_refresher"
	})
	if !found {
		t.Errorf("nobody is told of the foreign refresher: %+v", states.States)
	}
}
