package coordinator_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/store/memory"
)

// family is a platform that hands out rotating refresh tokens to one app, as a
// provider. It keeps no secrets: "r3" is the third refresh token.
type family struct {
	rotation coordinator.Rotation

	mu       sync.Mutex
	newest   int   // refresh token handed out last
	used     []int // refresh tokens presented, in order
	flying   int
	peak     int // most calls at once
	revoked  bool
	after    []func(ctx context.Context) error // of the next calls, after they were acted on
	idle     bool                              // answers hold no new refresh token
	lifetime time.Duration
}

func newFamily(class coordinator.RotationClass) *family {
	return &family{rotation: coordinator.Rotation{Class: class, Grace: 10 * time.Minute}, newest: 1, lifetime: time.Hour}
}

// Check wants a refresh token.
func (f *family) Check(app coordinator.App) error {
	if app.Credentials[coordinator.CredentialRefresh].IsZero() {
		return coordinator.Invalidf("no refresh token")
	}
	return nil
}

// Groups returns the one group.
func (f *family) Groups(coordinator.App) []coordinator.Group {
	return []coordinator.Group{{Name: "access_token", Tokens: []string{"access_token"}, Rotation: f.rotation}}
}

// Identity is the app's name.
func (f *family) Identity(app coordinator.App) string { return app.Name }

// Upstream is a name.
func (f *family) Upstream(coordinator.App) string { return "family" }

// Fetch exchanges a refresh token for an access token and the next one.
func (f *family) Fetch(ctx context.Context, call coordinator.Call) (coordinator.Yield, error) {
	if _, leaked := call.App.Credentials[coordinator.CredentialRefresh]; leaked {
		return coordinator.Yield{}, &coordinator.UpstreamError{Class: coordinator.ClassConfig, Reason: "leak"}
	}
	yield, after, err := f.act(call)
	for _, hook := range after {
		if failed := hook(ctx); failed != nil {
			err, yield = failed, coordinator.Yield{}
		}
	}
	f.mu.Lock()
	f.flying--
	f.mu.Unlock()
	return yield, err
}

func (f *family) act(call coordinator.Call) (coordinator.Yield, []func(context.Context) error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying++
	f.peak = max(f.peak, f.flying)
	var after []func(context.Context) error
	if len(f.after) > 0 {
		after, f.after = f.after[:1], f.after[1:]
	}
	var presented int
	_, err := fmt.Sscanf(call.Refresh.Reveal(), "r%d", &presented)
	stale := presented != f.newest
	f.used = append(f.used, presented)
	if err != nil || f.revoked || (stale && f.rotation.Class == coordinator.RotationStrict) {
		f.revoked = true
		return coordinator.Yield{}, after, &coordinator.UpstreamError{Class: coordinator.ClassReauthorize, Code: "invalid_grant", Reason: "invalid_grant"}
	}
	yield := coordinator.Yield{Values: map[string]coordinator.Value{
		"access_token": {Value: coordinator.NewSecret(fmt.Sprintf("a%d", len(f.used))), Lifetime: f.lifetime},
	}}
	if f.idle || f.rotation.Class == coordinator.RotationNone {
		return yield, after, nil
	}
	f.newest++
	yield.Refresh = coordinator.NewSecret(f.refresh())
	return yield, after, nil
}

func (f *family) refresh() string { return fmt.Sprintf("r%d", f.newest) }

// presented returns how often which refresh token was presented.
func (f *family) presented() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.used)
}

// next makes something happen to the next calls after the platform has acted.
func (f *family) next(hooks ...func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after = append(f.after, hooks...)
}

// lost is an answer that never comes.
func lost(ctx context.Context) error {
	<-ctx.Done()
	return &coordinator.UpstreamError{Class: coordinator.ClassRetry, Code: "timeout", Reason: "timeout", Ambiguous: true}
}

// slowly answers after a while, however long the caller waits.
func slowly(d time.Duration) func(context.Context) error {
	return func(context.Context) error {
		time.Sleep(d)
		return nil
	}
}

// granted runs a test of a cluster of two nodes that keep one token of a family.
func granted(t *testing.T, f *family, test func(c *cluster)) {
	t.Helper()
	grantedOf(t, f, memory.Config{}, test)
}

func grantedOf(t *testing.T, f *family, config memory.Config, test func(c *cluster)) {
	t.Helper()
	bubbleWith(t, 2, config, map[string]coordinator.Provider{"family": f}, test)
}

// crm is the app of the tests of rotation.
func crm(refresh string) coordinator.App {
	return coordinator.App{
		Name: "crm", Provider: "family", Owner: "api:test",
		Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret("s"), coordinator.CredentialRefresh: coordinator.NewSecret(refresh)},
	}
}

//nolint:gochecknoglobals // a name, never changed
var crmToken = coordinator.Name{App: "crm", Token: "access_token"}

// grant returns the one grant there is.
func (c *cluster) grant() coordinator.Grant {
	c.Helper()
	grants := records[coordinator.Grant](c)
	if len(grants) != 1 {
		c.Fatalf("%d grants", len(grants))
	}
	return grants[0]
}

// dieBeforePublishing applies the app, and lets the refresher die when its first
// call is answered and the answer on its disk, but not published.
func (c *cluster) dieBeforePublishing() (dead *member, others []*member) {
	c.Helper()
	dead, others = c.refresher()
	held := dead.store.HoldNext(memory.OpPublish)
	c.apply(c.nodes[0], crm("r1"))
	<-held.Sent()
	dead.store.Partition() // for ever
	return dead, others
}

// settled checks that nothing is left over and that the newest refresh token is kept.
func (c *cluster) settled(f *family) {
	c.Helper()
	if got := c.grant().Current.Reveal(); got != f.refresh() {
		c.Errorf("the grant holds %s, the platform honours %s", got, f.refresh())
	}
	if i, s := len(records[coordinator.Intent](c)), len(records[coordinator.Salvage](c)); i+s != 0 {
		c.Errorf("%d intents and %d salvaged results are left", i, s)
	}
	for _, m := range c.nodes {
		if kept, err := m.spool.Kept(); err == nil && len(kept) != 0 {
			c.Errorf("%s keeps %d results", m.Name(), len(kept))
		}
	}
	if f.revoked {
		c.Error("the family was revoked")
	}
}
