package coordinator_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"freshet/coordinator"
)

const canary = "canary-value-nobody-may-print"

// A secret in an unexported field is where fmt cannot call methods.
type holder struct {
	Public coordinator.Secret
	hidden coordinator.Secret
	nested struct{ deep coordinator.Secret }
	list   []coordinator.Secret
}

func TestSecretCannotBePrinted(t *testing.T) {
	s := coordinator.NewSecret(canary)
	h := holder{Public: s, hidden: s, list: []coordinator.Secret{s}}
	h.nested.deep = s
	token := coordinator.Token{Name: coordinator.Name{App: "shop", Token: "access_token"}, Value: s}
	app := coordinator.App{Name: "shop", Credentials: map[string]coordinator.Secret{"secret": s}}

	var out bytes.Buffer
	for _, v := range []any{s, &s, h, &h, token, &token, app, coordinator.Event{Record: token}, []any{s}, map[string]any{"v": h}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%o", "%U", "%c"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		fmt.Fprintln(&out, errors.Join(fmt.Errorf("wrapped %v", v)))
		for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
			logger.Info("x", "v", v)
			logger.Info("x", slog.Any("w", v), slog.Group("g", slog.Any("v", v)))
		}
		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}
		if data, err := xml.Marshal(v); err == nil {
			out.Write(data)
		}
	}
	if strings.Contains(out.String(), canary) {
		t.Error("the secret was printed")
	}
	for _, form := range []string{fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%q", canary)} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret was printed as %.8s…", form)
		}
	}
	if s.Reveal() != canary || s.IsZero() || !s.Equal(coordinator.NewSecret(canary)) || s.Equal(coordinator.NewSecret("other")) {
		t.Error("the secret is not what it was made of")
	}
	if !coordinator.NewSecret("").IsZero() || (coordinator.Secret{}).Reveal() != "" {
		t.Error("the zero secret holds something")
	}
}
