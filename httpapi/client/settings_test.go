package client

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestSettingsReadAndWriteTheirText(t *testing.T) {
	const text = `{"window":"12.5%","retry":"5s..5m","timeout":"1h30m","budget":"500/day","probe":"5m"}`
	want := RefreshSettings{
		Window: Window{Share: 0.125}, Retry: Retry{Min: 5 * time.Second, Max: 5 * time.Minute},
		Timeout: Duration(90 * time.Minute), Budget: 500, Probe: Probe(5 * time.Minute),
	}
	var got RefreshSettings
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	written, err := json.Marshal(got)
	if err != nil || string(written) != text {
		t.Errorf("written as %s, %v", written, err)
	}
	if written, err := json.Marshal(RefreshSettings{}); err != nil || string(written) != "{}" {
		t.Errorf("nothing is written as %s, %v", written, err)
	}
}

func TestWindowTexts(t *testing.T) {
	for text, want := range map[string]Window{
		"33%": {Share: 0.33}, "100%": {Share: 1}, "30m": {Length: 30 * time.Minute}, "1h": {Length: time.Hour},
	} {
		var got Window
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q is read as %+v, written as %q, %v", text, got, got, err)
		}
	}
	if got := (Window{Share: 1.0 / 3}).String(); got != "33.33%" {
		t.Errorf("a third is written as %q", got)
	}
}

func TestSettingsRefuseWhatTheyAreNot(t *testing.T) {
	for _, text := range []string{"", "0%", "-5%", "101%", "NaN%", "Inf%", "%", "33", "0s", "-5m", "x"} {
		if err := new(Window).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("window %q is taken", text)
		}
	}
	for _, text := range []string{"", "5s", "5m..5s", "..", "0s..5m", "5s..", "5s..5m..6m"} {
		if err := new(Retry).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("retry %q is taken", text)
		}
	}
	for _, text := range []string{"", "0s", "59s", "-5m", "on", "OFF"} {
		if err := new(Probe).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("probe %q is taken", text)
		}
	}
	for _, text := range []string{"", "500", "0/day", "-1/day", "5/hour", "99999999999/day", "/day"} {
		if err := new(Budget).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("budget %q is taken", text)
		}
	}
	for _, text := range []string{"", "10", "0s", "-1s", "x"} {
		if err := new(Duration).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("duration %q is taken", text)
		}
	}
}

func TestTokenSettingsStandBesideTheirOptions(t *testing.T) {
	want := map[string]TokenSettings{
		"access_token": {}, "ticket": {Window: Window{Length: 30 * time.Minute}}, "graph": {Options: map[string]string{"scope": "a b", "audience": "x"}},
	}
	const asJSON = `{"access_token":{},"graph":{"audience":"x","scope":"a b"},"ticket":{"window":"30m"}}`
	const asYAML = "access_token: {}\ngraph: {scope: \"a b\", audience: x}\nticket: {window: 30m}\n"
	var fromJSON, fromYAML map[string]TokenSettings
	if err := json.Unmarshal([]byte(asJSON), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(asYAML), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, fromJSON); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, fromYAML); diff != "" {
		t.Errorf("YAML (-want +got):\n%s", diff)
	}
	if written, err := json.Marshal(want); err != nil || string(written) != asJSON {
		t.Errorf("written as %s, %v", written, err)
	}
}

func TestAppReadsFromYAML(t *testing.T) {
	const text = `
provider: wechat
upstream: https://api.example.com
credentials: {appid: wx1, secret: s}
options: {mode: stable}
tokens: {access_token: {}, jsapi_ticket: {window: 25%}}
refresh: {window: 33%, retry: 5s..5m, timeout: 10s, budget: 500/day}
labels: {team: retail}
paused: true
`
	want := App{
		Provider: "wechat", Upstream: "https://api.example.com", Credentials: Credentials{"appid": "wx1", "secret": "s"},
		Options: map[string]string{"mode": "stable"},
		Tokens:  map[string]TokenSettings{"access_token": {}, "jsapi_ticket": {Window: Window{Share: 0.25}}},
		Refresh: RefreshSettings{
			Window: Window{Share: 0.33}, Retry: Retry{Min: 5 * time.Second, Max: 5 * time.Minute}, Timeout: Duration(10 * time.Second), Budget: 500,
		},
		Labels: map[string]string{"team": "retail"}, Paused: true,
	}
	var got App
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzWindow(f *testing.F) {
	for _, seed := range []string{"33%", "30m", "1e-9%", "0x1p3%", "1ns", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var w Window
		if w.UnmarshalText([]byte(text)) != nil {
			return
		}
		if w.IsZero() || w.Share < 0 || w.Share > 1 || w.Length < 0 {
			t.Errorf("%q is read as %+v", text, w)
		}
	})
}
