//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi/client"
	"freshet/store/seal"
)

const (
	bootstrapKey = canary + "bootstrap-key-of-the-process-tests"
	shopSecret   = canary + "app-secret"
	shopToken    = "shop/access_token"
	shopID       = "wx0000000000000001"
)

// rig is a whole cluster of processes: etcd and nodes. The platform is in this
// process, behind a real socket, so that its oracle can be asked at any instant.
type rig struct {
	etcd  *etcds
	ttl   time.Duration // of sessions
	box   *sandbox.Sandbox
	boxAt string // URL
	nodes []*node
	env   []string                        // of every node
	extra string                          // lines of every node's configuration
	seal  *seal.Keyring                   // of the key file; nil: nothing is sealed
	disk  string                          // of the nodes, with a key file for all and a folder for each; empty: they keep nothing
	paths paths                           // of the nodes to etcd; nil: nothing is between
	clock map[string]*clock               // of the nodes; nil: theirs is the machine's
	wrap  func(http.Handler) http.Handler // of the platform; nil: nothing is between
}

// node is one freshet process.
type node struct {
	*process
	*client.Client // with the bootstrap key

	name     string
	api, ops string // URLs
}

// startRig starts three etcds and as many nodes as asked for.
func startRig(t *testing.T, ttl time.Duration, nodes int, change ...func(*rig)) *rig {
	t.Helper()
	r := &rig{etcd: startEtcds(t, 3), ttl: ttl}
	for _, f := range change {
		f(r)
	}
	r.openSandbox(t)
	for i := range nodes {
		name := nodeName(i)
		r.nodes = append(r.nodes, r.startNode(t, name, r.endpointsOf(t, name)))
	}
	for _, n := range r.nodes {
		n.ready(t)
	}
	return r
}

// ownClocks gives each node a wall clock that can be set. It reports whether that is
// known how to do here.
func (r *rig) ownClocks(t *testing.T, nodes int) bool {
	t.Helper()
	clocks := map[string]*clock{}
	for i := range nodes {
		own, err := newClock(t)
		if err != nil {
			t.Logf("no clock is set: %v", err)
			return false
		}
		clocks[nodeName(i)] = own
	}
	r.clock = clocks
	return true
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i+1) }

func (r *rig) openSandbox(t *testing.T) {
	t.Helper()
	box, err := sandbox.New(sandbox.Config{TokenPrefix: canary})
	if err != nil {
		t.Fatal(err)
	}
	var platform http.Handler = box
	if r.wrap != nil {
		platform = r.wrap(box)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(func() {
		box.ClearFaults("") // a call that hangs would hold Close up
		server.Close()
	})
	r.box, r.boxAt = box, server.URL
}

var listening = regexp.MustCompile(`msg=listening .*api=(\S+) ops=(\S+)`)

// startNode starts a node and waits until it listens.
func (r *rig) startNode(t *testing.T, name string, endpoints []string) *node {
	t.Helper()
	n := r.launch(t, name, endpoints)
	var found []string
	eventually(t, 20*time.Second, func() error {
		found = listening.FindStringSubmatch(n.output())
		if found == nil {
			return errors.New(name + " does not listen")
		}
		return nil
	})
	n.api, n.ops = "http://"+found[1], "http://"+found[2]
	n.Client = n.as(t, bootstrapKey)
	return n
}

// launch starts a node's process.
func (r *rig) launch(t *testing.T, name string, endpoints []string) *node {
	t.Helper()
	file := filepath.Join(t.TempDir(), "freshet.yaml")
	text := fmt.Sprintf(`node: %s
etcd: {endpoints: ["%s"], session_ttl: %s}
listen: {api: "127.0.0.1:0", ops: "127.0.0.1:0"}
auth: {bootstrap_key: {env: FRESHET_BOOTSTRAP_KEY}}
%s%s`, name, strings.Join(endpoints, `", "`), r.ttl, r.extra, r.kept(name))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(slices.Clone(r.env), "FRESHET_BOOTSTRAP_KEY="+bootstrapKey)
	if own := r.clock[name]; own != nil {
		env = append(env, own.env())
	}
	return &node{name: name, process: startProcess(t, "node "+name, "freshet", env, "serve", "--config", file)}
}

// as returns a client of this node alone, with a key and connections of its own.
func (n *node) as(t *testing.T, key string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addresses: []string{n.api}, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ready waits until the node serves.
func (n *node) ready(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, func() error { return n.health(t.Context(), "/readyz", http.StatusOK) })
}

// health asks a health route of the operations listener.
func (n *node) health(ctx context.Context, route string, want int) error {
	status, _, err := get(ctx, n.ops+route)
	if err == nil && status != want {
		err = fmt.Errorf("%s%s answered %d, want %d", n.name, route, status, want)
	}
	return err
}

// get asks without a key and drops the body.
func get(ctx context.Context, url string) (status int, header http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, resp.Header, resp.Body.Close()
}

// refresher waits until one of the nodes, by the word of all of them, refreshes,
// and returns it and the others.
func (r *rig) refresher(t *testing.T) (leader *node, others []*node) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		said := map[string]bool{}
		for _, n := range r.nodes {
			status, err := n.Status(t.Context())
			if err != nil {
				return err
			}
			said[status.Refresher] = true
		}
		leader, others = r.split(slices.Sorted(maps.Keys(said))...)
		if leader == nil {
			return fmt.Errorf("the refresher is %v", said)
		}
		return nil
	})
	return leader, others
}

// split finds the one node of a name, and the others.
func (r *rig) split(names ...string) (one *node, others []*node) {
	for _, n := range r.nodes {
		if len(names) == 1 && n.name == names[0] {
			one = n
			continue
		}
		others = append(others, n)
	}
	return one, others
}

// shop is an app on the sandbox's plain line, which never answers the same value twice.
func (r *rig) shop(appid string) client.App {
	return client.App{
		Provider: "wechat", Upstream: r.boxAt, Options: map[string]string{"mode": "plain"},
		Credentials: client.Credentials{"appid": appid, "secret": shopSecret},
		Tokens:      map[string]client.TokenSettings{"access_token": {}},
		Refresh:     client.RefreshSettings{Retry: client.Retry{Min: time.Second, Max: 2 * time.Second}, Timeout: client.Duration(3 * time.Second)},
	}
}

// register makes the platform know an account.
func (r *rig) register(t *testing.T, account sandbox.App) {
	t.Helper()
	account.Secret = shopSecret
	err := r.box.UpdateApp(account.AppID, func(a *sandbox.App) error {
		*a = account
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// apply puts an app and waits until every node serves its access_token.
func (r *rig) apply(t *testing.T, name string, app client.App) client.Token {
	t.Helper()
	if _, err := r.nodes[0].PutApp(t.Context(), name, app, client.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	return r.all(t, name, 1)
}

// all waits until every node serves a version, and checks that it is one value.
func (r *rig) all(t *testing.T, name string, version int64) client.Token {
	t.Helper()
	return same(t, r.nodes, name, version)
}

func same(t *testing.T, nodes []*node, name string, version int64) client.Token {
	t.Helper()
	var first client.Token
	for i, n := range nodes {
		got, err := n.Token(t.Context(), name, client.TokenOptions{After: version - 1, Wait: 20 * time.Second})
		if err != nil {
			t.Fatalf("%s has no version %d of %s: %v", n.name, version, name, err)
		}
		if i == 0 {
			first = got
		}
		if got.Version != version || got.Value != first.Value {
			t.Errorf("%s serves version %d, want %d; the value of %s: %t", n.name, got.Version, version, nodes[0].name, got.Value == first.Value)
		}
	}
	return first
}

// calls is what the platform has seen of an account.
func (r *rig) calls(appid string) sandbox.AppReport { return r.box.Oracle().Apps[appid] }

// tokenCalls waits for nothing: it is how often the plain line was asked so far.
func (r *rig) tokenCalls(appid string) int { return r.calls(appid).Calls[sandbox.KindToken].Calls }

// inFlight waits until a token call for shop is under way.
func (r *rig) inFlight(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if r.calls(shopID).Minting.InFlight != 1 {
			return errors.New("no call is under way")
		}
		return nil
	})
}

// fault orders one.
func (r *rig) fault(t *testing.T, f sandbox.Fault) {
	t.Helper()
	if err := r.box.AddFault(f); err != nil {
		t.Fatal(err)
	}
}

// ask asks for a newer version of shop's access_token and does not wait for it.
func (n *node) ask(t *testing.T) {
	t.Helper()
	if _, err := n.Refresh(t.Context(), shopToken, client.RefreshBody{}); err != nil {
		t.Fatal(err)
	}
}
