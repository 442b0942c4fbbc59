//go:build unix

package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

// TestAHundredReportsOfOneDeadVersionCauseOneRefresh reports over all nodes at
// once, as ten clients with keys of their own.
func TestAHundredReportsOfOneDeadVersionCauseOneRefresh(t *testing.T) {
	r := startRig(t, 5*time.Second, 3)
	keys := r.addClients(t, 10)
	for i, mode := range []string{"plain", "stable"} {
		t.Run(mode, func(t *testing.T) {
			d := deadToken{rig: r, mode: mode, appid: fmt.Sprintf("wx000000000000001%d", i), keys: keys}
			d.run(t)
		})
	}
}

// addClients makes clients that may read everything, and waits until every node
// knows them.
func (r *rig) addClients(t *testing.T, many int) []string {
	t.Helper()
	var keys []string
	for i := range many {
		body := client.ClientBody{Name: fmt.Sprintf("c%d", i), Can: client.Permissions{"read": {"*/*"}, "view": {"*/*"}}}
		added, err := r.nodes[0].AddClient(t.Context(), body)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, added.Key)
	}
	for _, n := range r.nodes {
		last := n.as(t, keys[many-1])
		eventually(t, 10*time.Second, func() error {
			_, err := last.Status(t.Context())
			return err
		})
	}
	return keys
}

// deadToken is an app of its own in one mode, whose value the platform kills.
type deadToken struct {
	*rig
	mode, appid string
	keys        []string
}

func (d deadToken) name() string { return d.mode + "/access_token" }

func (d deadToken) run(t *testing.T) {
	d.register(t, sandbox.App{AppID: d.appid})
	app := d.shop(d.appid)
	app.Options["mode"] = d.mode
	held := d.apply(t, d.mode, app)
	for _, answer := range d.report(t, 1, held.Version) {
		if answer.Verdict != client.VerdictAlive {
			t.Errorf("a report of a living value was answered %s", answer.Verdict)
		}
	}
	d.made(t, 1, 1)

	if !d.box.KillToken(held.Value) {
		t.Fatal("the value did not live")
	}
	for _, answer := range d.report(t, 100, held.Version) {
		if answer.Verdict != client.VerdictRefreshing && answer.Verdict != client.VerdictReplaced || answer.After != held.Version {
			t.Errorf("a report of a dead version was answered %s, after %d", answer.Verdict, answer.After)
		}
	}
	d.all(t, d.mode, held.Version+1)
	d.made(t, 2, 2)

	for _, answer := range d.report(t, 3, held.Version) {
		if answer.Verdict != client.VerdictReplaced {
			t.Errorf("a report of a replaced version was answered %s", answer.Verdict)
		}
	}
	d.made(t, 2, 2)
	d.all(t, d.mode, held.Version+1)
}

// report sends so many reports at once, over all nodes. Whoever is told that a
// newer version is on its way gets it from another node.
func (d deadToken) report(t *testing.T, many int, version int64) []client.ReportAnswer {
	t.Helper()
	answers := make(chan client.ReportAnswer, many)
	var reporting sync.WaitGroup
	for i := range many {
		key := d.keys[i%len(d.keys)]
		asked, other := d.nodes[i%3].as(t, key), d.nodes[(i+1)%3].as(t, key)
		reporting.Go(func() {
			answer, err := asked.Report(t.Context(), d.name(), client.ReportBody{Version: version, Code: "40001"})
			if err == nil && answer.Verdict == client.VerdictRefreshing {
				var next client.Token
				next, err = other.Token(t.Context(), d.name(), client.TokenOptions{After: answer.After, Wait: 20 * time.Second})
				if next.Version != version+1 && err == nil {
					err = fmt.Errorf("the next version is %d", next.Version)
				}
			}
			if err != nil {
				t.Errorf("report %d: %v", i, err)
			}
			answers <- answer
		})
	}
	reporting.Wait()
	close(answers)
	var all []client.ReportAnswer
	for answer := range answers {
		all = append(all, answer)
	}
	return all
}

// made checks how often the platform was probed, and asked for values.
func (d deadToken) made(t *testing.T, probes, values int) {
	t.Helper()
	calls := d.calls(d.appid)
	got := [4]int{calls.Calls[sandbox.KindProbe].Calls, calls.Calls[sandbox.KindToken].Calls, calls.Calls[sandbox.KindStableToken].Calls, calls.Forced}
	want := map[string][4]int{"plain": {probes, values, 0, 0}, "stable": {probes, 0, values, values - 1}}[d.mode]
	if got != want {
		t.Errorf("probes, plain, stable and forced calls were %v, want %v", got, want)
	}
}
