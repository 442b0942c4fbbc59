package memory

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"freshet/coordinator"
)

// kind is one sort of key; election keys are no records.
type kind string

const (
	kindApp         kind = "apps"
	kindCredentials kind = "credentials"
	kindState       kind = "states"
	kindToken       kind = "tokens"
	kindGrant       kind = "grants"
	kindIntent      kind = "intents"
	kindSalvage     kind = "salvage"
	kindRequest     kind = "requests"
	kindInput       kind = "inputs"
	kindBudget      kind = "budgets"
	kindClient      kind = "clients"
	kindNode        kind = "sys/nodes"
	kindHeartbeat   kind = "sys/heartbeat"
	kindElected     kind = "sys/epoch"
	kindPaused      kind = "sys/paused"
	kindBar         kind = "bars"
	kindFingerprint kind = "sys/fingerprint"
	kindApplied     kind = "sys/applied"
	kindElection    kind = "sys/election"
	kindAudit       kind = "audit" // no watch tells of it
)

type key struct {
	kind kind
	id   string
}

// keyOf returns the key a record is kept under.
func keyOf(record coordinator.Record) key {
	switch r := record.(type) {
	case coordinator.App:
		return key{kindApp, r.Name}
	case coordinator.Credentials:
		return key{kindCredentials, r.App}
	case coordinator.State:
		return key{kindState, r.Name.String()}
	case coordinator.Token:
		return key{kindToken, r.Name.String()}
	case coordinator.Grant:
		return key{kindGrant, r.App}
	case coordinator.Intent:
		return key{kindIntent, r.App + "/" + r.Group}
	case coordinator.Salvage:
		return key{kindSalvage, r.App + "/" + r.Group + "/" + r.Attempt}
	case coordinator.Request:
		return key{kindRequest, r.Name.String()}
	case coordinator.Input:
		return key{kindInput, r.Name.String()}
	case coordinator.Budget:
		return key{kindBudget, r.App + "/" + r.Window}
	case coordinator.Client:
		return key{kindClient, r.Name}
	case coordinator.NodeInfo:
		return key{kindNode, r.Name}
	case coordinator.Heartbeat:
		return key{kind: kindHeartbeat}
	case coordinator.Elected:
		return key{kind: kindElected}
	case coordinator.Paused:
		return key{kind: kindPaused}
	case coordinator.Bar:
		return key{kindBar, r.App + "/" + r.Egress}
	case coordinator.FingerprintKey:
		return key{kind: kindFingerprint}
	case coordinator.AppliedFile:
		return key{kindApplied, r.File}
	case coordinator.Audit:
		return key{kindAudit, r.ID}
	}
	panic(fmt.Sprintf("unknown record %T", record))
}

// identityOf returns a record with nothing but what identifies it.
func identityOf(record coordinator.Record) coordinator.Record {
	switch r := record.(type) {
	case coordinator.App:
		return coordinator.App{Name: r.Name}
	case coordinator.Credentials:
		return coordinator.Credentials{App: r.App}
	case coordinator.State:
		return coordinator.State{Name: r.Name}
	case coordinator.Token:
		return coordinator.Token{Name: r.Name}
	case coordinator.Grant:
		return coordinator.Grant{App: r.App}
	case coordinator.Intent:
		return coordinator.Intent{App: r.App, Group: r.Group}
	case coordinator.Salvage:
		return coordinator.Salvage{App: r.App, Group: r.Group, Attempt: r.Attempt}
	case coordinator.Request:
		return coordinator.Request{Name: r.Name}
	case coordinator.Input:
		return coordinator.Input{Name: r.Name}
	case coordinator.Budget:
		return coordinator.Budget{App: r.App, Window: r.Window}
	case coordinator.Client:
		return coordinator.Client{Name: r.Name}
	case coordinator.NodeInfo:
		return coordinator.NodeInfo{Name: r.Name}
	case coordinator.Heartbeat:
		return coordinator.Heartbeat{}
	case coordinator.Elected:
		return coordinator.Elected{}
	case coordinator.Paused:
		return coordinator.Paused{}
	case coordinator.Bar:
		return coordinator.Bar{App: r.App, Egress: r.Egress}
	case coordinator.FingerprintKey:
		return coordinator.FingerprintKey{}
	case coordinator.AppliedFile:
		return coordinator.AppliedFile{File: r.File}
	}
	panic(fmt.Sprintf("unknown record %T", record))
}

// copyOf returns a record that shares nothing that can be changed, as if it had
// been encoded and decoded: with the revision it is read at, and with times
// that know only the wall clock, because another process reads them.
func copyOf(record coordinator.Record, revision int64) coordinator.Record {
	switch r := record.(type) {
	case coordinator.App:
		return copyApp(r, revision)
	case coordinator.Credentials:
		r.Fields, r.Revision = maps.Clone(r.Fields), revision
		return r
	case coordinator.State:
		return copyState(r, revision)
	case coordinator.Token:
		return copyToken(r, revision)
	case coordinator.Grant:
		r.Rotated, r.Revision = wall(r.Rotated), revision
		return r
	case coordinator.Intent:
		r.Bases, r.Revision = maps.Clone(r.Bases), revision
		r.Began, r.Unresolved = wall(r.Began), wall(r.Unresolved)
		return r
	case coordinator.Salvage:
		return copySalvage(r, revision)
	case coordinator.Request:
		r.At, r.Revision = wall(r.At), revision
		return r
	case coordinator.Input:
		r.Extra, r.Revision = maps.Clone(r.Extra), revision
		r.Pushed, r.Expires = wall(r.Pushed), wall(r.Expires)
		return r
	case coordinator.Budget:
		r.Ends, r.Revision = wall(r.Ends), revision
		return r
	case coordinator.Client:
		return copyClient(r, revision)
	case coordinator.NodeInfo:
		r.Started, r.Revision = wall(r.Started), revision
		return r
	case coordinator.Heartbeat:
		return copyHeartbeat(r, revision)
	case coordinator.Elected:
		r.At, r.Revision = wall(r.At), revision
		return r
	case coordinator.Paused:
		r.At, r.Revision = wall(r.At), revision
		return r
	case coordinator.Bar:
		r.At, r.Until, r.Revision = wall(r.At), wall(r.Until), revision
		return r
	case coordinator.FingerprintKey:
		r.Revision = revision
		return r
	case coordinator.AppliedFile:
		r.At, r.Revision = wall(r.At), revision
		return r
	case coordinator.Audit:
		r.At, r.Revision = wall(r.At), revision
		r.Objects, r.Changed = slices.Clone(r.Objects), slices.Clone(r.Changed)
		return r
	}
	panic(fmt.Sprintf("unknown record %T", record))
}

func copyHeartbeat(r coordinator.Heartbeat, revision int64) coordinator.Heartbeat {
	r.At, r.Revision = wall(r.At), revision
	r.Upstreams = slices.Clone(r.Upstreams)
	for i, u := range r.Upstreams {
		r.Upstreams[i].Since = wall(u.Since)
	}
	return r
}

// copyApp leaves the credentials out: they are a record of their own.
func copyApp(a coordinator.App, revision int64) coordinator.App {
	a.Options, a.Labels = maps.Clone(a.Options), maps.Clone(a.Labels)
	a.Tokens = maps.Clone(a.Tokens)
	for name, settings := range a.Tokens {
		settings.Options = maps.Clone(settings.Options)
		a.Tokens[name] = settings
	}
	a.Credentials, a.CredentialsRevision = nil, 0
	a.Revision = revision
	return a
}

func copyState(s coordinator.State, revision int64) coordinator.State {
	s.Issued, s.Expires, s.Due, s.Forced, s.Hold = wall(s.Issued), wall(s.Expires), wall(s.Due), wall(s.Forced), wall(s.Hold)
	s.Verdict.At, s.Unresolved = wall(s.Verdict.At), wall(s.Unresolved)
	s.Outcomes = slices.Clone(s.Outcomes)
	for i, o := range s.Outcomes {
		s.Outcomes[i].Began = wall(o.Began)
	}
	s.Revision = revision
	return s
}

func copyToken(t coordinator.Token, revision int64) coordinator.Token {
	t.Extra = maps.Clone(t.Extra)
	t.Issued, t.Expires = wall(t.Issued), wall(t.Expires)
	t.Revision = revision
	return t
}

func copySalvage(s coordinator.Salvage, revision int64) coordinator.Salvage {
	s.Bases, s.Tokens, s.Began = maps.Clone(s.Bases), slices.Clone(s.Tokens), wall(s.Began)
	for i, t := range s.Tokens {
		s.Tokens[i] = copyToken(t, 0)
	}
	s.Revision = revision
	return s
}

func copyClient(c coordinator.Client, revision int64) coordinator.Client {
	c.Can = maps.Clone(c.Can)
	for verb, globs := range c.Can {
		c.Can[verb] = slices.Clone(globs)
	}
	c.Expires, c.Created, c.Revision = wall(c.Expires), wall(c.Created), revision
	return c
}

func wall(t time.Time) time.Time { return t.Round(0).UTC() }

// same reports whether two records would be stored alike, whatever their revisions.
func same(a, b coordinator.Record) bool { return reflect.DeepEqual(copyOf(a, 0), copyOf(b, 0)) }
