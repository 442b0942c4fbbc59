package store

import (
	"net/url"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// keys builds and parses every etcd key. All of them lie under "<prefix>/v1/";
// nothing secret is ever part of one.
type keys struct {
	root string // "<prefix>/v1/"
}

func newKeys(prefix string) keys { return keys{root: strings.TrimRight(prefix, "/") + "/v1/"} }

// all is the prefix of every key we keep.
func (k keys) all() string { return k.root }

// span is the keys from one to before another.
type span struct{ from, end string }

// listed are all keys but those of who changed what: no node keeps them in mind.
func (k keys) listed() []span {
	return []span{
		{k.all(), k.audits()},
		{clientv3.GetPrefixRangeEnd(k.audits()), clientv3.GetPrefixRangeEnd(k.all())},
	}
}

func (k keys) schema() string      { return k.root + "sys/schema" }
func (k keys) epoch() string       { return k.root + "sys/epoch" }
func (k keys) heartbeat() string   { return k.root + "sys/heartbeat" }
func (k keys) paused() string      { return k.root + "sys/paused" }
func (k keys) fingerprint() string { return k.root + "sys/fingerprint" }

// changed is written by every change and deletion of any app, so that one
// compare tells whether an app has changed: a compare of the apps themselves
// would read all of them, and would not see those deleted.
func (k keys) changed() string { return k.root + "sys/apps" }

// election is the prefix handed to the election, which adds "/<lease>". Nothing
// else may be kept below it.
func (k keys) election() string   { return k.root + "sys/election" }
func (k keys) candidates() string { return k.election() + "/" }

func (k keys) nodes() string              { return k.root + "sys/nodes/" }
func (k keys) node(node string) string    { return k.nodes() + node }
func (k keys) applied(file string) string { return k.root + "sys/applied/" + file }

func (k keys) app(app string) string         { return k.root + "apps/" + app }
func (k keys) credentials(app string) string { return k.root + "credentials/" + app }
func (k keys) grant(app string) string       { return k.root + "grants/" + app }

func (k keys) state(n coordinator.Name) string   { return k.statesOf(n.App) + n.Token }
func (k keys) token(n coordinator.Name) string   { return k.tokensOf(n.App) + n.Token }
func (k keys) request(n coordinator.Name) string { return k.requestsOf(n.App) + n.Token }
func (k keys) input(n coordinator.Name) string   { return k.inputsOf(n.App) + n.Token }

func (k keys) statesOf(app string) string   { return k.root + "states/" + segment(app) + "/" }
func (k keys) tokensOf(app string) string   { return k.root + "tokens/" + segment(app) + "/" }
func (k keys) requestsOf(app string) string { return k.root + "requests/" + segment(app) + "/" }
func (k keys) inputsOf(app string) string   { return k.root + "inputs/" + segment(app) + "/" }

func (k keys) intent(app, group string) string { return k.intentsOf(app) + group }
func (k keys) intentsOf(app string) string     { return k.root + "intents/" + segment(app) + "/" }

func (k keys) salvage(app, group, attempt string) string { return k.salvageOf(app, group) + attempt }

func (k keys) salvageOf(app, group string) string {
	return k.salvageOfApp(app) + segment(group) + "/"
}

func (k keys) salvageOfApp(app string) string { return k.root + "salvage/" + segment(app) + "/" }

func (k keys) budget(app, window string) string {
	return k.root + "budgets/" + segment(app) + "/" + window
}
func (k keys) client(client string) string { return k.root + "clients/" + client }

func (k keys) audits() string         { return k.root + "audit/" }
func (k keys) audit(id string) string { return k.audits() + id }

// segment makes a text safe to stand between two slashes. Well-formed names are
// left as they are; only the last segment of a key may hold slashes.
func segment(s string) string { return url.PathEscape(s) }

// of returns the key a record is kept under.
func (k keys) of(record coordinator.Record) string {
	switch r := record.(type) {
	case coordinator.App:
		return k.app(r.Name)
	case coordinator.Credentials:
		return k.credentials(r.App)
	case coordinator.State:
		return k.state(r.Name)
	case coordinator.Token:
		return k.token(r.Name)
	case coordinator.Grant:
		return k.grant(r.App)
	case coordinator.Intent:
		return k.intent(r.App, r.Group)
	case coordinator.Salvage:
		return k.salvage(r.App, r.Group, r.Attempt)
	case coordinator.Request:
		return k.request(r.Name)
	case coordinator.Input:
		return k.input(r.Name)
	case coordinator.Budget:
		return k.budget(r.App, r.Window)
	case coordinator.Client:
		return k.client(r.Name)
	default:
		return k.ofCluster(record)
	}
}

func (k keys) ofCluster(record coordinator.Record) string {
	switch r := record.(type) {
	case coordinator.NodeInfo:
		return k.node(r.Name)
	case coordinator.AppliedFile:
		return k.applied(r.File)
	case coordinator.Heartbeat:
		return k.heartbeat()
	case coordinator.Elected:
		return k.epoch()
	case coordinator.Paused:
		return k.paused()
	case coordinator.Bar:
		return k.bar(r.App, r.Egress)
	case coordinator.FingerprintKey:
		return k.fingerprint()
	case coordinator.Audit:
		return k.audit(r.ID)
	}
	return "" // no other kind of record exists; etcd refuses an empty key
}

// identify returns a record with nothing but what its key says, or false for
// keys that hold no record of the domain (candidates, the schema, those of a newer build).
func (k keys) identify(key string) (coordinator.Record, bool) {
	rest, ours := strings.CutPrefix(key, k.root)
	section, id, _ := strings.Cut(rest, "/")
	if !ours || id == "" {
		return nil, false
	}
	switch section {
	case "sys":
		return identifySys(id)
	case "apps":
		return coordinator.App{Name: id}, true
	case "credentials":
		return coordinator.Credentials{App: id}, true
	case "grants":
		return coordinator.Grant{App: id}, true
	case "clients":
		return coordinator.Client{Name: id}, true
	case "audit":
		return coordinator.Audit{ID: id}, true
	}
	app, id, ok := cutSegment(id)
	if !ok {
		return nil, false
	}
	return identifyOfApp(section, app, id)
}

func identifySys(id string) (coordinator.Record, bool) {
	switch id {
	case "heartbeat":
		return coordinator.Heartbeat{}, true
	case "epoch":
		return coordinator.Elected{}, true
	case "paused":
		return coordinator.Paused{}, true
	case "fingerprint":
		return coordinator.FingerprintKey{}, true
	}
	section, id, _ := strings.Cut(id, "/")
	switch {
	case id == "":
		return nil, false
	case section == "nodes":
		return coordinator.NodeInfo{Name: id}, true
	case section == "applied":
		return coordinator.AppliedFile{File: id}, true
	}
	return nil, false
}

func identifyOfApp(section, app, id string) (coordinator.Record, bool) {
	name := coordinator.Name{App: app, Token: id}
	switch section {
	case "states":
		return coordinator.State{Name: name}, true
	case "tokens":
		return coordinator.Token{Name: name}, true
	case "requests":
		return coordinator.Request{Name: name}, true
	case "inputs":
		return coordinator.Input{Name: name}, true
	case "intents":
		return coordinator.Intent{App: app, Group: id}, true
	case "bars":
		return coordinator.Bar{App: app, Egress: id}, true
	case "budgets":
		return coordinator.Budget{App: app, Window: id}, true
	case "salvage":
		group, attempt, ok := cutSegment(id)
		return coordinator.Salvage{App: app, Group: group, Attempt: attempt}, ok
	}
	return nil, false
}

// cutSegment takes the first segment off a key; neither part may be empty.
func cutSegment(s string) (head, rest string, ok bool) {
	escaped, rest, _ := strings.Cut(s, "/")
	head, err := url.PathUnescape(escaped)
	return head, rest, err == nil && head != "" && rest != ""
}
