package httpapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"freshet/coordinator"
)

// constantPart is what of a token's JSON does not change while the value does
// not: everything but state, expires_in and node.
type constantPart struct {
	App         string            `json:"app"`
	Token       string            `json:"token"`
	Value       string            `json:"value"`
	TokenType   string            `json:"token_type"`
	Scope       string            `json:"scope"`
	IssuedAt    string            `json:"issued_at"`
	ExpiresAt   string            `json:"expires_at"`
	Version     int64             `json:"version"`
	Revision    int64             `json:"revision"`
	Fingerprint string            `json:"fingerprint"`
	Extra       map[string]string `json:"extra"`
}

// Render makes the constant part of a token's JSON, an object without its
// closing brace, for coordinator.Config.Render. It returns nil without a value.
func Render(v *coordinator.View) []byte {
	if v.Token == nil {
		return nil
	}
	t := v.Token
	part := constantPart{
		App:         v.Name.App,
		Token:       v.Name.Token,
		Value:       t.Value.Reveal(),
		TokenType:   t.Type,
		Scope:       t.Scope,
		IssuedAt:    timestamp(t.Issued),
		ExpiresAt:   timestamp(t.Expires),
		Version:     t.Version,
		Revision:    t.Revision,
		Fingerprint: v.Fingerprint,
		Extra:       t.Extra,
	}
	if part.Extra == nil {
		part.Extra = map[string]string{}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(part); err != nil {
		return nil // texts, numbers and a map of texts always encode
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("}\n"))
}

// timestamp writes an instant as RFC 3339, UTC, whole seconds.
func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// appendToken appends the whole JSON of a token: what was rendered when the
// value arrived, and what the clock says.
func appendToken(to []byte, v *coordinator.View, now time.Time, node string) []byte {
	rendered := v.Rendered
	if rendered == nil {
		rendered = Render(v)
	}
	to = append(to, rendered...)
	to = append(to, `,"expires_in":`...)
	to = strconv.AppendInt(to, expiresIn(v, now), 10)
	to = append(to, `,"state":"`...)
	to = append(to, v.Status(now)...)
	to = append(to, `","node":"`...)
	to = append(to, node...) // a node's name needs no escaping
	return append(to, '"', '}', '\n')
}

// expiresIn returns the whole seconds until a value expires, 0 without one.
func expiresIn(v *coordinator.View, now time.Time) int64 {
	return max(0, int64(v.Lives(now, 0)/time.Second))
}
