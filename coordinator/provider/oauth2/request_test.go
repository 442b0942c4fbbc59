package oauth2_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"

	"github.com/google/go-cmp/cmp"
)

// seen is what a server sees of a request.
type seen struct {
	Method, URL, Type, Authorization, Accept, Agent, Body string
}

func TestRequestsHaveTheShapeOfTheStandards(t *testing.T) {
	const (
		basic = "Basic Y3JtJTNBY2xpZW50OmNhbmFyeSUyQnNlY3JldCUyRiUyNSUzRDdkMWY="
		form  = "application/x-www-form-urlencoded"
		post  = "client_id=crm%3Aclient&client_secret=canary%2Bsecret%2F%25%3D7d1f&"
	)
	for name, test := range map[string]struct {
		options options
		token   options
		want    seen
	}{
		"credentials, basic": {nil, nil, seen{Authorization: basic, Type: form, Body: "grant_type=client_credentials"}},
		"credentials, post":  {options{"auth": "post"}, nil, seen{Type: form, Body: post + "grant_type=client_credentials"}},
		"refresh, basic": {
			options{"grant": "refresh_token"},
			options{"scope": "a b"},
			seen{Authorization: basic, Type: form, Body: "grant_type=refresh_token&refresh_token=" + testRefresh + "&scope=a+b"},
		},
		"refresh, none, JSON": {
			options{"grant": "refresh_token", "auth": "none", "body": "json"},
			options{"audience": "x", "resource": "https://a.example https://b.example"},
			seen{Type: "application/json", Body: `{"audience":"x","client_id":"crm:client","grant_type":"refresh_token",` +
				`"refresh_token":"` + testRefresh + `","resource":["https://a.example","https://b.example"]}`},
		},
		"post, JSON": {
			options{"auth": "post", "body": "json"},
			options{"resource": "https://a.example"},
			seen{Type: "application/json", Body: `{"client_id":"crm:client","client_secret":"` + testSecret +
				`","grant_type":"client_credentials","resource":"https://a.example"}`},
		},
		"resources": {
			nil,
			options{"resource": "https://a.example https://b.example"},
			seen{Authorization: basic, Type: form, Body: "grant_type=client_credentials&resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests := make(chan seen, 8)
			upstream := serving(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				h := r.Header
				requests <- seen{
					r.Method, r.URL.String(), h.Get("Content-Type"), h.Get("Authorization"), h.Get("Accept"), h.Get("User-Agent"), string(body),
				}
				_, _ = io.WriteString(w, `{"access_token":"`+freshAccess+`","token_type":"Bearer","expires_in":"300","refresh_token":"`+freshNext+`"}`)
			})
			app := testApp(upstream+"?p=1", test.options)
			app.Tokens[oauth2.AccessToken] = coordinator.TokenSettings{Options: test.token}
			yield, err := fetch(t, granted(app), testRefresh)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Method, test.want.URL, test.want.Accept, test.want.Agent = "POST", "/oauth/token?p=1", "application/json", "freshet"
			if diff := cmp.Diff(test.want, <-requests); diff != "" || len(requests) != 0 {
				t.Errorf("%s, and %d more requests", diff, len(requests))
			}
			value := yield.Values[oauth2.AccessToken]
			if value.Value.Reveal() != freshAccess || value.Lifetime != 5*time.Minute || value.Type != "Bearer" || value.Scope != test.token["scope"] {
				t.Errorf("value %+v", value)
			}
			if next := yield.Refresh.Reveal(); (next == freshNext) != (test.options["grant"] == "refresh_token") {
				t.Errorf("refresh token %q", next)
			}
		})
	}
}

// TestTheRefreshTokenComesFromTheCallAlone: the one among the credentials may be older.
func TestTheRefreshTokenComesFromTheCallAlone(t *testing.T) {
	upstream := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("refresh_token") != "from-the-call" {
			t.Errorf("presented %q", r.FormValue("refresh_token"))
		}
		_, _ = io.WriteString(w, `{"access_token":"a","refresh_token":"from-the-call"}`)
	})
	app := granted(testApp(upstream, options{"grant": "refresh_token", "lifetime": "7m"}))
	yield, err := fetch(t, app, "from-the-call")
	if err != nil || !yield.Refresh.IsZero() || yield.Values[oauth2.AccessToken].Lifetime != 7*time.Minute {
		t.Errorf("%+v, %v; want no refresh token where it is the one presented", yield, err)
	}
	_, err = fetch(t, app, "")
	if up := upstreamError(t, err); up.Class != coordinator.ClassReauthorize || up.Ambiguous {
		t.Errorf("%+v; want reauthorize without a call", up)
	}
}
