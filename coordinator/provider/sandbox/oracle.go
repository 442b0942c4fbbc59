package sandbox

import (
	"maps"
	"sync"
)

// Report is what the oracle knows. It counts what reached the platforms, whatever
// the caller was told of it.
type Report struct {
	Apps map[string]AppReport `json:"apps"` // by appid or client_id as callers claimed it; "" where a call showed none
}

// AppReport is one app's part of a Report.
type AppReport struct {
	Calls   map[Kind]CallReport `json:"calls"`
	Minting Gauge               `json:"minting"` // calls for access tokens, plain and stable together
	Forced  int                 `json:"forced"`  // calls that asked for a forced refresh, granted or not
	Issued  map[Line]int        `json:"issued"`  // new values, by line; a repeated one is not counted
	Foreign int                 `json:"foreign"` // of the plain ones, those that Mint issued
	// Confirmations counts the messages that asked the administrator about an address.
	Confirmations int           `json:"confirmations"`
	Live          []TokenReport `json:"live"`            // oldest first within a line
	OAuth         *OAuthReport  `json:"oauth,omitempty"` // of an OAuth client; nil for others
}

// CallReport counts the calls of one kind.
type CallReport struct {
	Gauge
	Calls    int            `json:"calls"`
	Failed   int            `json:"failed"`           // no success was sent whole
	Errcodes map[int]int    `json:"errcodes"`         // :: errcode → answers with it, faults included
	Errors   map[string]int `json:"errors,omitempty"` // :: OAuth error → answers with it, faults included
}

// Gauge counts calls that are on their way at once: from when the platform has
// read one until its answer begins, delays included. Over sockets a caller who
// gives up is noticed a moment later, and until then its call counts.
type Gauge struct {
	InFlight int `json:"in_flight"`
	Peak     int `json:"peak"`
}

// TokenReport is one value that works now.
type TokenReport struct {
	Line Line `json:"line"`
	// Digest is the start of the value's SHA-256 in hex; HTTP answers show only this.
	Digest           string  `json:"digest"`
	Value            string  `json:"-"`
	Current          bool    `json:"current"` // the newest of its line; others live on for the overlap
	AgeSeconds       float64 `json:"age_seconds"`
	RemainingSeconds float64 `json:"remaining_seconds"` // in the caller's time
}

// Oracle returns what the sandbox has seen so far.
func (s *Sandbox) Oracle() Report {
	apps := s.oracle.snapshot()
	for appid, live := range s.wechat.live() {
		report := apps[appid]
		report.Live = live
		apps[appid] = report
	}
	for id, report := range s.oauth.report() {
		app := apps[id]
		app.OAuth = &report
		apps[id] = app
	}
	return Report{Apps: apps}
}

// oracle counts. It takes no other lock, so that anyone may call it.
type oracle struct {
	mu   sync.Mutex
	apps map[string]*AppReport
}

func newOracle() *oracle { return &oracle{apps: make(map[string]*AppReport)} }

// appLocked returns the counts of an app, made on first use.
func (o *oracle) appLocked(appid string) *AppReport {
	if o.apps[appid] == nil {
		o.apps[appid] = &AppReport{Calls: make(map[Kind]CallReport), Issued: make(map[Line]int)}
	}
	return o.apps[appid]
}

func (o *oracle) begin(c call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	app := o.appLocked(c.app)
	if c.forced {
		app.Forced++
	}
	if c.minting {
		app.Minting.enter()
	}
	calls := app.Calls[c.kind]
	calls.Calls++
	calls.enter()
	app.Calls[c.kind] = calls
}

func (o *oracle) end(c call, a answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	app := o.appLocked(c.app)
	if c.minting {
		app.Minting.InFlight--
	}
	calls := app.Calls[c.kind]
	calls.InFlight--
	if a.failed {
		calls.Failed++
	}
	if a.code != 0 {
		calls.note(a.code)
	}
	if a.refused != "" {
		calls.noteError(a.refused)
	}
	app.Calls[c.kind] = calls
}

func (o *oracle) issued(appid string, line Line) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.appLocked(appid).Issued[line]++
}

func (o *oracle) foreign(appid string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.appLocked(appid).Foreign++
}

func (o *oracle) confirmation(appid string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.appLocked(appid).Confirmations++
}

// snapshot returns a copy that nobody changes.
func (o *oracle) snapshot() map[string]AppReport {
	o.mu.Lock()
	defer o.mu.Unlock()
	apps := make(map[string]AppReport, len(o.apps))
	for appid, app := range o.apps {
		report := *app
		report.Issued = maps.Clone(app.Issued)
		report.Calls = make(map[Kind]CallReport, len(app.Calls))
		for kind, calls := range app.Calls {
			calls.Errcodes, calls.Errors = maps.Clone(calls.Errcodes), maps.Clone(calls.Errors)
			report.Calls[kind] = calls
		}
		apps[appid] = report
	}
	return apps
}

func (g *Gauge) enter() {
	g.InFlight++
	g.Peak = max(g.Peak, g.InFlight)
}

func (c *CallReport) note(errcode int) {
	if c.Errcodes == nil {
		c.Errcodes = make(map[int]int)
	}
	c.Errcodes[errcode]++
}

func (c *CallReport) noteError(word string) {
	if c.Errors == nil {
		c.Errors = make(map[string]int)
	}
	c.Errors[word]++
}
