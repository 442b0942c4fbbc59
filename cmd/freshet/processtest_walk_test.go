//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
	"freshet/faulttest"
	"freshet/httpapi/client"
)

// walkApp is an app whose tokens are read, refreshed and attacked.
type walkApp struct {
	name    coordinator.Name
	id      string               // appid or client_id
	kind    sandbox.Kind         // of the calls that fetch
	plain   bool                 // another system's mint replaces the value
	brief   bool                 // it expires now and then, since its platform is away for longer
	account sandbox.App          // of WeChat; zero for an OAuth app
	oauth   *sandbox.OAuthClient // nil for a WeChat app
	app     client.App
}

const (
	walkNodes   = 3
	walkTimeout = 2 * time.Second // of calls
	// longTimeout is that of the first app: longer than a session, so that a call may
	// still be under way when another node has been elected.
	longTimeout = 5 * time.Second
)

// walkApps are the apps of a walk that lasts so long, one of every kind of
// upstream. Tokens live the longer the longer the walk is, as a platform's day
// allows only so many calls.
func (r *rig) walkApps(length time.Duration) []walkApp {
	life := max(40*time.Second, length/120)
	plain := sandbox.App{Lifetime: life, Overlap: life / 4, Quotas: sandbox.Quotas{Plain: 1 << 20}}
	stable := sandbox.App{Lifetime: life, Overlap: life / 2, ForceInterval: time.Second, Quotas: sandbox.Quotas{Forced: 1 << 20}}
	first := r.wechat("plain-a", plain)
	first.app.Refresh.Timeout = client.Duration(longTimeout)
	apps := []walkApp{first, r.wechat("plain-b", plain), r.wechat("stable", stable)}
	brief := r.wechat("brief", sandbox.App{Lifetime: life / 4, Overlap: life / 16, Quotas: sandbox.Quotas{Plain: 1 << 20}})
	brief.brief = true
	apps = append(apps, brief)
	for _, class := range r.rotations() {
		apps = append(apps, r.oauth(class, life))
	}
	return apps
}

// wechat is an app of WeChat's plain line, or of the stable one if it is named so.
func (r *rig) wechat(name string, account sandbox.App) walkApp {
	account.AppID = "wx-" + name
	a := walkApp{id: account.AppID, kind: sandbox.KindToken, plain: true, account: account, app: r.shop(account.AppID)}
	if name == "stable" {
		a.kind, a.plain = sandbox.KindStableToken, false
		a.app.Options = map[string]string{"mode": "stable"}
	}
	return a.named(name)
}

// named sets what all apps of a walk have in common.
func (a walkApp) named(name string) walkApp {
	a.name = coordinator.Name{App: name, Token: "access_token"}
	a.app.Refresh.Window = client.Window{Share: 0.6}
	a.app.Refresh.Timeout = client.Duration(walkTimeout)
	a.app.Refresh.Budget = 1 << 20 // so that calls are counted
	return a
}

// enroll makes the platform know the app's account, and the cluster the app.
func (w *walk) enroll(t *testing.T, a walkApp) {
	t.Helper()
	w.byID[a.id] = a.name.App
	if a.oauth != nil {
		w.enrollOAuth(t, &a)
	} else {
		w.register(t, a.account)
	}
	w.apply(t, a.name.App, a.app)
}

// walk is a cluster under load and under faults, and all that judges it.
type walk struct {
	*rig
	apps  []walkApp
	byID  map[string]string // :: appid or client_id → app
	share float64           // of the upstream's faults that are made to meet a call
	posts []*post           // in the order of rig.nodes
	small bool              // the spools are on small disks of their own

	windows *faulttest.Windows
	ledger  *faulttest.Ledger
	reads   *faulttest.Reads
	calls   *faulttest.Calls
	figures *faulttest.Figures
	stalls  *faulttest.Stalls
	grants  *faulttest.Grants
	spans   *canarySearch

	mu     sync.Mutex
	recent []string // faults, for whoever has to explain a failure
	told   int      // wrongs that were reported
}

// post is where readers find a node, whichever process it is now.
type post struct {
	name   string
	lives  int // processes so far
	living atomic.Pointer[living]
}

// living is one process of a node.
type living struct {
	*node
	label string // e.g. "n1#3"
}

// startWalk starts a cluster of three nodes with the apps of a walk of that length.
func startWalk(t *testing.T, length time.Duration) *walk {
	t.Helper()
	w := &walk{
		windows: faulttest.NewWindows(), calls: faulttest.NewCalls(), figures: faulttest.NewFigures(),
		stalls: &faulttest.Stalls{}, grants: &faulttest.Grants{}, spans: startCanarySearch(t), byID: map[string]string{},
		share: min(1, float64(time.Hour)/float64(length)),
	}
	w.rig = startRig(t, 2*time.Second, walkNodes, disturbed, func(r *rig) {
		r.keepOnDisk(t)
		w.small = r.smallSpools(t, walkNodes)
		r.wrap = func(platform http.Handler) http.Handler { return w.calls.Watch(platform, w.appOf) }
		r.extra = "tracing: {otlp: \"" + w.spans.url + "\", sample: 1}\n"
		r.env = []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}
	})
	w.ledger = w.watch(t)
	w.reads = faulttest.NewReads(w.windows, w.ledger)
	for _, n := range w.nodes {
		p := &post{name: n.name}
		p.occupy(n)
		w.posts = append(w.posts, p)
	}
	w.apps = w.walkApps(length)
	for _, a := range w.apps {
		w.enroll(t, a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var measuring sync.WaitGroup
	measuring.Go(func() { w.stalls.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		measuring.Wait()
	})
	return w
}

func (p *post) occupy(n *node) {
	p.lives++
	p.living.Store(&living{n, fmt.Sprintf("%s#%d", p.name, p.lives)})
}

// appOf names the app that a request to the platform fetches a token for; "" for
// other requests. The body can be read again.
func (w *walk) appOf(r *http.Request) string {
	switch r.URL.Path {
	case "/oauth/token":
		id, _, _ := r.BasicAuth()
		return w.byID[id]
	case "/cgi-bin/token":
		return w.byID[r.URL.Query().Get("appid")]
	case "/cgi-bin/stable_token":
		body, _ := io.ReadAll(r.Body) // what broke off is the platform's to refuse
		r.Body = io.NopCloser(bytes.NewReader(body))
		var asked struct {
			AppID string `json:"appid"`
		}
		_ = json.Unmarshal(body, &asked)
		return w.byID[asked.AppID]
	}
	return ""
}

// during notes a fault and declares its windows until the returned function has
// been called.
func (w *walk) during(kind string, declared ...declared) (lift func(grace time.Duration)) {
	w.figures.Fault(kind)
	w.note(kind)
	return w.declare(declared...)
}

func (w *walk) declare(declared ...declared) (lift func(grace time.Duration)) {
	var lifts []func(time.Duration)
	for _, d := range declared {
		for _, of := range d.of {
			lifts = append(lifts, w.windows.Open(d.excuse, of))
		}
	}
	return func(grace time.Duration) {
		for _, lift := range lifts {
			lift(grace)
		}
	}
}

// declared is an excuse for some nodes or apps.
type declared struct {
	excuse faulttest.Excuse
	of     []string
}

func (w *walk) down(n *node) declared  { return declared{faulttest.Down, []string{n.name}} }
func (w *walk) apart(n *node) declared { return declared{faulttest.Apart, []string{n.name}} }

func (w *walk) allApart() declared {
	d := declared{excuse: faulttest.Apart}
	for _, p := range w.posts {
		d.of = append(d.of, p.name)
	}
	return d
}

// all declares an excuse for every app.
func (w *walk) all(e faulttest.Excuse) declared {
	d := declared{excuse: e}
	for _, a := range w.apps {
		d.of = append(d.of, a.name.App)
	}
	return d
}

func (w *walk) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recent = append(w.recent, time.Now().Format("15:04:05.000 ")+what)
	w.recent = w.recent[max(0, len(w.recent)-12):]
}

// tell reports what was found wrong since the last time, with the faults before it.
func (w *walk) tell(t *testing.T) {
	t.Helper()
	w.calls.Judge(w.ledger, w.windows)
	var wrong []string
	for _, found := range [][]string{w.ledger.Wrong(), w.reads.Wrong(), w.calls.Wrong(), w.figures.Wrong(), w.grants.Wrong(), w.spans.Wrong()} {
		wrong = append(wrong, found...)
	}
	if len(wrong) == w.told {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Errorf("%s: %d things are wrong so far: %q\nafter %q", time.Now().Format("15:04:05.000"), len(wrong), wrong, w.recent)
	w.told = len(wrong)
}

// tooMuch is how many wrongs make going on pointless.
const tooMuch = 20

func pick[T any](rng *rand.Rand, of []T) T { return of[rng.IntN(len(of))] }

// moment is a random time.
func moment(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)))
}

// pause waits, and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// goOn walks until ctx ends.
func (w *walk) goOn(ctx context.Context, t *testing.T, rng *rand.Rand) {
	t.Helper()
	said := time.Now()
	for ctx.Err() == nil && w.told < tooMuch {
		deck := w.clusterFaults()
		rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, f := range deck {
			if ctx.Err() != nil || w.told >= tooMuch {
				break
			}
			f.run(w, t, rng, f.kind)
			if time.Since(said) > time.Minute {
				said = time.Now()
				t.Log(said.Format("15:04 ") + w.figures.Line(w.reads))
			}
			pause(ctx, moment(rng, 200*time.Millisecond, 800*time.Millisecond))
		}
	}
}
