package oauth2_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"

	"github.com/google/go-cmp/cmp"
)

const endpoint = "https://login.example.com/oauth/token"

func TestCheckSaysWhatIsWrong(t *testing.T) {
	grant := options{"grant": "refresh_token"}
	with := func(base options, more ...string) options {
		o := maps.Clone(base)
		if o == nil {
			o = options{}
		}
		for i := 0; i < len(more); i += 2 {
			o[more[i]] = more[i+1]
		}
		return o
	}
	tokens := func(names ...string) map[string]coordinator.TokenSettings {
		m := map[string]coordinator.TokenSettings{}
		for _, name := range names {
			m[name] = coordinator.TokenSettings{}
		}
		return m
	}
	option := func(token, name, text string) map[string]coordinator.TokenSettings {
		return map[string]coordinator.TokenSettings{token: {Options: options{name: text}}}
	}
	for name, test := range map[string]struct {
		options options
		change  func(app *coordinator.App)
		want    string // the start of the sentence; empty: nothing is wrong
	}{
		"client credentials":           {},
		"everything":                   {options: with(grant, "auth", "post", "body", "json", "rotation", "grace", "grace", "30m", "last_chance", "true", "lifetime", "30m"), change: setGranted},
		"a public client":              {options: with(grant, "auth", "none"), change: setGranted},
		"tokens of their own":          {change: func(a *coordinator.App) { a.Tokens = tokens("access_token", "id_token", "graph") }},
		"tokens of a grant that stays": {options: with(grant, "rotation", "none"), change: func(a *coordinator.App) { setGranted(a); a.Tokens = tokens("access_token", "graph") }},
		"one call with two tokens":     {options: grant, change: func(a *coordinator.App) { setGranted(a); a.Tokens = tokens("access_token", "id_token") }},
		"scope, audience and resources": {change: func(a *coordinator.App) {
			a.Tokens["graph"] = coordinator.TokenSettings{Options: options{"scope": "a b", "audience": "x", "resource": "https://a.example urn:b"}}
		}},
		"a query in the endpoint":             {change: func(a *coordinator.App) { a.Upstream += "?p=policy" }},
		"paused, without refresh token":       {options: grant, change: func(a *coordinator.App) { a.Paused = true }},
		"a former grant, said to be unused":   {options: options{"grant": "client_credentials"}, change: setGranted},
		"unknown option":                      {options: options{"rotaton": "none"}, want: `unknown option "rotaton": oauth2 knows api, auth, body, dead,`},
		"unknown credential":                  {change: func(a *coordinator.App) { a.Credentials["secret"] = coordinator.NewSecret("x") }, want: `unknown credential "secret": oauth2 knows client_id, client_secret, refresh_token`},
		"unknown grant":                       {options: options{"grant": "password"}, want: `option grant is "password": say client_credentials or refresh_token`},
		"unknown auth":                        {options: options{"auth": "private_key_jwt"}, want: `option auth is "private_key_jwt": say basic, post or none`},
		"unknown body":                        {options: options{"body": "xml"}, want: `option body is "xml": say form or json`},
		"unknown rotation":                    {options: with(grant, "rotation", "often"), change: setGranted, want: `option rotation is "often": say strict, grace, old-stays or none`},
		"last_chance":                         {options: with(grant, "last_chance", "yes"), change: setGranted, want: `option last_chance is "yes": say false or true`},
		"last_chance where none is needed":    {options: with(grant, "last_chance", "true", "rotation", "none"), change: setGranted, want: "option last_chance goes with rotation strict or grace only"},
		"grace without grace":                 {options: with(grant, "grace", "5m"), change: setGranted, want: "option grace goes with rotation: grace only"},
		"a grace of no length":                {options: with(grant, "rotation", "grace", "grace", "soon"), change: setGranted, want: `option grace is "soon": write a length from 1s to 720h0m0s`},
		"a lifetime too long":                 {options: options{"lifetime": "100000h"}, want: `option lifetime is "100000h": write a length`},
		"a lifetime too short":                {options: options{"lifetime": "0s"}, want: `option lifetime is "0s": write a length`},
		"rotation without refresh token":      {options: options{"rotation": "strict"}, want: "option rotation goes with grant: refresh_token only"},
		"no upstream":                         {change: func(a *coordinator.App) { a.Upstream = "" }, want: "upstream is missing: write the URL of the token endpoint"},
		"no URL":                              {change: func(a *coordinator.App) { a.Upstream = "login.example.com" }, want: "upstream is not an http or https URL"},
		"a password in the URL":               {change: func(a *coordinator.App) { a.Upstream = "https://u:" + testSecret + "@x.example/t" }, want: "upstream"},
		"a fragment":                          {change: func(a *coordinator.App) { a.Upstream += "#x" }, want: "upstream has a user or a fragment"},
		"no client_id":                        {change: func(a *coordinator.App) { delete(a.Credentials, "client_id") }, want: "credential client_id is missing"},
		"no client_secret":                    {change: func(a *coordinator.App) { delete(a.Credentials, "client_secret") }, want: "credential client_secret is missing"},
		"a line break after the secret":       {change: func(a *coordinator.App) { a.Credentials["client_secret"] = coordinator.NewSecret(testSecret + "\n") }, want: "credential client_secret holds a space"},
		"a secret for a public client":        {options: with(grant, "auth", "none"), change: func(a *coordinator.App) { setGranted(a); a.Credentials["client_secret"] = coordinator.NewSecret("x") }, want: "credential client_secret is given, but option auth is none"},
		"client credentials without secret":   {options: options{"auth": "none"}, want: "option auth is none: grant client_credentials needs a client_secret"},
		"no refresh token":                    {options: grant, want: "credential refresh_token is missing"},
		"a refresh token for nothing":         {change: setGranted, want: "credential refresh_token is given, but option grant is not"},
		"no token":                            {change: func(a *coordinator.App) { a.Tokens = nil }, want: "no token is kept"},
		"two calls on a rotating grant":       {options: grant, change: func(a *coordinator.App) { setGranted(a); a.Tokens = tokens("access_token", "graph") }, want: "tokens access_token and graph need a call each"},
		"two calls, though the old one stays": {options: with(grant, "rotation", "old-stays"), change: func(a *coordinator.App) { setGranted(a); a.Tokens = tokens("graph", "mail") }, want: "tokens graph and mail need a call each"},
		"unknown token option":                {change: func(a *coordinator.App) { a.Tokens = option("graph", "scop", "a") }, want: `unknown option "scop" of token graph`},
		"an option of id_token":               {change: func(a *coordinator.App) { a.Tokens = option("id_token", "scope", "a") }, want: `unknown option "scope" of token id_token: it comes with access_token`},
		"an empty scope":                      {change: func(a *coordinator.App) { a.Tokens = option("graph", "scope", "") }, want: "option scope of token graph is empty"},
		"a scope with a line break":           {change: func(a *coordinator.App) { a.Tokens = option("graph", "scope", "a\nb") }, want: "option scope of token graph is empty"},
		"a relative resource":                 {change: func(a *coordinator.App) { a.Tokens = option("graph", "resource", "x") }, want: "option resource of token graph: write absolute URIs"},
	} {
		t.Run(name, func(t *testing.T) {
			app := testApp(endpoint, test.options)
			if test.change != nil {
				test.change(&app)
			}
			err := oauth2.New(oauth2.Config{}).Check(app)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want) || !errors.Is(err, coordinator.ErrInvalid)):
				t.Errorf("error %v, want %q…", err, test.want)
			case err != nil && strings.Contains(err.Error(), testSecret):
				t.Errorf("error %v quotes a secret", err)
			}
		})
	}
}

func setGranted(app *coordinator.App) { *app = granted(*app) }

func TestGroupsAreCallsAndSayWhatTheySpend(t *testing.T) {
	p := oauth2.New(oauth2.Config{})
	app := testApp(endpoint, nil)
	app.Tokens = map[string]coordinator.TokenSettings{"graph": {}, "id_token": {}, "access_token": {}, "admin": {}}
	want := []coordinator.Group{
		{Name: "access_token", Tokens: []string{"access_token", "id_token"}},
		{Name: "admin", Tokens: []string{"admin"}},
		{Name: "graph", Tokens: []string{"graph"}},
	}
	if diff := cmp.Diff(want, p.Groups(app)); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		options options
		want    coordinator.Rotation
	}{
		{options{}, coordinator.Rotation{Class: coordinator.RotationStrict}},
		{options{"rotation": "none"}, coordinator.Rotation{Class: coordinator.RotationNone}},
		{options{"rotation": "old-stays"}, coordinator.Rotation{Class: coordinator.RotationOldStays}},
		{options{"rotation": "grace"}, coordinator.Rotation{Class: coordinator.RotationGrace, Grace: 10 * time.Minute}},
		{options{"rotation": "grace", "grace": "30m"}, coordinator.Rotation{Class: coordinator.RotationGrace, Grace: 30 * time.Minute}},
		{options{"last_chance": "true"}, coordinator.Rotation{Class: coordinator.RotationStrict, LastChance: true}},
	} {
		test.options["grant"] = "refresh_token"
		groups := p.Groups(testApp(endpoint, test.options))
		if len(groups) != 1 || groups[0].Rotation != test.want {
			t.Errorf("%v: %+v, want %+v", test.options, groups, test.want)
		}
	}
}

func TestIdentityIsTheClientOrTheGrant(t *testing.T) {
	p := oauth2.New(oauth2.Config{})
	app := testApp("https://LOGIN.example.com:443/oauth/token", nil)
	if got, want := p.Identity(app), "oauth2:https://login.example.com/oauth/token:crm%3Aclient"; got != want {
		t.Errorf("identity %q, want %q", got, want)
	}
	app.Upstream += "?p=" + testSecret
	if got := p.Identity(app); strings.Contains(got, testSecret) || !strings.HasPrefix(got, "oauth2:https://login.example.com/oauth/token?") {
		t.Errorf("identity %q, want the query digested", got)
	}
	app = testApp(endpoint, options{"grant": "refresh_token"})
	other := app
	other.Name = "crm-4711"
	if p.Identity(app) == p.Identity(other) {
		t.Error("two grants of one client have one identity")
	}
	if got := p.Upstream(app); got != "login.example.com" {
		t.Errorf("upstream %q", got)
	}
	app.Upstream = "x"
	if p.Identity(app) != "" || p.Upstream(app) != "" {
		t.Error("an upstream that Check refuses has a name")
	}
}
