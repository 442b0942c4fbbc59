package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// App is one registration at a platform whose tokens we keep.
type App struct {
	Name     string
	Provider string // inherited from Parent when empty
	Parent   string // the app whose provider, upstream, credentials and options this one inherits
	Upstream string // base URL instead of the provider's own
	Options  map[string]string
	Tokens   map[string]TokenSettings // :: token → its settings; which tokens are kept
	Refresh  RefreshSettings
	Labels   map[string]string
	Paused   bool
	Owner    string // who applied it: "file:<name>" or "api:<client>"

	// Incarnation counts the lives of this app: creation, deletion and every
	// change of credentials begin a new one, and an attempt of a former one
	// can publish nothing.
	Incarnation int64
	Newer       Secret // fields of a newer build, kept when this is written again

	// Credentials are kept under an etcd key of their own and never leave the cluster.
	Credentials map[string]Secret // :: field → secret, e.g. "secret"

	Revision            int64 // of the specification, as last read
	CredentialsRevision int64 // of the credentials, as last read; what transactions compare
}

// TokenSettings is what an app says of one of its tokens.
type TokenSettings struct {
	Window  Window            // zero: the app's
	Options map[string]string // scope, audience …, as the provider declares
}

// RefreshSettings says how an app's tokens are refreshed. Zero fields are inherited
// from the parent, else they mean the default.
type RefreshSettings struct {
	Window   Window        // default: a third of the lifetime
	RetryMin time.Duration // first wait after a passing failure; default 5 s
	RetryMax time.Duration // longest wait; default 5 min
	Timeout  time.Duration // of one upstream call; default 10 s
	Budget   int           // upstream calls a day as the platform counts it; default: the provider's
	Probe    time.Duration // between two looks at whether a value still lives, see ProbeOff; default: the provider's
}

// Defaults of RefreshSettings.
const (
	DefaultRetryMin    = 5 * time.Second
	DefaultRetryMax    = 5 * time.Minute
	DefaultCallTimeout = 10 * time.Second
)

// ProbeOff as RefreshSettings.Probe means that no value is looked at unless
// somebody reports it dead. MinProbe is the shortest time between two looks.
const (
	ProbeOff time.Duration = -1
	MinProbe               = time.Minute
)

// Window is the last part of a lifetime, in which a token is refreshed: a share
// of the lifetime or a fixed length. At most one field is set; zero means the default.
type Window struct {
	Share  float64 // 0.33 = the last third
	Length time.Duration
}

// DefaultWindow is the last third of a lifetime.
func DefaultWindow() Window { return Window{Share: 1.0 / 3} }

// IsZero reports whether the window is not set.
func (w Window) IsZero() bool { return w == Window{} }

// String returns the window as it is written in a configuration: "33%" or "30m0s".
func (w Window) String() string {
	if w.Length > 0 {
		return w.Length.String()
	}
	return fmt.Sprintf("%g%%", w.Share*100)
}

// Of returns how long the window is for a token of the given lifetime, at most the whole lifetime.
func (w Window) Of(lifetime time.Duration) time.Duration {
	if w.Length > 0 {
		return min(w.Length, lifetime)
	}
	return time.Duration(float64(lifetime) * min(w.Share, 1))
}

// TokenNames returns the names of the tokens the app keeps, sorted.
func (a App) TokenNames() []Name {
	names := make([]Name, 0, len(a.Tokens))
	for _, token := range slices.Sorted(maps.Keys(a.Tokens)) {
		names = append(names, Name{App: a.Name, Token: token})
	}
	return names
}

// Inherit returns the app with what it leaves open filled in from its parent,
// which must be resolved already. The app's own words win.
func (a App) Inherit(parent App) App {
	a.Provider = firstOf(a.Provider, parent.Provider)
	a.Upstream = firstOf(a.Upstream, parent.Upstream)
	a.Options = overlay(parent.Options, a.Options)
	a.Credentials = overlay(withoutRefresh(parent.Credentials), a.Credentials)
	if len(a.Tokens) == 0 {
		a.Tokens = maps.Clone(parent.Tokens)
	}
	if a.Refresh.Window.IsZero() {
		a.Refresh.Window = parent.Refresh.Window
	}
	a.Refresh.RetryMin = firstOf(a.Refresh.RetryMin, parent.Refresh.RetryMin)
	a.Refresh.RetryMax = firstOf(a.Refresh.RetryMax, parent.Refresh.RetryMax)
	a.Refresh.Timeout = firstOf(a.Refresh.Timeout, parent.Refresh.Timeout)
	a.Refresh.Budget = firstOf(a.Refresh.Budget, parent.Refresh.Budget)
	a.Refresh.Probe = firstOf(a.Refresh.Probe, parent.Refresh.Probe)
	return a
}

// WithDefaults returns the app with the defaults filled in where it and its parents said nothing.
func (a App) WithDefaults() App {
	if a.Refresh.Window.IsZero() {
		a.Refresh.Window = DefaultWindow()
	}
	a.Refresh.RetryMin = firstOf(a.Refresh.RetryMin, DefaultRetryMin)
	a.Refresh.RetryMax = max(firstOf(a.Refresh.RetryMax, DefaultRetryMax), a.Refresh.RetryMin)
	a.Refresh.Timeout = firstOf(a.Refresh.Timeout, DefaultCallTimeout)
	return a
}

// CredentialRefresh is the credential that becomes the app's Grant. It is given
// like the others, is never inherited, and is handed to a call apart from them.
const CredentialRefresh = "refresh_token"

// withoutRefresh returns credentials without the refresh token.
func withoutRefresh(credentials map[string]Secret) map[string]Secret {
	if _, ok := credentials[CredentialRefresh]; !ok {
		return credentials
	}
	rest := maps.Clone(credentials)
	delete(rest, CredentialRefresh)
	return rest
}

func firstOf[T comparable](own, inherited T) T {
	var zero T
	if own != zero {
		return own
	}
	return inherited
}

func overlay[V any](under, over map[string]V) map[string]V {
	if len(under) == 0 {
		return over
	}
	m := maps.Clone(under)
	maps.Copy(m, over)
	return m
}
