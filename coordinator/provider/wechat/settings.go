package wechat

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

// mode is the line an app's access_token comes from.
type mode string

const (
	modeStable mode = "stable"
	modePlain  mode = "plain"
)

const (
	providerName = "wechat"

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
	if err := outbound.CheckNames(providerName, "option", app.Options, optionBackupHosts, optionMode); err != nil {
		return settings{}, err
	}
	if err := outbound.CheckNames(providerName, "credential", app.Credentials, credentialAppID, credentialSecret); err != nil {
		return settings{}, err
	}
	for _, name := range []string{credentialAppID, credentialSecret} {
		if err := outbound.CheckCredential(name, app.Credentials[name].Reveal(), maxCredential); err != nil {
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

// baseOf returns the upstream as scheme and host. Texts that it refuses are not
// quoted: somebody may have put a secret into them.
func baseOf(app coordinator.App) (url.URL, error) {
	if app.Upstream == "" {
		return url.URL{Scheme: "https", Host: defaultHost}, nil
	}
	u, err := url.Parse(app.Upstream)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || !outbound.ValidHost(u.Host) {
		return url.URL{}, coordinator.Invalidf("upstream is not an http or https URL: write it like %s", upstreamExample)
	}
	bare := u.User == nil && u.Opaque == "" && (u.Path == "" || u.Path == "/") &&
		u.RawQuery == "" && !u.ForceQuery && !strings.Contains(app.Upstream, "#")
	if !bare {
		return url.URL{}, coordinator.Invalidf("upstream has more than scheme and host: write it like %s", upstreamExample)
	}
	return url.URL{Scheme: u.Scheme, Host: outbound.PlainHost(u.Scheme, u.Host)}, nil
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
		hosts[i] = outbound.PlainHost(s.base.Scheme, strings.TrimSpace(host))
		if !outbound.ValidHost(hosts[i]) {
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
	if err := outbound.CheckNames(providerName, "token", app.Tokens, AccessToken, JSAPITicket, WxCardTicket); err != nil {
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
