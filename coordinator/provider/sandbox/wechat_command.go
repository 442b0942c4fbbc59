package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// Alive reports whether a token or ticket works now, of either platform.
func (s *Sandbox) Alive(value string) bool { return s.wechat.knows(value) || s.oauth.knows(value) }

func (p *wechat) knows(value string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.values[value].alive(time.Now())
}

// Current returns the newest value of a line if it lives.
func (s *Sandbox) Current(appid string, line Line) (value string, ok bool) {
	values, err := s.wechat.current(appid, line)
	if err != nil || len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// KillToken ends a value at once, as if it had been replaced; business calls with
// it answer 40001, or 401 for an OAuth access token. It reports whether the value lived.
func (s *Sandbox) KillToken(value string) bool {
	return s.wechat.end(value, false) || s.oauth.end(value)
}

// ExpireToken ends a value at once as if its lifetime were over; business calls
// with it answer 42001. It reports whether the value lived.
func (s *Sandbox) ExpireToken(value string) bool { return s.wechat.end(value, true) }

// Kill ends the current value of a line at once, both of them for LineTicket, and
// returns how many lived. An elder in its overlap lives on.
func (s *Sandbox) Kill(appid string, line Line) (killed int, err error) {
	values, err := s.wechat.current(appid, line)
	if err != nil {
		return 0, err
	}
	for _, value := range values {
		if s.KillToken(value) {
			killed++
		}
	}
	return killed, nil
}

// Mint does what a foreign system with the same secret does: it mints a plain
// token, so that the current one starts to die. It spends the app's quota, and
// is no call in the Report.
func (s *Sandbox) Mint(appid string) (value string, err error) {
	p := s.wechat
	p.mu.Lock()
	defer p.mu.Unlock()
	acc := p.accounts[appid]
	if acc == nil {
		return "", fmt.Errorf("minting for %q: %w", appid, ErrUnknownApp)
	}
	now := time.Now()
	acc.spend(meterPlain, p.clock.day(now))
	p.oracle.foreign(appid)
	return p.mintLocked(acc, LinePlain, now).text, nil
}

// current returns the newest values of a line that live.
func (p *wechat) current(appid string, line Line) ([]string, error) {
	lines := []Line{line}
	if line == LineTicket {
		lines = []Line{LineJSAPI, LineWxCard}
	} else if !slices.Contains([]Line{LinePlain, LineStable, LineJSAPI, LineWxCard}, line) {
		return nil, fmt.Errorf("line %q: want plain, stable, ticket, jsapi or wx_card", line)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	acc := p.accounts[appid]
	if acc == nil {
		return nil, fmt.Errorf("app %q: %w", appid, ErrUnknownApp)
	}
	var values []string
	for _, line := range lines {
		if v := acc.lines[line]; v.alive(time.Now()) {
			values = append(values, v.text)
		}
	}
	return values, nil
}

// end kills a value, of old age or before its time.
func (p *wechat) end(text string, ofAge bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	v := p.values[text]
	if !v.alive(now) {
		return false
	}
	v.dies = now
	if ofAge {
		v.expires = now
	}
	return true
}
