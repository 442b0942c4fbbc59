package client

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Window is the last part of a lifetime, in which a token is refreshed. As text
// it is a share of the lifetime, "33%", or a length, "30m". Zero is not set.
type Window struct {
	Share  float64 // 0.33 = the last third
	Length time.Duration
}

// IsZero reports whether the window is not set.
func (w Window) IsZero() bool { return w == Window{} }

// String returns the window's text.
func (w Window) String() string {
	switch {
	case w.IsZero():
		return ""
	case w.Length > 0:
		return formatDuration(w.Length)
	}
	return strconv.FormatFloat(math.Round(w.Share*1e4)/100, 'f', -1, 64) + "%"
}

// MarshalText returns the window's text.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads a window's text.
func (w *Window) UnmarshalText(text []byte) error {
	share, isShare := strings.CutSuffix(string(text), "%")
	if isShare {
		percent, err := strconv.ParseFloat(share, 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return fmt.Errorf("window %.40q: a share is above 0%% and at most 100%%, e.g. 33%%", text)
		}
		*w = Window{Share: percent / 100}
		return nil
	}
	length, err := parseLength(string(text))
	if err != nil {
		return fmt.Errorf("window %.40q: use a share such as 33%% or a length such as 30m", text)
	}
	*w = Window{Length: length}
	return nil
}

// Retry is the shortest and the longest wait between attempts after passing
// failures: "5s..5m". Zero is not set.
type Retry struct{ Min, Max time.Duration }

// IsZero reports whether the waits are not set.
func (r Retry) IsZero() bool { return r == Retry{} }

// String returns the waits' text.
func (r Retry) String() string {
	if r.IsZero() {
		return ""
	}
	return formatDuration(r.Min) + ".." + formatDuration(r.Max)
}

// MarshalText returns the waits' text.
func (r Retry) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the waits' text.
func (r *Retry) UnmarshalText(text []byte) error {
	shortest, longest, _ := strings.Cut(string(text), "..")
	lo, errLo := parseLength(shortest)
	hi, errHi := parseLength(longest)
	if errLo != nil || errHi != nil || lo > hi {
		return fmt.Errorf("retry %.40q: use the shortest and the longest wait, e.g. 5s..5m", text)
	}
	*r = Retry{Min: lo, Max: hi}
	return nil
}

// Budget is how many upstream calls an app may make a day: "500/day". Zero is not set.
type Budget int

// String returns the budget's text.
func (b Budget) String() string {
	if b == 0 {
		return ""
	}
	return strconv.Itoa(int(b)) + "/day"
}

// MarshalText returns the budget's text.
func (b Budget) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a budget's text.
func (b *Budget) UnmarshalText(text []byte) error {
	calls, ok := strings.CutSuffix(string(text), "/day")
	n, err := strconv.ParseInt(calls, 10, 32)
	if !ok || err != nil || n <= 0 {
		return fmt.Errorf("budget %.40q: use a number of calls a day, e.g. 500/day", text)
	}
	*b = Budget(n)
	return nil
}

// Probe is the time between two looks at whether a value still lives, at least a
// minute: "5m". ProbeOff is "off": only reports are examined. Zero is not set.
type Probe time.Duration

// ProbeOff means that no value is looked at unless somebody reports it.
const ProbeOff Probe = -1

// String returns the probe's text.
func (p Probe) String() string {
	switch {
	case p == 0:
		return ""
	case p < 0:
		return "off"
	}
	return formatDuration(time.Duration(p))
}

// MarshalText returns the probe's text.
func (p Probe) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a probe's text.
func (p *Probe) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*p = ProbeOff
		return nil
	}
	length, err := parseLength(string(text))
	if err != nil || length < time.Minute {
		return fmt.Errorf("probe %.40q: use a length of a minute or more, e.g. 5m, or off", text)
	}
	*p = Probe(length)
	return nil
}

// Duration is a length of time as text: "10s". Zero is not set.
type Duration time.Duration

// String returns the length's text.
func (d Duration) String() string { return formatDuration(time.Duration(d)) }

// MarshalText returns the length's text.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a length's text, which is above zero.
func (d *Duration) UnmarshalText(text []byte) error {
	length, err := parseLength(string(text))
	if err != nil {
		return fmt.Errorf("duration %.40q: use one such as 10s, 5m or 1h30m", text)
	}
	*d = Duration(length)
	return nil
}

// parseLength reads a duration above zero.
func parseLength(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, err
	}
	if d <= 0 {
		return 0, fmt.Errorf("duration %q is not above zero", text)
	}
	return d, nil
}

// formatDuration writes a duration without the zeros that time.Duration adds:
// "30m", not "30m0s".
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
