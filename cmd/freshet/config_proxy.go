package main

import (
	"strconv"
	"time"

	"freshet/httpapi"
)

// proxyConfig bounds the calls that one client may have forwarded to platforms.
// Zero fields mean the defaults of httpapi.
type proxyConfig struct {
	AtOnce  int
	Rate    int // a second
	Timeout time.Duration
	Idle    time.Duration
}

const wantCount = "a whole number above zero"

func (c *proxyConfig) read(s *section) {
	value(s, "at_once", wantCount, &c.AtOnce, parseCount)
	value(s, "rate", wantCount, &c.Rate, parseCount)
	s.duration("timeout", &c.Timeout)
	s.duration("idle", &c.Idle)
	s.done("setting")
}

func (c proxyConfig) forward() httpapi.ForwardConfig {
	return httpapi.ForwardConfig{AtOnce: c.AtOnce, Rate: float64(c.Rate), Timeout: c.Timeout, Idle: c.Idle}
}

func countSetting(path, usage string, field func(*config) *int) setting {
	return setting{path, usage, wantCount, func(c *config, text string) (ok bool) {
		*field(c), ok = parseCount(text)
		return ok
	}}
}

func durationSetting(path, usage string, field func(*config) *time.Duration) setting {
	return setting{path, usage, wantDuration, func(c *config, text string) (ok bool) {
		*field(c), ok = parseDuration(text)
		return ok
	}}
}

// mostCount keeps a slip of the finger from meaning no bound at all.
const mostCount = 1_000_000

func parseCount(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0 && n <= mostCount
}
