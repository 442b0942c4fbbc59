package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
)

// Config says what a Sandbox emulates. The zero value is a sandbox that runs in
// real time and knows no app.
type Config struct {
	// TimeScale is how many times faster than the caller's clock the platforms
	// age: at 60 an hour of theirs passes in a minute. Lifetimes, overlaps,
	// quota windows and minimum intervals are divided by it; delays of faults
	// are not. Zero means 1.
	TimeScale float64
	// Apps are the WeChat registrations known from the start.
	Apps []App
	// OAuthClients are the OAuth 2 clients known from the start.
	OAuthClients []OAuthClient
	// AnyApp accepts unknown appids and client_ids: the first token call creates
	// the app or client and its secret is remembered.
	AnyApp bool
	// TokenPrefix starts every value handed out, so that a search through logs
	// and pages finds any that leaked. At most 64 of A-Z a-z 0-9 _ and -.
	TokenPrefix string
	// Logger is told of each call at debug level, never of a value or secret.
	// Nil logs nothing.
	Logger *slog.Logger
}

// valueAlphabet is what platform values are made of; a value with anything else
// in it is malformed.
var valueAlphabet = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

func (c Config) validate() error {
	var errs []error
	if c.TimeScale < 0 || math.IsInf(c.TimeScale, 0) || math.IsNaN(c.TimeScale) {
		errs = append(errs, fmt.Errorf("time scale %v: want a positive number", c.TimeScale))
	}
	if len(c.TokenPrefix) > 64 || !valueAlphabet.MatchString(c.TokenPrefix) {
		errs = append(errs, fmt.Errorf("token prefix %q: want at most 64 of A-Z a-z 0-9 _ -", c.TokenPrefix))
	}
	seen := make(map[string]bool)
	for i, app := range c.Apps {
		if seen[app.AppID] {
			errs = append(errs, fmt.Errorf("app %q: named twice", app.AppID))
		}
		seen[app.AppID] = true
		if err := app.validate(); err != nil {
			errs = append(errs, fmt.Errorf("app %d: %w", i, err))
		}
	}
	return errors.Join(append(errs, validateClients(c.OAuthClients)...)...)
}

func validateClients(clients []OAuthClient) (errs []error) {
	seen := make(map[string]bool)
	for i, client := range clients {
		if seen[client.ID] {
			errs = append(errs, fmt.Errorf("client %q: named twice", client.ID))
		}
		seen[client.ID] = true
		if err := client.validate(); err != nil {
			errs = append(errs, fmt.Errorf("client %d: %w", i, err))
		}
	}
	return errs
}
