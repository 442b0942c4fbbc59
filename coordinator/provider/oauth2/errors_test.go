package oauth2_test

import (
	"net/http"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
)

const (
	retry       = coordinator.ClassRetry
	config      = coordinator.ClassConfig
	quota       = coordinator.ClassQuota
	reauthorize = coordinator.ClassReauthorize
)

// TestEveryRefusalIsClassed sends each answer to a call that spends a refresh token.
func TestEveryRefusalIsClassed(t *testing.T) {
	word := func(code string) string { return `{"error":"` + code + `","error_description":"said"}` }
	for name, test := range map[string]struct {
		status    int
		body      string
		class     coordinator.Class
		code      string
		ambiguous bool
	}{
		"invalid_grant":                    {400, word("invalid_grant"), reauthorize, "invalid_grant", false},
		"invalid_grant, Atlassian":         {403, word("invalid_grant"), reauthorize, "invalid_grant", false},
		"access_denied":                    {400, word("access_denied"), reauthorize, "access_denied", false},
		"used before, OpenAI":              {401, `{"error":{"message":"x","code":"refresh_token_reused"}}`, reauthorize, "refresh_token_reused", false},
		"expired, beside it":               {401, `{"code":"refresh_token_expired","message":"x"}`, reauthorize, "refresh_token_expired", false},
		"status 200, Slack":                {200, `{"ok":false,"error":"invalid_refresh_token"}`, reauthorize, "invalid_refresh_token", false},
		"status 200, GitHub":               {200, word("bad_refresh_token"), reauthorize, "bad_refresh_token", false},
		"invalid_client":                   {401, word("invalid_client"), config, "invalid_client", false},
		"unauthorized_client":              {400, word("unauthorized_client"), config, "unauthorized_client", false},
		"invalid_scope":                    {400, word("invalid_scope"), config, "invalid_scope", false},
		"invalid_target":                   {400, word("invalid_target"), config, "invalid_target", false},
		"unsupported_grant_type":           {400, word("unsupported_grant_type"), config, "unsupported_grant_type", false},
		"invalid_request":                  {400, word("invalid_request"), config, "invalid_request", false},
		"an unknown word":                  {400, word("odd_error"), config, "odd_error", false},
		"an unknown word, status 200":      {200, word("odd_error"), config, "odd_error", false},
		"a sentence for a word":            {400, word("You shall not pass"), config, "http_400", false},
		"a secret for a word":              {400, word(testRefresh), config, "http_400", false},
		"a number for a word":              {400, `{"error":20070}`, config, "http_400", false},
		"no word":                          {401, "", config, "http_401", false},
		"no such path":                     {404, "<html>", config, "http_404", false},
		"a redirect":                       {302, "", config, "http_302", false},
		"a redirect that keeps the method": {307, "", config, "http_307", false},
		"slow_down":                        {400, word("slow_down"), quota, "slow_down", false},
		"too many, Anthropic":              {429, `{"type":"error","error":{"type":"rate_limit_error"}}`, quota, "rate_limit_error", false},
		"too many, a firewall":             {429, "<html>", quota, "http_429", false},
		"temporarily_unavailable":          {400, word("temporarily_unavailable"), retry, "temporarily_unavailable", true},
		"server_error":                     {400, word("server_error"), retry, "server_error", true},
		"500":                              {500, "", retry, "http_500", true},
		"500 with a word":                  {500, word("invalid_grant"), retry, "invalid_grant", true},
		"502":                              {502, "<html>", retry, "http_502", true},
		"503":                              {503, word("temporarily_unavailable"), retry, "temporarily_unavailable", true},
		"408":                              {408, "", retry, "http_408", true},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := answering(t, test.status, test.body, "Retry-After", "7", "Location", "/elsewhere")
			_, err := fetch(t, testApp(upstream, options{"grant": "refresh_token"}), testRefresh)
			up := upstreamError(t, err)
			if up.Class != test.class || up.Code != test.code || up.Ambiguous != test.ambiguous || up.Reason == "" || up.RetryAfter != 7*time.Second {
				t.Errorf("%+v; want %+v", up, test)
			}
		})
	}
}

func TestCredentialsHaveNoGrantToRenew(t *testing.T) {
	_, err := fetch(t, testApp(answering(t, 400, `{"error":"invalid_grant"}`), nil), "")
	if up := upstreamError(t, err); up.Class != config || up.Code != "invalid_grant" {
		t.Errorf("%+v, want a matter of configuration: nobody can authorise this app", up)
	}
}

// TestUselessAnswersAreAmbiguous: each has status 200, so the server has acted.
func TestUselessAnswersAreAmbiguous(t *testing.T) {
	for body, want := range map[string]string{
		"":                                     "empty",
		"<html>":                               "not_json",
		`[]`:                                   "not_json",
		`{"access_token":"a"`:                  "not_json",
		`{}`:                                   "no_value",
		`{"access_token":7}`:                   "no_value",
		`{"access_token":"a b"}`:               "bad_value",
		`{"access_token":"a","expires_in":0}`:  "bad_lifetime",
		`{"access_token":"a","expires_in":-5}`: "bad_lifetime",
		`{"access_token":"a","expires_in":"soon"}`:   "bad_lifetime",
		`{"access_token":"a","refresh_token":"b c"}`: "bad_value",
	} {
		_, err := fetch(t, testApp(answering(t, 200, body), options{"grant": "refresh_token"}), testRefresh)
		if up := upstreamError(t, err); up.Class != retry || up.Code != want || !up.Ambiguous {
			t.Errorf("%s: %+v, want %s", body, up, want)
		}
	}
}

// TestANewRefreshTokenIsKeptThoughTheRestIsUseless: the old one is gone.
func TestANewRefreshTokenIsKeptThoughTheRestIsUseless(t *testing.T) {
	for _, body := range []string{
		`{"refresh_token":"` + freshNext + `"}`,
		`{"refresh_token":"` + freshNext + `","access_token":"a b"}`,
		`{"refresh_token":"` + freshNext + `","access_token":"a","expires_in":"soon"}`,
		`{"refresh_token":"` + freshNext + `","access_token":"a"}`, // where an id_token is kept
	} {
		app := testApp(answering(t, 200, body), options{"grant": "refresh_token"})
		app.Tokens[oauth2.IDToken] = coordinator.TokenSettings{}
		yield, err := fetch(t, app, testRefresh)
		_ = upstreamError(t, err)
		if yield.Refresh.Reveal() != freshNext || yield.Values != nil {
			t.Errorf("%s: %+v", body, yield)
		}
	}
}

func TestLifetimes(t *testing.T) {
	for body, want := range map[string]time.Duration{
		`{"access_token":"a"}`:                                                time.Hour,
		`{"access_token":"a","expires_in":null}`:                              time.Hour,
		`{"access_token":"a","expires_in":300}`:                               5 * time.Minute,
		`{"access_token":"a","expires_in":"300"}`:                             5 * time.Minute,
		`{"access_token":"a","expires_in":3e2}`:                               5 * time.Minute,
		`{"access_token":"a","expires_in":9007199254740991}`:                  365 * 24 * time.Hour,
		`{"access_token":"a","error":"","expires_in":300,"refresh_token":""}`: 5 * time.Minute,
	} {
		yield, err := fetch(t, testApp(answering(t, 200, body), nil), "")
		if err != nil || yield.Values[oauth2.AccessToken].Lifetime != want || !yield.Refresh.IsZero() {
			t.Errorf("%s: %v, %v; want %v", body, yield, err, want)
		}
	}
}

func TestAnIDTokenComesWithTheAccessToken(t *testing.T) {
	for jwt, want := range map[string]time.Duration{
		"e30.eyJpYXQiOjEwMDAsImV4cCI6MTYwMH0.c2ln": 10 * time.Minute, // {"iat":1000,"exp":1600}
		"e30.eyJpYXQiOjE2MDAsImV4cCI6MTAwMH0.c2ln": time.Hour,        // the other way round
		"e30.eyJpYXQiOiJ4IiwiZXhwIjoxMDAwfQ.c2ln":  time.Hour,        // {"iat":"x","exp":1000}
		"e30.!.c2ln": time.Hour,
		"opaque":     time.Hour,
		"e30.eyJpYXQiOjEsImV4cCI6OTAwNzE5OTI1NDc0fQ.s": 365 * 24 * time.Hour, // {"iat":1,"exp":900719925474}
	} {
		app := testApp(answering(t, http.StatusCreated, `{"access_token":"a","id_token":"`+jwt+`"}`), nil)
		app.Tokens[oauth2.IDToken] = coordinator.TokenSettings{}
		yield, err := fetch(t, app, "")
		if got := yield.Values[oauth2.IDToken]; err != nil || got.Value.Reveal() != jwt || got.Lifetime != want {
			t.Errorf("%s: %+v, %v; want %v", jwt, got, err, want)
		}
		delete(app.Tokens, oauth2.AccessToken)
		if yield, err = fetch(t, app, ""); err != nil || len(yield.Values) != 1 {
			t.Errorf("id_token alone: %+v, %v", yield, err)
		}
	}
	app := testApp(answering(t, 200, `{"access_token":"a"}`), nil)
	app.Tokens[oauth2.IDToken] = coordinator.TokenSettings{}
	_, err := fetch(t, app, "")
	if up := upstreamError(t, err); up.Class != config || up.Code != "no_id_token" {
		t.Errorf("%+v, want it told that openid is missing", up)
	}
}
