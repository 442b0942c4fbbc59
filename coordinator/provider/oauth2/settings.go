package oauth2

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
)

const (
	optionGrant      = "grant"
	optionAuth       = "auth"
	optionBody       = "body"
	optionRotation   = "rotation"
	optionGrace      = "grace"
	optionLastChance = "last_chance"
	optionLifetime   = "lifetime"

	credentialID      = "client_id"
	credentialSecret  = "client_secret"
	credentialRefresh = coordinator.CredentialRefresh

	grantClientCredentials = "client_credentials"
	grantRefreshToken      = "refresh_token"

	authBasic = "basic"
	authPost  = "post"
	authNone  = "none"

	bodyForm = "form"
	bodyJSON = "json"
)

const (
	defaultGrace    = 10 * time.Minute
	defaultLifetime = time.Hour
	maxLifetime     = 365 * 24 * time.Hour // a longer one is taken for this
	maxGrace        = 30 * 24 * time.Hour  // the longest that any platform is known to have
	maxCredential   = 2048
	upstreamExample = "https://login.example.com/oauth/token"
)

// settings is what a resolved app says, understood.
type settings struct {
	endpoint url.URL
	grant    string
	auth     string
	body     string
	rotation coordinator.Rotation
	lifetime time.Duration
	id       string
	secret   coordinator.Secret
}

// settingsOf understands everything but the refresh token, which a call is handed
// apart from the app.
func settingsOf(app coordinator.App) (settings, error) {
	if err := outbound.CheckNames(providerName, "option", app.Options, optionAPI, optionAuth, optionBody, optionDead, optionGrace,
		optionGrant, optionInject, optionLastChance, optionLifetime, optionRotation); err != nil {
		return settings{}, err
	}
	if err := outbound.CheckNames(providerName, "credential", app.Credentials, credentialID, credentialSecret, credentialRefresh); err != nil {
		return settings{}, err
	}
	endpoint, err := endpointOf(app)
	if err != nil {
		return settings{}, err
	}
	s := settings{
		endpoint: endpoint, grant: grantOf(app),
		id: app.Credentials[credentialID].Reveal(), secret: app.Credentials[credentialSecret],
	}
	if s.auth, err = choice(app, optionAuth, authBasic, authPost, authNone); err != nil {
		return settings{}, err
	}
	if s.body, err = choice(app, optionBody, bodyForm, bodyJSON); err != nil {
		return settings{}, err
	}
	if _, err = choice(app, optionGrant, grantClientCredentials, grantRefreshToken); err != nil {
		return settings{}, err
	}
	if s.lifetime, err = durationOf(app, optionLifetime, defaultLifetime, maxLifetime); err != nil {
		return settings{}, err
	}
	if s.rotation, err = rotationOf(app, s.grant); err != nil {
		return settings{}, err
	}
	return s, checkCredentials(s)
}

func grantOf(app coordinator.App) string {
	return cmp.Or(app.Options[optionGrant], grantClientCredentials)
}

// choice returns an option that is one of a few words, the first by default.
func choice(app coordinator.App, option string, words ...string) (string, error) {
	given, named := app.Options[option]
	if !named {
		return words[0], nil
	}
	for _, word := range words {
		if given == word {
			return word, nil
		}
	}
	last := len(words) - 1
	return "", coordinator.Invalidf("option %s is %q: say %s or %s", option, given, strings.Join(words[:last], ", "), words[last])
}

func durationOf(app coordinator.App, option string, usual, most time.Duration) (time.Duration, error) {
	given, named := app.Options[option]
	if !named {
		return usual, nil
	}
	d, err := time.ParseDuration(given)
	if err != nil || d < time.Second || d > most {
		return 0, coordinator.Invalidf("option %s is %q: write a length from 1s to %s, like %s", option, given, most, usual)
	}
	return d, nil
}

// rotationOf returns what becomes of a refresh token that a call spends; the zero
// Rotation where it spends none.
func rotationOf(app coordinator.App, grant string) (coordinator.Rotation, error) {
	if grant != grantRefreshToken {
		for _, option := range []string{optionRotation, optionGrace, optionLastChance} {
			if _, named := app.Options[option]; named {
				return coordinator.Rotation{}, coordinator.Invalidf("option %s goes with grant: refresh_token only", option)
			}
		}
		return coordinator.Rotation{}, nil
	}
	class, err := choice(app, optionRotation, string(coordinator.RotationStrict), string(coordinator.RotationGrace),
		string(coordinator.RotationOldStays), string(coordinator.RotationNone))
	if err != nil {
		return coordinator.Rotation{}, err
	}
	r := coordinator.Rotation{Class: coordinator.RotationClass(class)}
	chance, err := choice(app, optionLastChance, "false", "true")
	if err != nil {
		return coordinator.Rotation{}, err
	}
	r.LastChance = chance == "true"
	if r.LastChance && !r.Consumes() {
		return coordinator.Rotation{}, coordinator.Invalidf("option last_chance goes with rotation strict or grace only: with %s a refresh token is never used up", class)
	}
	if r.Class == coordinator.RotationGrace {
		r.Grace, err = durationOf(app, optionGrace, defaultGrace, maxGrace)
	} else if _, named := app.Options[optionGrace]; named {
		err = coordinator.Invalidf("option grace goes with rotation: grace only")
	}
	return r, err
}

// endpointOf returns the token endpoint. Texts that it refuses are not quoted:
// somebody may have put a secret into them.
func endpointOf(app coordinator.App) (url.URL, error) {
	if app.Upstream == "" {
		return url.URL{}, coordinator.Invalidf("upstream is missing: write the URL of the token endpoint, like %s", upstreamExample)
	}
	u, err := url.Parse(app.Upstream)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || !outbound.ValidHost(u.Host) || u.Opaque != "" {
		return url.URL{}, coordinator.Invalidf("upstream is not an http or https URL: write that of the token endpoint, like %s", upstreamExample)
	}
	if u.User != nil || strings.Contains(app.Upstream, "#") {
		return url.URL{}, coordinator.Invalidf("upstream has a user or a fragment in it: write only the URL of the token endpoint, like %s", upstreamExample)
	}
	u.Host = outbound.PlainHost(u.Scheme, u.Host)
	return *u, nil
}

func checkCredentials(s settings) error {
	if err := outbound.CheckCredential(credentialID, s.id, maxCredential); err != nil {
		return err
	}
	switch {
	case s.auth != authNone:
		return outbound.CheckCredential(credentialSecret, s.secret.Reveal(), maxCredential)
	case !s.secret.IsZero():
		return coordinator.Invalidf("credential client_secret is given, but option auth is none: say basic or post, or leave the secret out")
	case s.grant == grantClientCredentials:
		return coordinator.Invalidf("option auth is none: grant client_credentials needs a client_secret, so say basic or post")
	}
	return nil
}
