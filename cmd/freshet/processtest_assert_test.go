//go:build unix

package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"freshet/httpapi/client"
)

var errAlive = errors.New("the value lives")

// refused checks that an error is a problem with a status, a code and a sentence
// that names what it must.
func refused(t *testing.T, err error, status int, code string, names ...string) {
	t.Helper()
	problem, ok := errors.AsType[*client.Problem](err)
	if !ok || problem.Status != status || problem.Code != code {
		t.Fatalf("the answer is %v, want %d %s", err, status, code)
	}
	if strings.Contains(problem.Detail, "\n") {
		t.Errorf("the answer is more than one line: %q", problem.Detail)
	}
	for _, name := range names {
		if !strings.Contains(problem.Detail, name) {
			t.Errorf("the answer does not name %s: %q", name, problem.Detail)
		}
	}
}

// mint lets a foreign system fetch a token, over the sandbox's own command.
func (r *rig) mint(t *testing.T, appid string) {
	t.Helper()
	body := strings.NewReader(`{"appid":"` + appid + `"}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.boxAt+"/_mint", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Body.Close() != nil {
		t.Fatalf("minting was answered %d", resp.StatusCode)
	}
}

// state is what a node knows of shop's access_token.
func (n *node) state(t *testing.T) client.State {
	t.Helper()
	s, err := n.State(t.Context(), shopToken)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// renewed waits until a node knows how version 2 of shop's access_token was made.
func (n *node) renewed(t *testing.T) client.Outcome {
	t.Helper()
	var found client.Outcome
	eventually(t, 20*time.Second, func() error {
		for _, o := range n.state(t).Outcomes {
			if o.Version == 2 && o.Result != "failed" {
				found = o
				return nil
			}
		}
		return errors.New("there is no such version")
	})
	return found
}
