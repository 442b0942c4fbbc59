package oauth2_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
)

func TestCallsGoWhereTheOptionsSay(t *testing.T) {
	bearer := coordinator.Place{Header: "Authorization", Prefix: "Bearer "}
	for name, test := range map[string]struct {
		options options
		base    string
		place   coordinator.Place
	}{
		"as a rule":     {options{"api": "https://api.example.com"}, "https://api.example.com", bearer},
		"bearer":        {options{"api": "https://API.example.com:443/", "inject": "bearer"}, "https://api.example.com", bearer},
		"below a path":  {options{"api": "http://127.0.0.1:8080/v2/x/"}, "http://127.0.0.1:8080/v2/x", bearer},
		"in a header":   {options{"api": "https://api.example.com", "inject": "header:x-token"}, "https://api.example.com", coordinator.Place{Header: "X-Token"}},
		"in the query":  {options{"api": "https://api.example.com", "inject": "query:access_token"}, "https://api.example.com", coordinator.Place{Query: "access_token"}},
		"an odd header": {options{"api": "https://api.example.com", "inject": "header:Authorization"}, "https://api.example.com", coordinator.Place{Header: "Authorization"}},
	} {
		p, app := oauth2.New(oauth2.Config{}), testApp(endpoint, test.options)
		got, err := p.Injection(app)
		if err != nil || p.Check(app) != nil {
			t.Errorf("%s: %v, %v", name, err, p.Check(app))
			continue
		}
		if got.Base.String() != test.base || got.Token != "access_token" || !got.Any || got.Place != test.place {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCheckSaysWhatIsWrongWithCalls(t *testing.T) {
	const api = "https://api.example.com"
	for name, test := range map[string]struct {
		options options
		want    string // the start of the sentence
	}{
		"no scheme":            {options{"api": "api.example.com"}, "option api is not an http or https URL"},
		"another scheme":       {options{"api": "file:///etc/passwd"}, "option api is not an http or https URL"},
		"a password":           {options{"api": "https://u:" + testSecret + "@x.example"}, "option api"},
		"a query":              {options{"api": api + "?key=" + testSecret}, "option api has a user, a query"},
		"an empty query":       {options{"api": api + "?"}, "option api has a user, a query"},
		"a fragment":           {options{"api": api + "#x"}, "option api has a user, a query"},
		"climbing":             {options{"api": api + "/v2/../admin"}, "option api has an odd path"},
		"climbing by escapes":  {options{"api": api + "/v2/%2e%2e"}, "option api has an odd path"},
		"two slashes":          {options{"api": api + "//v2"}, "option api has an odd path"},
		"nothing":              {options{"api": ""}, "option api is not an http or https URL"},
		"inject without api":   {options{"inject": "bearer"}, "option inject goes with option api only"},
		"dead without api":     {options{"dead": "401"}, "option dead goes with option api only"},
		"an unknown place":     {options{"api": api, "inject": "cookie:x"}, `option inject is "cookie:x": say bearer, header:X-Token or query:access_token`},
		"a header's line end":  {options{"api": api, "inject": "header:X\r\nY"}, "option inject is"},
		"no header":            {options{"api": api, "inject": "header:"}, "option inject is"},
		"HTTP's own header":    {options{"api": api, "inject": "header:host"}, `option inject is "header:host": HTTP itself needs that header`},
		"a parameter with &":   {options{"api": api, "inject": "query:a&b"}, "option inject is"},
		"dead without meaning": {options{"api": api, "dead": "always"}, `option dead is "always": say how the API refuses`},
		"dead by success":      {options{"api": api, "dead": "200"}, `option dead is "200"`},
		"dead by failure":      {options{"api": api, "dead": "503"}, `option dead is "503"`},
		"dead by nothing":      {options{"api": api, "dead": "401,"}, `option dead is "401,"`},
		"dead by everything":   {options{"api": api, "dead": strings.Repeat("401,", 20) + "401"}, "option dead is"},
	} {
		err := oauth2.New(oauth2.Config{}).Check(testApp(endpoint, test.options))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) || !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("%s: error %v, want %q…", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: error %v quotes a secret", name, err)
		}
	}
	_, err := oauth2.New(oauth2.Config{}).Injection(testApp(endpoint, nil))
	if !errors.Is(err, coordinator.ErrInvalid) || !strings.Contains(err.Error(), "give it the option api") {
		t.Errorf("calls without an API: %v", err)
	}
}

func TestDeadIsWhatTheAppDeclares(t *testing.T) {
	challenge := func(text string) http.Header { return http.Header{"Www-Authenticate": {text}} }
	for name, test := range map[string]struct {
		dead   string
		status int
		header http.Header
		body   string
		code   string
	}{
		"401 by default":           {"", 401, nil, "", "401"},
		"invalid_token":            {"", 401, challenge(`Bearer error="invalid_token"`), "", "401"},
		"insufficient_scope":       {"", 401, challenge(`Bearer error="insufficient_scope"`), "", ""},
		"403":                      {"", 403, nil, "", ""},
		"200":                      {"", 200, nil, `{"code":401}`, ""},
		"another status":           {"419", 419, nil, "", "419"},
		"not 401 where not said":   {"419", 401, nil, "", ""},
		"a number":                 {"401, code=99991663,code=99991668", 200, nil, `{"code":99991668,"msg":"x"}`, "99991668"},
		"a number in a text":       {"code=7", 200, nil, `{"code":"7"}`, "7"},
		"a text":                   {"error=expired_token", 400, nil, `{"error":"expired_token"}`, "expired_token"},
		"a field within":           {"error.code=190", 400, nil, `{"error":{"code":190}}`, "190"},
		"a field within another":   {"error.code=190", 400, nil, `{"error":"190"}`, ""},
		"another code":             {"code=7", 200, nil, `{"code":77}`, ""},
		"a body that was cut":      {"code=7", 200, nil, `{"code":7`, ""},
		"no body":                  {"code=7", 200, nil, ``, ""},
		"no object":                {"code=7", 200, nil, `["code"]`, ""},
		"status beside code rules": {"401,code=7", 401, nil, `{"code":8}`, "401"},
	} {
		o := options{"api": "https://api.example.com"}
		if test.dead != "" {
			o["dead"] = test.dead
		}
		injection, err := oauth2.New(oauth2.Config{}).Injection(testApp(endpoint, o))
		if err != nil {
			t.Fatal(err)
		}
		code, dead := injection.Dead(test.status, test.header, []byte(test.body))
		if code != test.code || dead != (test.code != "") {
			t.Errorf("%s: code %q, dead %t, want %q", name, code, dead, test.code)
		}
	}
}
