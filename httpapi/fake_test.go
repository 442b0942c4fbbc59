package httpapi

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"freshet/coordinator"
)

// fakeNode is a Node whose answers a test sets. Its fields are set before it
// serves, or under mu.
type fakeNode struct {
	mu      sync.Mutex
	changed chan struct{} // closed by publish and drain
	views   map[coordinator.Name]*coordinator.View
	apps    map[string]coordinator.App
	people  map[string]coordinator.Client // :: key → client
	health  coordinator.Health
	status  coordinator.ClusterStatus
	nodes   []coordinator.NodeInfo
	seals   coordinator.Seals
	down    []coordinator.UpstreamState
	bars    []coordinator.Bar
	audits  []coordinator.Audit

	auditNext string // cursor that Audit returns

	injections map[string]coordinator.Injection // :: app → how its calls go
	onReport   func()                           // what a report brings about; nil: nothing

	readErr   error                      // of Read, for a name that exists
	err       error                      // of everything that writes
	refusals  map[coordinator.Name]error // of Refresh, by token
	hangs     bool                       // Remove waits for the end of its context
	report    coordinator.Report
	calls     []string                  // what was asked of it
	refreshed []coordinator.RefreshCall // calls of Refresh
	reported  []coordinator.ReportCall  // calls of Report
	pushes    []coordinator.Push        // calls of Push
	applied   []coordinator.App         // calls of Apply and Preview
	audited   []coordinator.AuditQuery  // calls of Audit
	waiting   int                       // reads that wait now
}

func newFake() *fakeNode {
	return &fakeNode{
		changed: make(chan struct{}),
		views:   map[coordinator.Name]*coordinator.View{},
		apps:    map[string]coordinator.App{},
		people:  map[string]coordinator.Client{},
		health:  coordinator.Health{Synced: true, Age: 1500 * time.Millisecond},
	}
}

const rootKey = "root-key"

// root may do everything.
func (f *fakeNode) root() *fakeNode {
	can := map[coordinator.Verb][]string{}
	for _, verb := range coordinator.Verbs() {
		can[verb] = []string{"**"}
	}
	f.people[rootKey] = coordinator.Client{Name: "root", Can: can}
	return f
}

func (f *fakeNode) person(key string, can map[coordinator.Verb][]string) {
	f.people[key] = coordinator.Client{Name: "client-of-" + key, Can: can}
}

// token is a view of a living value.
func token(name string, version int64, value string) *coordinator.View {
	n, err := coordinator.ParseName(name)
	if err != nil {
		panic(err)
	}
	issued := time.Now().Add(-time.Minute)
	expires := issued.Add(2 * time.Hour)
	v := &coordinator.View{
		Name: n,
		Token: &coordinator.Token{
			Name: n, Value: coordinator.NewSecret(value), Type: "Bearer", Scope: "a b",
			Version: version, Issued: issued, Expires: expires, Revision: 40 + version,
		},
		State: coordinator.State{
			Name: n, Version: version, Status: coordinator.StatusFresh, Issued: issued, Expires: expires, Due: expires.Add(-time.Hour),
		},
		Fingerprint: "f00d",
	}
	v.Rendered = Render(v)
	return v
}

func (f *fakeNode) hold(views ...*coordinator.View) *fakeNode {
	for _, v := range views {
		f.views[v.Name] = v
	}
	return f
}

// publish shows a view and wakes those who wait.
func (f *fakeNode) publish(v *coordinator.View) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views[v.Name] = v
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeNode) drain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.health.Draining = true
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeNode) note(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	return f.err
}

func (f *fakeNode) Read(ctx context.Context, name coordinator.Name, w coordinator.Want) (*coordinator.View, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Wait)
	defer cancel()
	for {
		v, changed, err := f.look(name, w)
		if err == nil || w.Wait <= 0 {
			return v, err
		}
		f.count(1)
		select {
		case <-changed:
			f.count(-1)
			if f.Health().Draining {
				return v, err
			}
		case <-ctx.Done():
			f.count(-1)
			return v, err
		}
	}
}

func (f *fakeNode) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting += n
}

func (f *fakeNode) look(name coordinator.Name, w coordinator.Want) (v *coordinator.View, changed <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.views[name]
	switch {
	case !ok:
		return nil, f.changed, coordinator.ErrUnknownToken
	case f.readErr != nil:
		return nil, f.changed, f.readErr
	case v.Token == nil:
		return v, f.changed, &coordinator.NoValueError{Err: coordinator.ErrTokenPending, View: v, RetryAfter: 1200 * time.Millisecond}
	case v.Version() <= w.Above, v.Lives(time.Now(), 0) < w.MinTTL:
		return v, f.changed, &coordinator.NoValueError{Err: coordinator.ErrNoNewerToken, View: v, RetryAfter: 3 * time.Second}
	}
	return v, f.changed, nil
}

func (f *fakeNode) View(name coordinator.Name) (*coordinator.View, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.views[name]
	return v, ok
}

func (f *fakeNode) Views() []*coordinator.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.views), func(a, b *coordinator.View) int {
		return strings.Compare(a.Name.String(), b.Name.String())
	})
}

func (f *fakeNode) Refresh(ctx context.Context, name coordinator.Name, c coordinator.RefreshCall) (*coordinator.View, error) {
	if err := f.note("refresh " + name.String()); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.refreshed = append(f.refreshed, c)
	refusal := f.refusals[name]
	f.mu.Unlock()
	if refusal != nil {
		return nil, refusal
	}
	v, err := f.Read(ctx, name, coordinator.Want{Above: c.Above, Wait: c.Wait})
	if c.Wait == 0 && v != nil {
		return v, nil
	}
	return v, err
}

func (f *fakeNode) Report(_ context.Context, name coordinator.Name, r coordinator.ReportCall) (coordinator.Report, error) {
	if err := f.note("report " + name.String()); err != nil {
		return coordinator.Report{}, err
	}
	if f.onReport != nil {
		f.onReport()
	}
	v, _ := f.View(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reported = append(f.reported, r)
	report := f.report
	report.View = v
	return report, nil
}

func (f *fakeNode) Push(_ context.Context, name coordinator.Name, p coordinator.Push) (coordinator.Pushed, error) {
	if err := f.note("push " + name.String()); err != nil {
		return coordinator.Pushed{}, err
	}
	v, ok := f.View(name)
	if !ok {
		return coordinator.Pushed{}, coordinator.ErrUnknownToken
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pushes = append(f.pushes, p)
	return coordinator.Pushed{Version: v.Version() + 1, Expires: time.Unix(1_900_000_000, 0), View: v}, nil
}

func (f *fakeNode) Apps() []coordinator.App {
	return slices.SortedFunc(maps.Values(f.apps), func(a, b coordinator.App) int { return strings.Compare(a.Name, b.Name) })
}

func (f *fakeNode) App(name string) (coordinator.App, bool) {
	app, ok := f.apps[name]
	app.Credentials = nil
	return app, ok
}

func (f *fakeNode) Effective(name string) (coordinator.App, error) {
	return f.apps[name].Inherit(f.apps[f.apps[name].Parent]).WithDefaults(), nil
}

func (f *fakeNode) Apply(_ context.Context, app coordinator.App, _ coordinator.Applying) (coordinator.Applied, error) {
	if err := f.note("apply " + app.Name); err != nil {
		return coordinator.Applied{}, err
	}
	f.applied = append(f.applied, app)
	_, exists := f.apps[app.Name]
	f.apps[app.Name] = app
	if exists {
		return coordinator.Applied{App: app.WithDefaults(), Change: coordinator.ChangeUpdated}, nil
	}
	return coordinator.Applied{App: app.WithDefaults(), Change: coordinator.ChangeCreated}, nil
}

func (f *fakeNode) Preview(app coordinator.App, _ coordinator.Applying) (coordinator.Applied, error) {
	f.applied = append(f.applied, app)
	return coordinator.Applied{App: app.WithDefaults(), Change: coordinator.ChangeCreated}, f.err
}

func (f *fakeNode) Remove(ctx context.Context, _, app string) error {
	if f.hangs {
		<-ctx.Done()
		return fmt.Errorf("deleting: %w", ctx.Err())
	}
	return f.note("remove " + app)
}

func (f *fakeNode) PauseApp(_ context.Context, _, app string, paused bool) error {
	return f.note("pause " + app + onOff(paused))
}

func (f *fakeNode) Seals(context.Context) (coordinator.Seals, error) {
	return f.seals, nil
}

func (f *fakeNode) Finalize(context.Context, string) (int, error) { return 2, f.note("finalize") }

func (f *fakeNode) PauseCluster(_ context.Context, by string, paused bool) error {
	return f.note("pause cluster by " + by + onOff(paused))
}

func onOff(on bool) string {
	if on {
		return " on"
	}
	return " off"
}

func (f *fakeNode) Authenticate(key coordinator.Secret) (coordinator.Client, bool) {
	c, ok := f.people[key.Reveal()]
	return c, ok
}

func (f *fakeNode) Clients() []coordinator.Client {
	return slices.SortedFunc(maps.Values(f.people), func(a, b coordinator.Client) int { return strings.Compare(a.Name, b.Name) })
}

func (f *fakeNode) AddClient(_ context.Context, c coordinator.Client) error {
	f.people["digest of "+c.Name] = c
	return f.note("add client " + c.Name)
}

func (f *fakeNode) RemoveClient(_ context.Context, _, name string) error {
	return f.note("remove client " + name)
}

func (f *fakeNode) Margin() time.Duration             { return time.Second }
func (f *fakeNode) Name() string                      { return "n1" }
func (f *fakeNode) Status() coordinator.ClusterStatus { return f.status }
func (f *fakeNode) Nodes() []coordinator.NodeInfo     { return f.nodes }

func (f *fakeNode) Health() coordinator.Health {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.health
}

func (f *fakeNode) Upstreams() []coordinator.UpstreamState { return f.down }

func (f *fakeNode) Explain(v *coordinator.View, _ time.Time) coordinator.Explanation {
	return coordinator.Explanation{Reason: v.State.Reason}
}

func (f *fakeNode) Bars() []coordinator.Bar { return f.bars }

func (f *fakeNode) LiftBars(_ context.Context, _, app, egress string) (int, error) {
	return 1, f.note("lift " + app + " " + egress)
}

func (f *fakeNode) Audit(_ context.Context, q coordinator.AuditQuery) ([]coordinator.Audit, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.audited = append(f.audited, q)
	return f.audits, f.auditNext, f.err
}

func (f *fakeNode) Moved() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Changes yields every view whatever the point: tests of streams run on a real node.
func (f *fakeNode) Changes(coordinator.Point, coordinator.Reach) (iter.Seq[coordinator.Changed], coordinator.Point) {
	views := f.Views()
	return func(yield func(coordinator.Changed) bool) {
		for _, v := range views {
			if !yield(coordinator.Changed{Name: v.Name, View: v, Value: true}) {
				return
			}
		}
	}, coordinator.Point{}
}

func (f *fakeNode) Resume(context.Context, coordinator.Position) (coordinator.Point, bool) {
	return coordinator.Point{}, false
}
