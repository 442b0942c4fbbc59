//go:build failpoint && unix

package crash

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/store"
	"freshet/store/devetcd"
	"freshet/store/seal"
)

// crash is a way in which the refresh of a second value is interrupted. A first
// node leads and meets its failpoints; then others go on; then it comes back on
// its own disk.
type crash struct {
	row   string // of the table above crashes
	name  string
	lives []string // failpoints of the first node's lives, each on the disk of the one before
	kinds []string // of tokens it can happen to; empty: all
	next  string   // failpoints of the node that takes over first; empty: it lives
	thaw  bool     // the first life was stopped, and goes on once another has taken over
	early bool     // the first node comes back before anybody takes over
	idle  bool     // it was told to end, with nothing under way
	lost  bool     // nobody can know what strict rotation gave: no system can close this
}

// crashes are all ways, by the rows of this table:
//
//	0   before the intent
//	1   the intent is sent, its answer is lost: dead, it is as 2; alive, see store/txn_test.go
//	2   after the intent, before the call
//	3   after the call, before publishing; 3R: a refresh token was exchanged
//	4   the publication is sent, its answer is lost: as 1
//	5   published, and not known everywhere yet
//	6   stopped before the call or after it, and taken over
//	7   an answer in hand that etcd does not take: dead, here; alive, see store/full_test.go
//	8   a request that nobody has answered: it is there in every scene but the last
//	9   a lease that ends before its value is published: see store/leases_test.go
//	10  etcd is full: see store/full_test.go
//	11  etcd is restored from a backup: see coordinator/follow_test.go
func crashes() []crash {
	plain, grace, strict := "plain", "grace", "strict"
	spooled := []string{grace, strict}
	return []crash{
		{row: "0", name: "before the intent", lives: []string{"before_open:kill:2"}},
		{row: "1, 2", name: "after the intent", lives: []string{"after_open:kill:2"}, lost: true},
		{row: "1, 2", name: "after the intent, back at once", lives: []string{"after_open:kill:2"}, early: true, kinds: spooled},
		{row: "2", name: "before the call is noted, back at once", lives: []string{"before_mark:kill:2"}, early: true, kinds: spooled},
		{row: "2", name: "before the call", lives: []string{"before_call:kill:2"}, lost: true},
		{row: "2", name: "before the intent of no call is voided", lives: []string{"before_call:pause=1500ms:2,before_void:kill"}, lost: true},
		{row: "3, 3R", name: "after the request", lives: []string{"after_write:kill:2"}, lost: true},
		{row: "3, 3R", name: "after the answer", lives: []string{"after_answer:kill:2"}, lost: true},
		{row: "3R, 7", name: "after the spool", lives: []string{"after_spool:kill:2"}},
		{row: "3R, 7", name: "after the spool, back at once", lives: []string{"after_spool:kill:2"}, early: true, kinds: spooled},
		{row: "3R, 7", name: "in the replay", lives: []string{"after_spool:kill:2", "before_replay:kill"}, kinds: spooled},
		{row: "3R, 7", name: "in the replay, before its salvage", lives: []string{"after_spool:kill:2", "before_salvage:kill"}, kinds: []string{strict}},
		{row: "3R, 7", name: "in the replay, after its salvage", lives: []string{"after_spool:kill:2", "after_salvage:kill"}, kinds: []string{strict}},
		{row: "4, 5", name: "after publishing", lives: []string{"after_publish:kill:2"}},
		{row: "6", name: "stopped before the call", lives: []string{"before_call:stop:2"}, thaw: true, lost: true},
		{row: "6, 3R", name: "stopped with an answer", lives: []string{"after_answer:stop:2"}, thaw: true},
		{row: "6, 3R", name: "stopped with an answer, before its salvage", lives: []string{"after_answer:stop:2,before_salvage:kill"}, thaw: true, kinds: []string{plain, strict}},
		{row: "6, 3R", name: "stopped with an answer, after its salvage", lives: []string{"after_answer:stop:2,after_salvage:kill"}, thaw: true, kinds: []string{plain, strict}},
		{row: "2, 3, 3R", name: "before a takeover", lives: []string{"after_write:kill:2"}, next: "before_takeover:kill", lost: true},
		{row: "2, 3, 3R", name: "after a takeover", lives: []string{"after_spool:kill:2"}, next: "after_takeover:kill"},
		{row: "0", name: "before resigning", lives: []string{"before_resign:kill"}, idle: true},
	}
}

// TestCrash interrupts the refreshes of three kinds of tokens at every point
// and looks at what is left: nothing that is half done, no refresh token presented
// twice where that revokes, the newest one kept wherever that can be.
func TestCrash(t *testing.T) {
	w := newCrashWorld(t)
	for _, c := range crashes() {
		for _, kind := range []string{"plain", "grace", "strict"} {
			if len(c.kinds) > 0 && !slices.Contains(c.kinds, kind) {
				continue
			}
			t.Run(c.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				newScene(t, w, kind).play(c)
			})
		}
	}
}

// crashWorld is what all scenes share: one etcd, one platform, one seal key.
type crashWorld struct {
	etcd, box, seal string // URLs, file
	platform        *sandbox.Sandbox
	scenes          atomic.Int64
}

func newCrashWorld(t *testing.T) *crashWorld {
	t.Helper()
	dir := t.TempDir()
	etcd, err := devetcd.Start(t.Context(), devetcd.Config{Dir: filepath.Join(dir, "etcd"), Fast: true, Listen: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(func() { _ = etcd.Close() })
	platform, err := sandbox.New(sandbox.Config{AnyApp: true})
	must(t, err)
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	keys := filepath.Join(dir, "seal")
	_, err = seal.Create(keys)
	must(t, err)
	return &crashWorld{etcd: etcd.Endpoint(), box: server.URL, seal: keys, platform: platform}
}

// scene is one crash of one kind of token, in a cluster of its own.
type scene struct {
	*testing.T
	*crashWorld
	kind    string
	id      string // the platform's for the app
	prefix  string
	dir     string
	watcher *coordinator.Node // follows, applies, reads
	heir    *coordinator.Node // leads after the first one; nil: the first one came back
}

var crmToken = coordinator.Name{App: "crm", Token: "access_token"} //nolint:gochecknoglobals // a name, never changed

func newScene(t *testing.T, w *crashWorld, kind string) *scene {
	t.Helper()
	n := w.scenes.Add(1)
	s := &scene{T: t, crashWorld: w, kind: kind, id: fmt.Sprintf("client%d", n), prefix: fmt.Sprintf("/crash%d", n), dir: t.TempDir()}
	s.watcher = s.live("watcher", true)
	return s
}

// node is the configuration of a node, by its name.
func (s *scene) node(name string) nodeConfig {
	return nodeConfig{Name: name, Etcd: s.etcd, Prefix: s.prefix, Disk: filepath.Join(s.dir, name), Seal: s.seal}
}

// live runs a node in this process until the test ends.
func (s *scene) live(name string, follower bool) *coordinator.Node {
	s.Helper()
	c := s.node(name)
	c.Follower = follower
	node, shut, err := c.open(slog.New(slog.NewTextHandler(s.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})))
	must(s.T, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(s.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := node.Run(ctx); err != nil {
			s.Errorf("%s: %v", name, err)
		}
	})
	s.Cleanup(func() {
		stop()
		running.Wait()
		must(s.T, shut())
	})
	return node
}

// play lets the crash happen, heals, and looks.
func (s *scene) play(c crash) {
	s.Helper()
	first := s.node("n1").start(s.T, c.lives[0])
	s.leads("n1")
	s.apply()
	reading := s.read()
	if c.idle {
		_ = first.cmd.Process.Signal(syscall.SIGTERM)
	} else {
		_, err := s.watcher.Refresh(s.Context(), crmToken, coordinator.RefreshCall{Above: 1})
		must(s.T, err)
	}
	if c.thaw {
		first.stands(s.T)
	} else {
		first.dies(s.T)
	}
	if c.next != "" {
		s.node("n2").start(s.T, c.next).dies(s.T)
	}
	if !c.early {
		s.heir = s.live("n3", false)
		s.leads("n3")
		s.settles("after another took over", "n3")
	}
	if c.thaw {
		_ = first.cmd.Process.Signal(syscall.SIGCONT)
		if strings.Contains(c.lives[0], "kill") {
			first.dies(s.T)
		} else {
			first.follows(s.T)
		}
	}
	for _, failpoints := range c.lives[1:] {
		s.node("n1").start(s.T, failpoints).dies(s.T)
	}
	if !c.thaw || strings.Contains(c.lives[0], "kill") {
		s.node("n1").start(s.T, "")
	}
	if c.next != "" {
		s.node("n2").start(s.T, "")
	}
	s.settles("after the first came back", "n1", "n2", "n3")

	reading()
	s.judge(c)
}

// leads waits until a node leads.
func (s *scene) leads(name string) {
	s.Helper()
	soon(s.T, name+" does not lead", func() bool { return s.watcher.Status().Refresher == name })
}

// apply makes the app known on both sides and waits for its first value.
func (s *scene) apply() {
	s.Helper()
	app := coordinator.App{
		Name: "crm", Upstream: s.box, Owner: "api:test", Tokens: map[string]coordinator.TokenSettings{"access_token": {}},
		Refresh: coordinator.RefreshSettings{Timeout: callTimeout, RetryMin: time.Second, RetryMax: time.Second},
	}
	if s.kind == "plain" {
		app.Provider, app.Options = "wechat", map[string]string{"mode": "plain"}
		app.Credentials = secrets("appid", s.id, "secret", "s")
	} else {
		must(s.T, s.platform.UpdateOAuthClient(s.id, func(c *sandbox.OAuthClient) error {
			c.Secret, c.Rotation = "s", sandbox.RefreshRotation(s.kind)
			return nil
		}))
		refresh, err := s.platform.Issue(s.id, "someone")
		must(s.T, err)
		app.Provider, app.Upstream = "oauth2", s.box+"/oauth/token"
		app.Options = map[string]string{"grant": "refresh_token", "rotation": s.kind}
		app.Credentials = secrets("client_id", s.id, "client_secret", "s", coordinator.CredentialRefresh, refresh)
	}
	_, err := s.watcher.Apply(s.Context(), app, coordinator.Applying{})
	must(s.T, err)
	_, err = s.watcher.Read(s.Context(), crmToken, coordinator.Want{Wait: patience})
	must(s.T, err)
}

func secrets(pairs ...string) map[string]coordinator.Secret {
	found := map[string]coordinator.Secret{}
	for i := 0; i < len(pairs); i += 2 {
		found[pairs[i]] = coordinator.NewSecret(pairs[i+1])
	}
	return found
}

// read reads without a pause until the returned function is called: every read
// is answered, and no version goes back.
func (s *scene) read() (stop func()) {
	ctx, cancel := context.WithCancel(s.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for newest := int64(0); ctx.Err() == nil; {
			v, err := s.watcher.Read(ctx, crmToken, coordinator.Want{})
			if err != nil || v.Version() < newest {
				s.Errorf("a read was answered with version %d after %d, %v", v.Version(), newest, err)
				return
			}
			newest = v.Version()
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() {
		cancel()
		reading.Wait()
	}
}

// settles waits until nothing that is half done is left in etcd and on the disks.
func (s *scene) settles(when string, disks ...string) {
	s.Helper()
	var left []string
	for began := time.Now(); ; {
		if left = s.left(disks); len(left) == 0 {
			return
		}
		if time.Since(began) > patience {
			s.Fatalf("%s there is left: %v", when, left)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.Context().Done():
		}
	}
}

func (s *scene) left(disks []string) (left []string) {
	for _, r := range s.records() {
		switch r := r.(type) {
		case coordinator.Intent:
			left = append(left, "the intent of "+r.Attempt)
		case coordinator.Salvage:
			left = append(left, "the salvage of "+r.Attempt)
		case coordinator.Request:
			left = append(left, "the request for more than "+fmt.Sprint(r.Above))
		}
	}
	for _, disk := range disks {
		files, _ := filepath.Glob(filepath.Join(s.dir, disk, "*.result*"))
		for _, file := range files {
			left = append(left, "on the disk of "+disk+": "+filepath.Base(file))
		}
	}
	return left
}

// records are all records of the cluster, read anew.
func (s *scene) records() (found []coordinator.Record) {
	s.Helper()
	reader, err := store.New(store.Config{Endpoints: []string{s.etcd}, Prefix: s.prefix})
	must(s.T, err)
	defer func() { _ = reader.Close() }()
	for batch, err := range reader.Watch(s.Context()) {
		must(s.T, err)
		for _, event := range batch.Events {
			found = append(found, event.Record)
		}
		break
	}
	return found
}

// judge looks at the platform's word and at etcd's.
func (s *scene) judge(c crash) {
	s.Helper()
	report := s.platform.Oracle().Apps[s.id]
	if report.Minting.Peak > 1 {
		s.Errorf("%d calls at once", report.Minting.Peak)
	}
	state, grant := s.state()
	uncertain := s.kind == "strict" && c.lost
	if got := state.Status == coordinator.StatusUncertain; got != uncertain || (!got && state.Status != coordinator.StatusFresh) {
		s.Errorf("the state is %s (%s); uncertain: want %t", state.Status, state.Reason, uncertain)
	}
	if uncertain && s.heir.Hazards()["lost_result"] == 0 {
		s.Error("nobody has counted what was lost")
	}
	if !uncertain && !c.idle && state.Version < 2 {
		s.Errorf("version %d", state.Version)
	}
	if s.kind == "plain" {
		return
	}
	if report.OAuth.Revoked != 0 || (s.kind == "strict" && report.OAuth.Reused != 0) {
		s.Errorf("%d refresh tokens were presented again, %d grants revoked", report.OAuth.Reused, report.OAuth.Revoked)
	}
	newest, lives := s.platform.CurrentRefresh(s.id, "someone")
	if !lives || (!uncertain && grant.Current.Reveal() != newest) {
		s.Errorf("the platform's newest refresh token is not kept; it lives: %t", lives)
	}
}

// state is what etcd holds of the token and of the grant.
func (s *scene) state() (state coordinator.State, grant coordinator.Grant) {
	s.Helper()
	for _, r := range s.records() {
		switch r := r.(type) {
		case coordinator.State:
			state = r
		case coordinator.Grant:
			grant = r
		}
	}
	return state, grant
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
