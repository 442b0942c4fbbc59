package httpapi

import (
	"net/http"

	"freshet/httpapi/client"
)

// operation is one entry of the API's description. A route that is served and
// not described, or described and not served, fails TestOpenAPIDescribesEveryRoute;
// after a change FRESHET_WRITE_OPENAPI=1 lets TestOpenAPIDocument write openapi.json anew.
type operation struct {
	method, route string
	id            string      // of the operation, for generated clients
	tag           string      // group
	summary       string      // one sentence
	needs         string      // permission; empty: no client key is asked for
	query         []string    // names in parameters()
	body          any         // of the request; nil: none
	replies       map[int]any // :: status → body; nil: none
	media         []string    // beside JSON
}

// notDescribed are the beginnings of routes that have the shape of somebody
// else's API, which is described elsewhere.
func notDescribed() []string { return []string{"/compat/", "/proxy/", "/callback/", "/ui"} }

// headers are the request headers that operations heed, by the operation's id.
func headers() map[string]string {
	return map[string]string{"stream": "Last-Event-ID", "getToken": "If-None-Match", "getDefaultToken": "If-None-Match", "pushToken": "Idempotency-Key"}
}

// aboutHeaders says what each of them is for.
func aboutHeaders() map[string]string {
	return map[string]string{
		"Last-Event-ID":   "The id of the last event of a stream that ended: go on after it, on any node.",
		"If-None-Match":   "The ETag of the answer before: 304 while version, state and end are those.",
		"Idempotency-Key": "A text of its own for each push, at most 64 bytes: sent again it replaces nothing that was pushed since.",
	}
}

// noContent is the reply of what needs no answer.
func noContent() map[int]any { return map[int]any{http.StatusNoContent: nil} }

func replies(body any) map[int]any { return map[int]any{http.StatusOK: body} }

// operations describes every route, in the order of the document's groups.
func operations() []operation {
	get, post, put, remove := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	token := map[int]any{http.StatusOK: client.Token{}, http.StatusNotModified: nil}
	page := []string{"prefix", "limit", "cursor"}
	return []operation{
		{get, "/v1/tokens", "getTokens", "tokens", "Read many values at once: for each name, in the order asked, its value or the problem that a read of it would meet. It never waits.", "read", []string{"names", "min_ttl"}, nil, replies(client.TokenList{}), nil},
		{get, "/v1/tokens/{app}", "getDefaultToken", "tokens", "Read the access_token of an app. It waits only where wait is given.", "read", []string{"min_ttl", "after", "wait"}, nil, token, []string{"text/plain"}},
		{get, "/v1/tokens/{app}/{token}", "getToken", "tokens", "Read a value. It waits only where wait is given.", "read", []string{"min_ttl", "after", "wait"}, nil, token, []string{"text/plain"}},
		{get, "/v1/stream", "stream", "tokens", "Follow tokens as server-sent events: token, state, deleted, synced and end. The data of a token is a Token, of a state a State. The header Last-Event-ID goes on where a stream ended, on any node.", "read", []string{"names"}, nil, replies(streamed{}), nil},
		{put, "/v1/tokens/{app}/{token}", "pushToken", "tokens", "Push a value and its expiry. The answer says which version to wait for. Sent again with the same Idempotency-Key it changes nothing.", "push", nil, client.PushBody{}, map[int]any{http.StatusAccepted: client.PushAnswer{}}, nil},
		{post, "/v1/tokens/{app}/{token}/refresh", "refreshToken", "tokens", "Ask for a newer version. 200: it is there; 202: it is on its way.", "refresh", nil, client.RefreshBody{}, map[int]any{http.StatusOK: client.RefreshAnswer{}, http.StatusAccepted: client.RefreshAnswer{}}, nil},
		{post, "/v1/tokens/{app}/{token}/report", "reportToken", "tokens", "Report that the platform refused a value. A living one is left alone, a dead one replaced once.", "read", nil, client.ReportBody{}, replies(client.ReportAnswer{}), nil},
		{post, "/v1/apps/{app}/refresh", "refreshApp", "tokens", "Ask for newer versions of all tokens of an app.", "refresh", nil, client.AppRefreshBody{}, map[int]any{http.StatusOK: client.AppRefreshAnswer{}, http.StatusAccepted: client.AppRefreshAnswer{}}, nil},

		{get, "/v1/states", "listStates", "states", "List what is known of the tokens the client may see, without values.", "view", append([]string{"state"}, page...), nil, replies(client.StateList{}), nil},
		{get, "/v1/states/{app}", "getDefaultState", "states", "What is known of the access_token of an app, without its value.", "view", nil, nil, replies(client.State{}), nil},
		{get, "/v1/states/{app}/{token}", "getState", "states", "What is known of a token, without its value.", "view", nil, nil, replies(client.State{}), nil},

		{get, "/v1/apps", "listApps", "apps", "List the apps the client may see. Credentials are never shown.", "view", append([]string{"label"}, page...), nil, replies(client.AppList{}), nil},
		{get, "/v1/apps/{app}", "getApp", "apps", "An app with the settings in effect. Credentials are never shown.", "view", nil, nil, replies(client.AppInfo{}), nil},
		{put, "/v1/apps/{app}", "putApp", "apps", "Apply an app. Credentials that are left out stay.", "admin", []string{"dry_run", "replace_grant"}, client.App{}, map[int]any{http.StatusOK: client.AppChange{}, http.StatusCreated: client.AppChange{}}, nil},
		{post, "/v1/import", "import", "apps", "Apply many apps, one a line, parents before their children. Each line is answered while later ones are sent, and refused by itself; the last answer has the totals, and one without them was cut off. The same import can be made again.", "admin", []string{"dry_run", "replace_grant"}, lined{client.ImportApp{}}, replies(lined{client.ImportAnswer{}}), nil},
		{remove, "/v1/apps/{app}", "deleteApp", "apps", "Delete an app with its credentials and tokens.", "admin", nil, nil, noContent(), nil},
		{post, "/v1/apps/{app}/pause", "pauseApp", "apps", "Stop refreshing an app. What it holds is served on.", "admin", nil, nil, noContent(), nil},
		{post, "/v1/apps/{app}/resume", "resumeApp", "apps", "Refresh an app again.", "admin", nil, nil, noContent(), nil},

		{get, "/v1/clients", "listClients", "clients", "List the clients. Keys are never shown.", "admin", page, nil, replies(client.ClientList{}), nil},
		{post, "/v1/clients", "addClient", "clients", "Make a client. Its key is shown this once.", "admin", nil, client.ClientBody{}, map[int]any{http.StatusCreated: client.ClientKey{}}, nil},
		{get, "/v1/clients/{client}", "getClient", "clients", "A client, without its key.", "admin", nil, nil, replies(client.ClientInfo{}), nil},
		{remove, "/v1/clients/{client}", "deleteClient", "clients", "Delete a client; its key is worth nothing at once.", "admin", nil, nil, noContent(), nil},

		{get, "/v1/status", "getStatus", "cluster", "The cluster as this node sees it, counting what the client may see.", "view", nil, nil, replies(client.Status{}), nil},
		{get, "/v1/nodes", "listNodes", "cluster", "The nodes that live.", "view", nil, nil, replies(client.NodeList{}), nil},
		{get, "/v1/seals", "getSeals", "cluster", "What the secrets are sealed with. The node reads every secret record.", "admin", nil, nil, replies(client.Seals{}), nil},
		{get, "/v1/bars", "listBars", "cluster", "The addresses from which platforms refuse apps.", "view", nil, nil, replies(client.BarList{}), nil},
		{remove, "/v1/bars/{app}", "liftBars", "cluster", "Forget such refusals, so that the app is tried from there again.", "admin", []string{"egress"}, nil, replies(client.BarsLifted{}), nil},
		{get, "/v1/audit", "listAudit", "cluster", "Who changed what, newest first, for the last 30 days. Only names are kept of what changed, never a value.", "admin", []string{"app", "by", "limit", "cursor"}, nil, replies(client.AuditList{}), nil},
		{post, "/v1/pause", "pauseCluster", "cluster", "Stop refreshing everything. What is held is served on.", "admin", nil, nil, noContent(), nil},
		{post, "/v1/resume", "resumeCluster", "cluster", "Refresh again.", "admin", nil, nil, noContent(), nil},
		{post, "/v1/finalize", "finalize", "cluster", "End a rolling upgrade: raise the format of the records to the newest that every node reads.", "admin", nil, nil, replies(client.Finalized{}), nil},

		{get, "/livez", "livez", "health", "The process answers.", "", nil, nil, replies(health{}), nil},
		{get, "/readyz", "readyz", "health", "The node can serve and is not going away. That etcd is away does not count, unless fresh is given.", "", []string{"verbose", "fresh"}, nil, map[int]any{http.StatusOK: health{}, http.StatusServiceUnavailable: health{}}, nil},
		{get, "/v1/openapi.json", "openapi", "health", "This document.", "", nil, nil, replies(map[string]string(nil)), nil},
	}
}

// streamed stands for the events of a stream.
type streamed struct{}

// lined stands for NDJSON: values one a line.
type lined struct{ of any }

// parameter is one that a query may have.
type parameter struct {
	description string
	schema      map[string]any
}

// parameters describes all parameters of queries.
func parameters() map[string]parameter {
	text := map[string]any{"type": "string"}
	flag := map[string]any{"type": "string", "enum": []string{"", "1", "0", "true", "false"}}
	duration := map[string]any{"type": "string", "examples": []string{"30s", "5m"}}
	return map[string]parameter{
		"names":         {"Names of tokens separated by commas, at most 500: app/token, or app for its access_token. A stream takes patterns as well, as permissions have them, e.g. shop/*; without names it tells of all that the client may read.", text},
		"min_ttl":       {"Only a value that lives so long.", duration},
		"after":         {"Only a version above this one.", map[string]any{"type": "integer", "format": "int64", "minimum": 0}},
		"wait":          {"How long to wait for such a value, at most a minute. Without it nothing is waited for.", map[string]any{"type": "string", "examples": []string{"10s", "1m"}}},
		"state":         {"Only tokens in this state.", map[string]any{"type": "string", "enum": statuses()}},
		"prefix":        {"Only names that begin so.", text},
		"limit":         {"How many entries a page has; 100 unless told.", map[string]any{"type": "integer", "minimum": 1, "maximum": maxLimit}},
		"cursor":        {"next_cursor of the page before.", text},
		"label":         {"Only apps with this label: team=retail, or team for any value; several with commas.", text},
		"dry_run":       {"Write nothing, and say what would be.", flag},
		"replace_grant": {"Put the given refresh token in the place of the one that is kept.", flag},
		"app":           {"Only what was done to this app.", text},
		"by":            {"Only what this actor did: api:orders for the client orders, file:apps.yaml for an apps file.", text},
		"egress":        {"Only from this address.", text},
		"verbose":       {"Say more.", flag},
		"fresh":         {"Be not ready as well while etcd is away.", flag},
	}
}
