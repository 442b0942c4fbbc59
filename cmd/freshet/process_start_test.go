//go:build unix

package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
)

// TestANodeWithoutItsEtcdSaysSoAndJoinsOnceItIsThere starts a node before its
// etcd, and one whose address leads to something else.
func TestANodeWithoutItsEtcdSaysSoAndJoinsOnceItIsThere(t *testing.T) {
	t.Parallel() // it mostly waits
	stranger := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(stranger.Close)
	r := &rig{ttl: 3 * time.Second}
	r.openSandbox(t)
	etcd := newEtcds(t, 1)
	early := r.startNode(t, "n1", etcd.endpoints())
	lost := r.startNode(t, "n2", []string{stranger.URL})

	early.says(t, "etcd does not answer, trying again", "nothing listens there", etcd.members[0].client)
	lost.says(t, "etcd does not answer, trying again", "something that is not etcd answers there", strings.TrimPrefix(stranger.URL, "http://"))
	for _, n := range []*node{early, lost} {
		if err := errors.Join(n.health(t.Context(), "/livez", http.StatusOK), n.health(t.Context(), "/readyz", http.StatusServiceUnavailable)); err != nil {
			t.Error(err)
		}
		_, err := n.Token(t.Context(), shopToken, client.TokenOptions{})
		refused(t, err, http.StatusServiceUnavailable, client.CodeNotSynced)
	}

	etcd.start(t, etcd.members[0])
	early.ready(t)
	r.nodes = []*node{early}
	r.register(t, sandbox.App{AppID: shopID})
	r.apply(t, "shop", r.shop(shopID))
	if err := lost.health(t.Context(), "/livez", http.StatusOK); err != nil {
		t.Error(err)
	}
}

// says waits until one line of the log holds all of these texts.
func (n *node) says(t *testing.T, texts ...string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		for line := range strings.Lines(n.output()) {
			missing := false
			for _, text := range texts {
				missing = missing || !strings.Contains(line, text)
			}
			if !missing {
				return nil
			}
		}
		return errors.New(n.name + " does not say: " + strings.Join(texts, " … "))
	})
}

// TestANameIsTakenForAsLongAsItsNodeLives starts a second node of a name, and
// after the first one's death a third.
func TestANameIsTakenForAsLongAsItsNodeLives(t *testing.T) {
	t.Parallel() // it mostly waits
	r := startRig(t, 2*time.Second, 1)
	r.register(t, sandbox.App{AppID: shopID})
	r.apply(t, "shop", r.shop(shopID))
	first := r.nodes[0]
	instance := r.instance(t, first)

	second := r.launch(t, first.name, r.etcd.endpoints())
	if code := second.exits(t, 20*time.Second); code != exitNameTaken {
		t.Errorf("exit code %d, want %d", code, exitNameTaken)
	}
	var said []string
	for line := range strings.Lines(second.output()) {
		if strings.HasPrefix(line, "freshet: ") {
			said = append(said, line)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], `another live node is named "n1"`) {
		t.Errorf("it ended with %q", said)
	}
	if now := r.instance(t, first); now != instance {
		t.Errorf("the name went from instance %s to %s", instance, now)
	}
	first.ask(t)
	r.all(t, "shop", 2)

	first.kill()
	third := r.startNode(t, first.name, r.etcd.endpoints())
	third.ready(t)
	r.nodes = []*node{third}
	eventually(t, 20*time.Second, func() error {
		if now := r.instance(t, third); now == instance || now == "" {
			return errors.New("the name is not that of the new process")
		}
		return nil
	})
	third.ask(t)
	r.all(t, "shop", 3)
}

// instance is the process that a node is, by its own word.
func (r *rig) instance(t *testing.T, n *node) string {
	t.Helper()
	known, err := n.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range known {
		if one.Name == n.name {
			return one.Instance
		}
	}
	return ""
}
