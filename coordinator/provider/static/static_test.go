package static_test

import (
	"errors"
	"strings"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/static"
)

func app() coordinator.App {
	return coordinator.App{Name: "legacy", Provider: "static", Tokens: map[string]coordinator.TokenSettings{"ticket": {}, "access_token": {}}}
}

func TestCheckSaysWhatHasNoMeaning(t *testing.T) {
	if err := static.New().Check(app()); err != nil {
		t.Errorf("an app as it should be: %v", err)
	}
	for says, change := range map[string]func(a *coordinator.App){
		"no upstream": func(a *coordinator.App) { a.Upstream = "https://x" },
		"no credentials (key is given)": func(a *coordinator.App) {
			a.Credentials = map[string]coordinator.Secret{"key": coordinator.NewSecret("canary")}
		},
		`unknown option "mode"`: func(a *coordinator.App) { a.Options = map[string]string{"mode": "x"} },
		"no token is kept":      func(a *coordinator.App) { a.Tokens = nil },
		`unknown option "scope" of token ticket`: func(a *coordinator.App) {
			a.Tokens["ticket"] = coordinator.TokenSettings{Options: map[string]string{"scope": "x"}}
		},
	} {
		a := app()
		change(&a)
		err := static.New().Check(a)
		if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("got error %v, want one that says %q", err, says)
		}
	}
}

// Nobody is asked: there is no way to.
func TestItIsNoFetcher(t *testing.T) {
	var p coordinator.Provider = static.New()
	if _, fetches := p.(coordinator.Fetcher); fetches {
		t.Error("static is a Fetcher")
	}
	if _, probes := p.(coordinator.Prober); probes {
		t.Error("static is a Prober")
	}
}

func TestEachTokenIsAGroupOfItsOwn(t *testing.T) {
	groups := static.New().Groups(app())
	if len(groups) != 2 || groups[0].Name != "access_token" || groups[1].Name != "ticket" || len(groups[1].Tokens) != 1 {
		t.Errorf("got %+v", groups)
	}
	other := app()
	other.Name = "other"
	if static.New().Identity(app()) == static.New().Identity(other) {
		t.Error("two apps have one identity")
	}
}
