package sandbox

import (
	"cmp"
	"time"
)

// clock turns the platforms' durations and calendar into the caller's.
type clock struct {
	scale  float64
	origin time.Time // when both calendars agreed
}

func newClock(scale float64, now time.Time) clock {
	return clock{scale: cmp.Or(scale, 1), origin: now.Round(0)} // wall time only
}

// shrink returns how long the caller waits for a duration of the platform's.
func (c clock) shrink(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.scale)
}

// calendar returns what a wall clock at the platform shows. Its days begin at
// midnight in China, where the platform counts quotas.
func (c clock) calendar(now time.Time) time.Time {
	ahead := float64(now.Round(0).Sub(c.origin)) * (c.scale - 1)
	return now.Round(0).Add(time.Duration(ahead)).In(time.FixedZone("CST", 8*60*60))
}

func (c clock) minute(now time.Time) string { return c.calendar(now).Format("2006-01-02T15:04") }
func (c clock) day(now time.Time) string    { return c.calendar(now).Format("2006-01-02") }
func (c clock) month(now time.Time) string  { return c.calendar(now).Format("2006-01") }
