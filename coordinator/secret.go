package coordinator

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that cannot be printed: not by fmt in any verb, not by slog,
// not by an encoder, and not from an unexported field, where fmt cannot call
// methods and shows a pointer instead. Only Reveal gives it out, so that
// searching for Reveal is the whole audit.
type Secret struct{ p *string }

// NewSecret wraps s; the empty text gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{p: &s}
}

// Reveal returns the text. The caller must not log, trace or print it.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.p == nil }

// Equal compares two secrets in a time that does not depend on their contents.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// Format prints a placeholder whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue logs a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText encodes a placeholder: what must be stored is revealed explicitly.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
