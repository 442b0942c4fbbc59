// Package schedule decides when: the window of a lifetime in which a value is
// refreshed, the wait after a failure, and which of many things comes next. It
// is pure: no clock, no chance and no goroutine of its own.
package schedule

import "time"

const (
	jitterShare = 0.10 // of a window, to both sides
	leastShare  = 0.10 // of a lifetime that passes before a value is refreshed, however wide the window
	againShare  = 0.25 // of a window that passes before a value that was not renewed is asked for again
)

// Policy says when a value is refreshed.
type Policy struct {
	Window   func(lifetime time.Duration) time.Duration // how long the last part of a lifetime is
	Earliest time.Duration                              // only this last part yields a new value; zero: any time
	Interval time.Duration                              // least time between two calls
}

// Due returns when a value issued and expiring at the given instants is to be
// refreshed: when its window opens, give or take a tenth of the window, chosen
// by chance in [0, 1). Where only the last part of a lifetime yields a new
// value, it is never sooner than that. It lies before expires and after issued.
func Due(issued, expires time.Time, p Policy, chance float64) time.Time {
	lifetime := expires.Sub(issued)
	window := min(p.Window(lifetime), lifetime)
	window += time.Duration(float64(window) * jitterShare * (2*chance - 1))
	if p.Earliest > 0 && window > p.Earliest {
		window = p.Earliest - time.Duration(float64(p.Earliest)*jitterShare*chance)
	}
	least := max(time.Duration(float64(lifetime)*leastShare), p.Interval)
	return issued.Add(min(max(lifetime-window, least), lifetime))
}

// Again returns when to ask once more for a value that the upstream answered
// unchanged: half-way to its end, but not before a quarter of the window has
// passed, nor before the part in which it is renewed; at its end at the latest.
func Again(now, issued, expires time.Time, p Policy, chance float64) time.Time {
	left := max(expires.Sub(now), 0)
	if p.Earliest > 0 && left > p.Earliest {
		return expires.Add(-p.Earliest + time.Duration(float64(p.Earliest)*jitterShare*chance))
	}
	window := p.Window(expires.Sub(issued))
	if p.Earliest > 0 {
		window = min(window, p.Earliest)
	}
	wait := max(left/2, time.Duration(float64(window)*againShare), p.Interval)
	return now.Add(max(min(wait, left), time.Second))
}

// Backoff returns how long to wait after so many failures in a row: doubling
// from least to most, with the upper half of each wait left to chance in [0, 1).
func Backoff(failures int, least, most time.Duration, chance float64) time.Duration {
	wait := least
	for range min(max(failures-1, 0), 32) {
		wait = min(wait*2, most)
	}
	wait = min(wait, most)
	return wait/2 + time.Duration(float64(wait/2)*chance)
}

// Within shortens a wait so that, of the time left until a value ends, enough
// remains for further tries; never below least.
func Within(wait, left, least time.Duration) time.Duration {
	if left <= 0 {
		return wait
	}
	return max(min(wait, left/3), least)
}

// Day returns the name of the day an instant falls on in a zone, and its end.
func Day(now time.Time, zone *time.Location) (name string, ends time.Time) {
	if zone == nil {
		zone = time.UTC
	}
	local := now.In(zone)
	ends = time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, zone)
	return local.Format(time.DateOnly), ends.UTC()
}
