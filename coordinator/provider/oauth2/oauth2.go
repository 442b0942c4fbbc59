package oauth2

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// The tokens of one call. Other names are access tokens of their own.
const (
	AccessToken = "access_token"
	IDToken     = "id_token"
)

const (
	providerName     = "oauth2"
	defaultUserAgent = "freshet"
)

// Config says how token endpoints are reached. Its zero value is ready for use.
type Config struct {
	// Transport carries the calls. It must not retry or follow redirects, and
	// must not record bodies. Nil: outbound.NewTransport().
	Transport http.RoundTripper
	// Logger is told of each call at debug level. Nil logs nothing.
	Logger *slog.Logger
	// UserAgent is sent with each call. Empty: "freshet".
	UserAgent string
}

// Provider is the coordinator.Provider of OAuth 2. It keeps nothing but connections.
type Provider struct {
	transport http.RoundTripper
	logger    *slog.Logger
	userAgent string
	rules     map[string]rule // :: error → its meaning
}

// New returns a Provider.
func New(cfg Config) *Provider {
	p := &Provider{
		transport: cfg.Transport,
		logger:    cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		userAgent: cmp.Or(cfg.UserAgent, defaultUserAgent),
		rules:     newRules(),
	}
	if p.transport == nil {
		p.transport = outbound.NewTransport()
	}
	return p
}

// Check says in one sentence what is wrong with a resolved app: an unknown option,
// credential or token option, a missing one, one of the wrong shape, or more than one
// call on a refresh token that rotates. An app that is paused may still lack its
// refresh token: so it can be the parent of others. It never quotes a credential. The
// error is a coordinator.ErrInvalid.
func (p *Provider) Check(app coordinator.App) error {
	s, err := settingsOf(app)
	if err != nil {
		return err
	}
	if err := checkRefreshToken(app, s); err != nil {
		return err
	}
	if _, err := callingOf(app); err != nil {
		return err
	}
	return checkTokens(app, s)
}

// Identity returns "oauth2:<endpoint>:<client_id>", and for an app with a refresh
// token its name after it: whose grant that is the platform does not say, and each
// app has its own. Of an endpoint's query a digest stands in it.
func (p *Provider) Identity(app coordinator.App) string {
	u, err := endpointOf(app)
	if err != nil {
		return ""
	}
	if u.RawQuery != "" {
		sum := sha256.Sum256([]byte(u.RawQuery))
		u.RawQuery = hex.EncodeToString(sum[:6])
	}
	identity := "oauth2:" + u.String() + ":" + url.QueryEscape(app.Credentials[credentialID].Reveal())
	if grantOf(app) == grantRefreshToken {
		identity += ":" + app.Name
	}
	return identity
}

// Upstream returns the host of the token endpoint in lower case, with its port unless
// that is the scheme's own. It is empty where Check refuses the upstream.
func (p *Provider) Upstream(app coordinator.App) string {
	u, err := endpointOf(app)
	if err != nil {
		return ""
	}
	return u.Host
}

var _ coordinator.Provider = (*Provider)(nil)
