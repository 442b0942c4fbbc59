//go:build unix

package main

import (
	"syscall"
	"testing"
	"time"

	"freshet/httpapi/client"
)

// TestAPushOutlivesARefresherThatStandsStill stops the refresher, so that what is
// pushed through another node waits: the next one publishes it, and the former
// changes nothing when it goes on.
func TestAPushOutlivesARefresherThatStandsStill(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a session to end")
	}
	t.Parallel() // it mostly waits
	r := startRig(t, 2*time.Second, 3)
	app := client.App{Provider: "static", Tokens: map[string]client.TokenSettings{"access_token": {}}}
	if _, err := r.nodes[0].PutApp(t.Context(), "legacy", app, client.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	first := r.nodes[0].push(t, "first")
	r.all(t, "legacy", first)

	former, others := r.refresher(t)
	former.signal(syscall.SIGSTOP)
	second := others[0].push(t, "second")
	third := others[1].push(t, "third") // in its place, unless another node leads already
	if first != 1 || second != 2 || third < second || third > second+1 {
		t.Errorf("versions %d, %d and %d were promised", first, second, third)
	}
	if got := same(t, others, "legacy", third); got.Value != canary+"third" {
		t.Errorf("%q is served, want what was pushed last", got.Value)
	}
	former.signal(syscall.SIGCONT)
	eventually(t, 20*time.Second, func() error { return former.knowsAnother(t, former.name) })
	fourth := former.push(t, "fourth")
	if got := r.all(t, "legacy", fourth); got.Value != canary+"fourth" || fourth != third+1 {
		t.Errorf("%q is served as version %d after %d, want what was pushed last", got.Value, fourth, third)
	}
}

// push pushes a value of the app legacy, and returns the version that is promised.
func (n *node) push(t *testing.T, value string) int64 {
	t.Helper()
	answer, err := n.Push(t.Context(), "legacy", client.PushBody{Value: canary + value, ExpiresIn: 3600})
	if err != nil {
		t.Fatalf("pushing the %s: %v", value, err)
	}
	return answer.Version
}
