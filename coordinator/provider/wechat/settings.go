package wechat

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"freshet/coordinator"
)

// mode is the line an app's access_token comes from.
type mode string

const (
	modeStable mode = "stable"
	modePlain  mode = "plain"
)

const (
	optionMode        = "mode"
	optionBackupHosts = "backup_hosts"

	credentialAppID  = "appid"
	credentialSecret = "secret"

	noBackupHosts   = "none"
	maxBackupHosts  = 4
	maxCredential   = 256
	upstreamExample = DefaultUpstream
)

// settings is what a resolved app says, understood.
type settings struct {
	mode    mode
	base    url.URL
	backups []string // hosts for normal calls on the stable line
	appID   string
	secret  coordinator.Secret
}

func settingsOf(app coordinator.App) (settings, error) {
	if err := checkNames("option", app.Options, optionBackupHosts, optionMode); err != nil {
		return settings{}, err
	}
	if err := checkNames("credential", app.Credentials, credentialAppID, credentialSecret); err != nil {
		return settings{}, err
	}
	for _, name := range []string{credentialAppID, credentialSecret} {
		if err := checkCredential(name, app.Credentials[name].Reveal()); err != nil {
			return settings{}, err
		}
	}
	s := settings{
		mode:   modeOf(app),
		appID:  app.Credentials[credentialAppID].Reveal(),
		secret: app.Credentials[credentialSecret],
	}
	if s.mode != modeStable && s.mode != modePlain {
		return settings{}, coordinator.Invalidf("option mode is %q: say stable or plain", app.Options[optionMode])
	}
	base, err := baseOf(app)
	if err != nil {
		return settings{}, err
	}
	s.base = base
	s.backups, err = backupsOf(app, s)
	return s, err
}

func modeOf(app coordinator.App) mode {
	if m := app.Options[optionMode]; m != "" {
		return mode(m)
	}
	return modeStable
}

// checkNames refuses a name that is not known, the first in order.
func checkNames[V any](what string, given map[string]V, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			return coordinator.Invalidf("unknown %s %q: wechat knows %s", what, name, strings.Join(known, ", "))
		}
	}
	return nil
}

func checkCredential(name, text string) error {
	switch {
	case text == "":
		return coordinator.Invalidf("credential %s is missing", name)
	case len(text) > maxCredential:
		return coordinator.Invalidf("credential %s is longer than %d bytes", name, maxCredential)
	case strings.ContainsFunc(text, invisible):
		return coordinator.Invalidf("credential %s holds a space, a line break or another unprintable or non-ASCII character: "+
			"look at the end of its source", name)
	}
	return nil
}

func invisible(r rune) bool { return r <= ' ' || r > '~' }

// baseOf returns the upstream as scheme and host. Texts that it refuses are not
// quoted: somebody may have put a secret into them.
func baseOf(app coordinator.App) (url.URL, error) {
	if app.Upstream == "" {
		return url.URL{Scheme: "https", Host: defaultHost}, nil
	}
	u, err := url.Parse(app.Upstream)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || !validHost(u.Host) {
		return url.URL{}, coordinator.Invalidf("upstream is not an http or https URL: write it like %s", upstreamExample)
	}
	bare := u.User == nil && u.Opaque == "" && (u.Path == "" || u.Path == "/") &&
		u.RawQuery == "" && !u.ForceQuery && !strings.Contains(app.Upstream, "#")
	if !bare {
		return url.URL{}, coordinator.Invalidf("upstream has more than scheme and host: write it like %s", upstreamExample)
	}
	return url.URL{Scheme: u.Scheme, Host: plainHost(u.Scheme, u.Host)}, nil
}

// plainHost writes one host always in the same way.
func plainHost(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// validHost reports whether host is a name or an address with an optional port.
func validHost(host string) bool {
	u, err := url.Parse("//" + host)
	return err == nil && u.Host == host && u.Hostname() != "" && !strings.HasSuffix(host, ":") &&
		!strings.ContainsFunc(host, invisible)
}

func backupsOf(app coordinator.App, s settings) ([]string, error) {
	text, named := app.Options[optionBackupHosts]
	switch {
	case !named && s.mode == modeStable && s.base.Scheme == "https" && s.base.Host == defaultHost:
		return []string{DefaultBackupHost}, nil
	case !named:
		return nil, nil
	case s.mode != modeStable:
		return nil, coordinator.Invalidf("option backup_hosts goes with mode stable only: a second plain call kills the first one's token")
	case text == noBackupHosts:
		return nil, nil
	}
	hosts := strings.Split(text, ",")
	if len(hosts) > maxBackupHosts {
		return nil, coordinator.Invalidf("option backup_hosts names more than %d hosts", maxBackupHosts)
	}
	for i, host := range hosts {
		hosts[i] = plainHost(s.base.Scheme, strings.TrimSpace(host))
		if !validHost(hosts[i]) {
			return nil, coordinator.Invalidf("option backup_hosts: host %d is not a host name: "+
				"write hosts without scheme and path, separated by commas, or none", i+1)
		}
	}
	return hosts, nil
}

// checkTokens refuses tokens that do not exist or cannot be kept alone.
func checkTokens(app coordinator.App) error {
	if len(app.Tokens) == 0 {
		return coordinator.Invalidf("no token is kept: name access_token")
	}
	if err := checkNames("token", app.Tokens, AccessToken, JSAPITicket, WxCardTicket); err != nil {
		return err
	}
	if _, kept := app.Tokens[AccessToken]; !kept {
		return coordinator.Invalidf("tickets are asked for with the access_token: keep access_token too")
	}
	for _, token := range slices.Sorted(maps.Keys(app.Tokens)) {
		for _, option := range slices.Sorted(maps.Keys(app.Tokens[token].Options)) {
			return coordinator.Invalidf("unknown option %q of token %s: wechat's tokens have none", option, token)
		}
	}
	return nil
}
