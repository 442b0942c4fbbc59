package wechat

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// The tokens an app can keep, which are also the names of their fetch groups.
const (
	AccessToken  = "access_token"
	JSAPITicket  = "jsapi_ticket"
	WxCardTicket = "wx_card_ticket"
)

// DefaultUpstream is asked where an app names no upstream.
const DefaultUpstream = "https://api.weixin.qq.com"

// DefaultBackupHost is the platform's host for disaster recovery, used by the
// stable line where an app names neither an upstream nor backup hosts.
const DefaultBackupHost = "api2.weixin.qq.com"

const (
	defaultHost      = "api.weixin.qq.com"
	defaultUserAgent = "freshet"
)

// Config says how the platform is reached. Its zero value is ready for use.
type Config struct {
	// Transport carries the calls. It must not retry or follow redirects, and
	// must not record queries. Nil: outbound.NewTransport().
	Transport http.RoundTripper
	// Logger is told of each call at debug level, and of each use of a backup
	// host as a warning. Nil logs nothing.
	Logger *slog.Logger
	// UserAgent is sent with each call. Empty: "freshet".
	UserAgent string
}

// Provider is the coordinator.Provider and coordinator.Prober of WeChat. It
// keeps nothing but connections.
type Provider struct {
	transport http.RoundTripper
	logger    *slog.Logger
	userAgent string
	beijing   *time.Location // fixed, so that no time zone data is needed
	rules     rulebook
}

// New returns a Provider.
func New(cfg Config) *Provider {
	p := &Provider{
		transport: cfg.Transport,
		logger:    cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		userAgent: cmp.Or(cfg.UserAgent, defaultUserAgent),
		beijing:   time.FixedZone("CST", 8*60*60),
		rules:     newRulebook(),
	}
	if p.transport == nil {
		p.transport = outbound.NewTransport()
	}
	return p
}

// Check says in one sentence what is wrong with a resolved app: an unknown
// option, credential or token, a missing one, or one of the wrong shape. It
// never quotes a credential. The error is a coordinator.ErrInvalid.
func (p *Provider) Check(app coordinator.App) error {
	if _, err := settingsOf(app); err != nil {
		return err
	}
	return checkTokens(app)
}

// Identity returns "wechat:<appid>:<mode>". The mode is part of it because the
// platform keeps both lines apart: an app on each can be kept at once.
func (p *Provider) Identity(app coordinator.App) string {
	return identity(app.Credentials[credentialAppID].Reveal(), modeOf(app))
}

func identity(appID string, line mode) string { return "wechat:" + appID + ":" + string(line) }

// Upstream returns the host of the app's upstream in lower case, with its port
// unless that is the scheme's own. It is empty where Check refuses the upstream.
func (p *Provider) Upstream(app coordinator.App) string {
	base, err := baseOf(app)
	if err != nil {
		return ""
	}
	return base.Host
}

var (
	_ coordinator.Fetcher = (*Provider)(nil)
	_ coordinator.Prober  = (*Provider)(nil)
)
