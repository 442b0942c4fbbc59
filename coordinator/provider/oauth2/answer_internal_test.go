package oauth2

import (
	"errors"
	"strings"
	"testing"
	"time"

	"freshet/coordinator/provider/outbound"
)

// FuzzDecode: whatever a server sends, what comes of it is fit to be kept and shown.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"access_token":"v","token_type":"Bearer","expires_in":"7.2e3","refresh_token":"r","id_token":"e30.e30.x"}`,
		`{"error":"invalid_grant","error_description":"\ud800 x"}`, `{"error":{"code":"x","message":"y"}}`, `{"error":{"type":7}}`,
		`{"code":"x","message":"y"}`, `{"access_token":"v","expires_in":-0.0}`, "<html>", `{"refresh_token":"held"}`,
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
		if value, err := a.value("access_token"); err == nil && (value == "" || strings.ContainsFunc(value, outbound.Unfit)) {
			t.Fatalf("value %q", value)
		}
		if next, err := a.refresh("held"); err == nil && (next == "held" || strings.ContainsFunc(next, outbound.Unfit)) {
			t.Fatalf("refresh token %q", next)
		}
		if lifetime, err := a.lifetime(time.Hour); err == nil && (lifetime < time.Second || lifetime > maxLifetime) {
			t.Fatalf("lifetime %v", lifetime)
		}
		if lifetime := idLifetime(string(body), time.Hour); lifetime < time.Second || lifetime > maxLifetime {
			t.Fatalf("id lifetime %v", lifetime)
		}
		if plainWord(a.code) && strings.ContainsFunc(a.code, outbound.Invisible) {
			t.Fatalf("code %q", a.code)
		}
	})
}
