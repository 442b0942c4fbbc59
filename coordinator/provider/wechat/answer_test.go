package wechat

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"freshet/coordinator/provider/outbound"
)

func TestSensibleAnswersAreUnderstood(t *testing.T) {
	tests := []struct {
		name, body string
		value      string
		lifetime   time.Duration
	}{
		{"as documented", `{"access_token":"v","expires_in":7200}`, "v", 2 * time.Hour},
		{"errcode zero", `{"errcode":0,"errmsg":"ok","access_token":"v","expires_in":300}`, "v", 5 * time.Minute},
		{"errcode zero as text", `{"errcode":"0","access_token":"v","expires_in":7200}`, "v", 2 * time.Hour},
		{"errcode null", `{"errcode":null,"access_token":"v","expires_in":7200}`, "v", 2 * time.Hour},
		{"lifetime as text", `{"access_token":"v","expires_in":"7200"}`, "v", 2 * time.Hour},
		{"lifetime as a float", `{"access_token":"v","expires_in":7200.0}`, "v", 2 * time.Hour},
		{"lifetime with an exponent", `{"access_token":"v","expires_in":7.2e3}`, "v", 2 * time.Hour},
		{"a month", `{"access_token":"v","expires_in":2592000}`, "v", 30 * 24 * time.Hour},
		{"space around", " \r\n{\"access_token\":\"v\",\"expires_in\":7200}\n", "v", 2 * time.Hour},
		{"unknown fields", `{"access_token":"v","expires_in":7200,"x":{"y":[1]}}`, "v", 2 * time.Hour},
		{"long value", `{"access_token":"` + strings.Repeat("v", 4096) + `","expires_in":7200}`, strings.Repeat("v", 4096), 2 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, err := decode([]byte(test.body))
			if err != nil || a.code != 0 {
				t.Fatalf("decode: code %d, %v", a.code, err)
			}
			value, lifetime, err := a.granted(fieldToken)
			if err != nil || value != test.value || lifetime != test.lifetime {
				t.Errorf("granted %q for %v, %v; want %q for %v", value, lifetime, err, test.value, test.lifetime)
			}
		})
	}
}

func TestSenselessAnswersAreRefused(t *testing.T) {
	for body, want := range map[string]string{
		"":                                    "empty",
		" \n ":                                "empty",
		"null":                                "not_json",
		"[]":                                  "not_json",
		`"text"`:                              "not_json",
		"7200":                                "not_json",
		"<html><body>502</body></html>":       "not_json",
		`{"access_token":"v","expires_in":72`: "not_json",
		`{"access_token":"v","expires_in":7200}{"access_token":"w"}`: "not_json",
		`{"errcode":"x","access_token":"v","expires_in":7200}`:       "bad_errcode",
		`{"errcode":1.5,"access_token":"v","expires_in":7200}`:       "bad_errcode",
		`{"errcode":{},"access_token":"v","expires_in":7200}`:        "bad_errcode",
		`{}`:                                                                           "no_value",
		`{"expires_in":7200}`:                                                          "no_value",
		`{"access_token":"","expires_in":7200}`:                                        "no_value",
		`{"access_token":null,"expires_in":1}`:                                         "no_value",
		`{"access_token":12345,"expires_in":1}`:                                        "no_value",
		`{"Access_Token":"v","expires_in":1}`:                                          "no_value",
		`{"ticket":"v","expires_in":7200}`:                                             "no_value",
		`{"access_token":"a b","expires_in":1}`:                                        "bad_value",
		`{"access_token":"a\nb","expires_in":1}`:                                       "bad_value",
		`{"access_token":"a\u0000b","expires_in":1}`:                                   "bad_value",
		`{"access_token":"a\u200bb","expires_in":1}`:                                   "bad_value",
		"{\"access_token\":\"a\xffb\",\"expires_in\":1}":                               "bad_value",
		`{"access_token":"` + strings.Repeat("v", 4097) + `","expires_in":7200}`:       "bad_value",
		`{"access_token":"v"}`:                                                         "bad_lifetime",
		`{"access_token":"v","expires_in":null}`:                                       "bad_lifetime",
		`{"access_token":"v","expires_in":0}`:                                          "bad_lifetime",
		`{"access_token":"v","expires_in":-1}`:                                         "bad_lifetime",
		`{"access_token":"v","expires_in":"-7200"}`:                                    "bad_lifetime",
		`{"access_token":"v","expires_in":7200.5}`:                                     "bad_lifetime",
		`{"access_token":"v","expires_in":"7200s"}`:                                    "bad_lifetime",
		`{"access_token":"v","expires_in":""}`:                                         "bad_lifetime",
		`{"access_token":"v","expires_in":" 7200"}`:                                    "bad_lifetime",
		`{"access_token":"v","expires_in":"inf"}`:                                      "bad_lifetime",
		`{"access_token":"v","expires_in":"0x10p0"}`:                                   "bad_lifetime",
		`{"access_token":"v","expires_in":true}`:                                       "bad_lifetime",
		`{"access_token":"v","expires_in":[7200]}`:                                     "bad_lifetime",
		`{"access_token":"v","expires_in":2592001}`:                                    "bad_lifetime",
		`{"access_token":"v","expires_in":1e300}`:                                      "bad_lifetime",
		`{"access_token":"v","expires_in":9223372036854775807}`:                        "bad_lifetime",
		`{"access_token":"v","expires_in":99999999999999999999}`:                       "bad_lifetime",
		`{"access_token":"v","expires_in":1e19}`:                                       "bad_lifetime",
		`{"access_token":"v","expires_in":` + strings.Repeat("1", 400) + `}`:           "bad_lifetime",
		strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000):            "not_json",
		`{"errcode":99999999999999999999,"errmsg":"","access_token":"v","expires_in"}`: "not_json",
	} {
		if got := refusalCode(t, []byte(body)); got != want {
			t.Errorf("answer %.60q: code %q, want %q", body, got, want)
		}
	}
}

func refusalCode(t *testing.T, body []byte) string {
	t.Helper()
	a, err := decode(body)
	if err == nil {
		_, _, err = a.granted(fieldToken)
	}
	b, ok := errors.AsType[*outbound.BadAnswer](err)
	if !ok {
		t.Errorf("answer %.60q: error %v, want a bad answer", body, err)
		return ""
	}
	return b.Code
}

func TestCleanKeepsRidAndHidesSecrets(t *testing.T) {
	rid := "rid: 6543-aaaa-bbbb"
	long := strings.Repeat("好", 100)
	for said, want := range map[string]string{
		"invalid appid " + rid:                    "invalid appid " + rid,
		"  a\r\n\x00b\u202e ":                     "ab",
		"bad\xff":                                 "bad",
		"wrong " + testSecret + " " + rid:         "wrong [redacted] " + rid,
		"wrong canary-secret%2B%2F%3D7d1f":        "wrong [redacted]",
		"wrong can\nary-secret+/=\x007d1f":        "wrong [redacted]",
		long + " " + rid:                          strings.Repeat("好", 60) + " " + rid,
		long:                                      strings.Repeat("好", 66),
		strings.Repeat("x", 195) + testSecret:     strings.Repeat("x", 195) + "[reda",
		"a rid: " + strings.Repeat("y", 300):      "a rid: " + strings.Repeat("y", 59),
		strings.Repeat("z", 300) + " rid: " + rid: strings.Repeat("z", 180) + " " + rid,
	} {
		if got := clean(said, testSecret, "", testToken); got != want || len(got) > maxMessage {
			t.Errorf("clean(%.40q) = %q (%d bytes), want %q", said, got, len(got), want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"errcode":40001,"errmsg":"invalid credential rid: 1-2-3"}`,
		`{"access_token":"v","expires_in":7200}`, `{"errcode":"0","access_token":"v","expires_in":"7.2e3"}`,
		`{"access_token":"v","expires_in":-0.0}`, "<html>", `{"errmsg":"\ud800","errcode":-1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := decode(body)
		if err != nil {
			if _, ok := errors.AsType[*outbound.BadAnswer](err); !ok {
				t.Fatalf("error %v is no bad answer", err)
			}
			return
		}
		said := clean(a.message, testSecret)
		if len(said) > maxMessage || !utf8.ValidString(said) || strings.ContainsFunc(said, unicode.IsControl) {
			t.Fatalf("message %q is not clean", said)
		}
		if value, lifetime, err := a.granted(fieldToken); err == nil {
			if value == "" || strings.ContainsFunc(value, outbound.Unfit) || lifetime < time.Second || lifetime > maxLifetime {
				t.Fatalf("granted %q for %v", value, lifetime)
			}
		}
	})
}
