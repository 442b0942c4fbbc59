package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrUnknownApp says that the sandbox has no app of that appid.
var ErrUnknownApp = errors.New("unknown appid")

// wechat is the emulated WeChat platform: api.weixin.qq.com and its backup hosts.
type wechat struct {
	clock  clock
	anyApp bool
	prefix string
	oracle *oracle

	mu       sync.Mutex
	accounts map[string]*account // :: appid → account
	values   map[string]*value   // :: value handed out → its life; the long dead are forgotten
	forgetAt int                 // how many values make it worth looking for the long dead
}

// account is the platform's memory of one app; guarded by wechat.mu.
type account struct {
	app       App             // with defaults
	lines     map[Line]*value // :: line → newest value; its elders hang below it
	meters    map[meter]count
	forcedAt  time.Time // of the last forced refresh that took place
	addresses map[string]*address
}

func newWechat(cfg Config, c clock, o *oracle) *wechat {
	p := &wechat{
		clock: c, anyApp: cfg.AnyApp, prefix: cfg.TokenPrefix, oracle: o,
		accounts: make(map[string]*account), values: make(map[string]*value),
	}
	for _, app := range cfg.Apps {
		p.addLocked(app)
	}
	return p
}

func (p *wechat) addLocked(app App) *account {
	acc := &account{
		app:       app.withDefaults(),
		lines:     make(map[Line]*value),
		meters:    make(map[meter]count),
		addresses: make(map[string]*address),
	}
	acc.app.AllowedIPs = slices.Clone(app.AllowedIPs)
	p.accounts[app.AppID] = acc
	return acc
}

// UpdateApp creates the app or changes its settings; values that live go on
// living as they were granted. change may not keep its argument nor call the
// sandbox; where it or the settings it makes are in error, nothing changes.
func (s *Sandbox) UpdateApp(appid string, change func(*App) error) error {
	p := s.wechat
	p.mu.Lock()
	defer p.mu.Unlock()
	acc := p.accounts[appid]
	app := App{AppID: appid}
	if acc != nil {
		app = acc.app
		app.AllowedIPs = slices.Clone(app.AllowedIPs)
	}
	if err := change(&app); err != nil {
		return fmt.Errorf("changing app %q: %w", appid, err)
	}
	if app.AppID != appid {
		return fmt.Errorf("changing app %q: the appid cannot change", appid)
	}
	if err := app.validate(); err != nil {
		return err
	}
	if acc == nil {
		p.addLocked(app)
		return nil
	}
	acc.app = app.withDefaults()
	return nil
}

// apps returns the settings of all apps without their secrets, by appid.
func (p *wechat) apps() map[string]App {
	p.mu.Lock()
	defer p.mu.Unlock()
	apps := make(map[string]App, len(p.accounts))
	for appid, acc := range p.accounts {
		app := acc.app
		app.Secret = ""
		app.AllowedIPs = slices.Clone(app.AllowedIPs)
		apps[appid] = app
	}
	return apps
}

// meter names a count of calls against a limit.
type meter string

const (
	meterPlain        meter = "plain"
	meterStable       meter = "stable"
	meterStableMinute meter = "stable_minute"
	meterForced       meter = "forced"
	meterTicket       meter = "ticket"
	meterClear        meter = "clear"
)

// count is a meter's reading in one window of the platform's calendar.
type count struct {
	window string
	n      int
}

// used returns how much of a meter the window has seen.
func (acc *account) used(m meter, window string) int {
	if acc.meters[m].window != window {
		return 0
	}
	return acc.meters[m].n
}

// left reports whether the window has room for another call.
func (acc *account) left(m meter, window string, limit int) bool {
	return acc.used(m, window) < limit
}

func (acc *account) spend(m meter, window string) {
	acc.meters[m] = count{window: window, n: acc.used(m, window) + 1}
}
