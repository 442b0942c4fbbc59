package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// App is one WeChat registration: an official account or a mini program. In JSON
// durations are written like "2h" and fields have the names in their tags.
type App struct {
	AppID  string `json:"appid"`
	Secret string `json:"secret,omitempty"`
	// SecretFrozen refuses token calls with 40243; tokens that live go on living.
	SecretFrozen bool `json:"secret_frozen,omitempty"`
	// AllowedIPs are addresses and prefixes (10.0.0.0/8) that may make token
	// calls; others meet 40164. Empty: everybody may.
	AllowedIPs []string `json:"allowed_ips,omitempty"`
	// ConfirmIPs makes token calls from an address that the administrator has not
	// confirmed meet 89503, later 89501, 89507 or 89506; see [Sandbox.Confirm].
	ConfirmIPs bool `json:"confirm_ips,omitempty"`

	// Lifetime of an access token (0: 2 h) and TicketLifetime of a ticket (0: 2 h).
	Lifetime       time.Duration `json:"-"`
	TicketLifetime time.Duration `json:"-"`
	// Overlap is how long a replaced value lives on, and the last part of life in
	// which a stable token or ticket is replaced on an ordinary call (0: 5 min).
	Overlap time.Duration `json:"-"`
	// ForceInterval is the least time between two forced refreshes (0: 30 s).
	ForceInterval time.Duration `json:"-"`
	// TicketFullLife makes a repeated ticket call announce the full lifetime
	// again, as people have seen WeChat do, rather than what is left.
	TicketFullLife bool `json:"ticket_full_life,omitempty"`

	Quotas Quotas `json:"quotas,omitzero"`
}

// Quotas are the calls an app may make; past them comes 45009 (48006 for Clear,
// 45011 for StablePerMinute). Days and months are China's. Calls that are
// refused for another reason cost nothing.
type Quotas struct {
	Plain           int `json:"plain,omitempty"`             // a day; 0: 2000
	Stable          int `json:"stable,omitempty"`            // a day; 0: 500,000
	StablePerMinute int `json:"stable_per_minute,omitempty"` // 0: 10,000
	Forced          int `json:"forced,omitempty"`            // forced refreshes a day; 0: 20
	Ticket          int `json:"ticket,omitempty"`            // a day; 0: 1000, as no number is published
	Clear           int `json:"clear,omitempty"`             // clear_quota a month; 0: 10
}

type appFields App

type appWire struct {
	*appFields
	Lifetime       textDuration `json:"lifetime,omitzero"`
	TicketLifetime textDuration `json:"ticket_lifetime,omitzero"`
	Overlap        textDuration `json:"overlap,omitzero"`
	ForceInterval  textDuration `json:"force_interval,omitzero"`
}

func (a *App) wire() appWire {
	return appWire{
		(*appFields)(a), textDuration(a.Lifetime), textDuration(a.TicketLifetime),
		textDuration(a.Overlap), textDuration(a.ForceInterval),
	}
}

// MarshalJSON writes the app with its durations in words, its secret included.
func (a App) MarshalJSON() ([]byte, error) { return json.Marshal(a.wire()) }

// UnmarshalJSON reads what MarshalJSON writes, keeps fields that are absent and
// refuses unknown names.
func (a *App) UnmarshalJSON(data []byte) error {
	a.AllowedIPs = slices.Clone(a.AllowedIPs) // decoding reuses the array, which others may hold
	wire := a.wire()
	if err := decodeStrict(data, &wire); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	a.Lifetime, a.TicketLifetime = time.Duration(wire.Lifetime), time.Duration(wire.TicketLifetime)
	a.Overlap, a.ForceInterval = time.Duration(wire.Overlap), time.Duration(wire.ForceInterval)
	return nil
}

// withDefaults returns the app as the platform treats it.
func (a App) withDefaults() App {
	a.Lifetime = cmp.Or(a.Lifetime, 2*time.Hour)
	a.TicketLifetime = cmp.Or(a.TicketLifetime, 2*time.Hour)
	a.Overlap = cmp.Or(a.Overlap, 5*time.Minute)
	a.ForceInterval = cmp.Or(a.ForceInterval, 30*time.Second)
	a.Quotas.Plain = cmp.Or(a.Quotas.Plain, 2000)
	a.Quotas.Stable = cmp.Or(a.Quotas.Stable, 500_000)
	a.Quotas.StablePerMinute = cmp.Or(a.Quotas.StablePerMinute, 10_000)
	a.Quotas.Forced = cmp.Or(a.Quotas.Forced, 20)
	a.Quotas.Ticket = cmp.Or(a.Quotas.Ticket, 1000)
	a.Quotas.Clear = cmp.Or(a.Quotas.Clear, 10)
	return a
}

func (a App) validate() error {
	full, q := a.withDefaults(), a.Quotas
	var errs []error
	if a.AppID == "" || a.Secret == "" {
		errs = append(errs, errors.New("appid and secret are both needed"))
	}
	if min(a.Lifetime, a.TicketLifetime, a.Overlap, a.ForceInterval) < 0 {
		errs = append(errs, errors.New("durations may not be negative"))
	}
	if full.Overlap >= min(full.Lifetime, full.TicketLifetime) {
		errs = append(errs, fmt.Errorf("overlap %v: want less than the lifetimes", full.Overlap))
	}
	if min(q.Plain, q.Stable, q.StablePerMinute, q.Forced, q.Ticket, q.Clear) < 0 {
		errs = append(errs, errors.New("quotas may not be negative"))
	}
	for _, allowed := range a.AllowedIPs {
		if _, err := parseAllowed(allowed); err != nil {
			errs = append(errs, fmt.Errorf("allowed ip %q: %w", allowed, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("app %q: %w", a.AppID, err)
	}
	return nil
}

// allows reports whether token calls from ip are welcome.
func (a App) allows(ip netip.Addr) bool {
	return len(a.AllowedIPs) == 0 || slices.ContainsFunc(a.AllowedIPs, func(allowed string) bool {
		prefix, err := parseAllowed(allowed)
		return err == nil && prefix.Contains(ip)
	})
}

func parseAllowed(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
	}
	return netip.ParsePrefix(text)
}
