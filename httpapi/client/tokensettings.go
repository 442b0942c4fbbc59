package client

import (
	"encoding/json"
	"fmt"
	"maps"
)

// TokenSettings is what an app says of one of its tokens. As JSON and YAML the
// options stand beside the window: {"window": "25%", "scope": "a b"}.
type TokenSettings struct {
	Window  Window
	Options map[string]string // scope, audience …, as the provider declares
}

const windowField = "window"

// MarshalJSON writes window and options as one object.
func (t TokenSettings) MarshalJSON() ([]byte, error) {
	fields := maps.Clone(t.Options)
	if fields == nil {
		fields = map[string]string{}
	}
	if !t.Window.IsZero() {
		fields[windowField] = t.Window.String()
	}
	return json.Marshal(fields)
}

// UnmarshalJSON reads one object of texts.
func (t *TokenSettings) UnmarshalJSON(data []byte) error {
	return t.read(func(fields any) error { return json.Unmarshal(data, fields) })
}

// UnmarshalYAML reads one mapping of texts.
func (t *TokenSettings) UnmarshalYAML(decode func(any) error) error { return t.read(decode) }

func (t *TokenSettings) read(decode func(any) error) error {
	var fields map[string]string
	if err := decode(&fields); err != nil {
		return fmt.Errorf("settings of a token are texts by name, e.g. window or scope: %w", err)
	}
	*t = TokenSettings{}
	if window, ok := fields[windowField]; ok {
		if err := t.Window.UnmarshalText([]byte(window)); err != nil {
			return err
		}
		delete(fields, windowField)
	}
	if len(fields) > 0 {
		t.Options = fields
	}
	return nil
}
