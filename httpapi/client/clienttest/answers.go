package clienttest

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"freshet/httpapi/client"
)

func (n *Node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tokens", n.serves(n.getTokens))
	mux.HandleFunc("GET /v1/tokens/{app}", n.serves(n.getToken))
	mux.HandleFunc("GET /v1/tokens/{app}/{token}", n.serves(n.getToken))
	mux.HandleFunc("POST /v1/tokens/{app}/{token}/report", n.serves(n.report))
	mux.HandleFunc("POST /v1/tokens/{app}/{token}/refresh", n.serves(n.refresh))
	mux.HandleFunc("GET /v1/stream", n.serves(n.stream))
	mux.HandleFunc("/", n.serves(func(http.ResponseWriter, *http.Request) (any, error) {
		return nil, problem(http.StatusNotFound, client.CodeNotFound)
	}))
	return mux
}

func problem(status int, code string) *client.Problem {
	return &client.Problem{Type: "urn:freshet:problem:" + code, Title: "refused", Status: status, Code: code}
}

// serves checks who asks, and writes what an endpoint answers, if that is anything.
func (n *Node) serves(endpoint func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		known, draining := n.look()
		var answer any
		var err error
		switch {
		case known.revoked || r.Header.Get("Authorization") != "Bearer "+Key:
			err = problem(http.StatusUnauthorized, client.CodeUnauthenticated)
		case draining:
			err = problem(http.StatusServiceUnavailable, client.CodeDraining)
		default:
			answer, err = endpoint(w, r)
		}
		media, status := "application/json", http.StatusOK
		if p, ok := errors.AsType[*client.Problem](err); ok {
			answer, media, status = p, "application/problem+json", p.Status
		}
		if answer == nil {
			return
		}
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // nobody is left to tell
	}
}

func nameOf(r *http.Request) string {
	return r.PathValue("app") + "/" + cmp.Or(r.PathValue("token"), "access_token")
}

// getToken answers a value, and waits for it if that is asked for.
func (n *Node) getToken(_ http.ResponseWriter, r *http.Request) (any, error) {
	query := r.URL.Query()
	after, err1 := strconv.ParseInt(cmp.Or(query.Get("after"), "0"), 10, 64)
	minTTL, err2 := time.ParseDuration(cmp.Or(query.Get("min_ttl"), "0s"))
	wait, err3 := time.ParseDuration(cmp.Or(query.Get("wait"), "0s"))
	if errors.Join(err1, err2, err3) != nil {
		return nil, problem(http.StatusBadRequest, client.CodeInvalidRequest)
	}
	timer := time.NewTimer(min(wait, time.Minute))
	defer timer.Stop()
	for {
		known, draining := n.look()
		t, err := n.value(known, nameOf(r), after, minTTL)
		if err == nil {
			n.count(func() { n.cluster.reads++ })
			return t, nil
		}
		if draining && wait > 0 {
			return nil, problem(http.StatusServiceUnavailable, client.CodeDraining)
		}
		if err.Status == http.StatusNotFound || wait == 0 {
			return nil, err
		}
		select {
		case <-known.moved:
		case <-timer.C:
			return nil, err
		case <-r.Context().Done():
			return nil, problem(http.StatusServiceUnavailable, client.CodeCanceled)
		}
	}
}

// getTokens answers many values at once.
func (n *Node) getTokens(_ http.ResponseWriter, r *http.Request) (any, error) {
	minTTL, err := time.ParseDuration(cmp.Or(r.URL.Query().Get("min_ttl"), "0s"))
	if err != nil {
		return nil, problem(http.StatusBadRequest, client.CodeInvalidRequest)
	}
	known, _ := n.look()
	var list client.TokenList
	for name := range strings.SplitSeq(r.URL.Query().Get("names"), ",") {
		result := client.TokenResult{Name: full(name)}
		t, refused := n.value(known, result.Name, 0, minTTL)
		if refused == nil {
			result.Token = &t
			n.count(func() { n.cluster.reads++ })
		}
		result.Problem = refused
		list.Tokens = append(list.Tokens, result)
	}
	return list, nil
}

// value returns a value as it is answered now.
func (n *Node) value(known view, name string, after int64, minTTL time.Duration) (client.Token, *client.Problem) {
	t := known.tokens[name]
	if t == nil || t.deleted {
		return client.Token{}, problem(http.StatusNotFound, client.CodeUnknownToken)
	}
	left := time.Until(t.ExpiresAt)
	switch {
	case left <= 0:
		return client.Token{}, problem(http.StatusServiceUnavailable, client.CodeNoValidToken)
	case t.Version <= after || left < minTTL:
		return client.Token{}, problem(http.StatusServiceUnavailable, client.CodeNoNewerToken)
	}
	return n.answered(t), nil
}

// answered is a value as it goes out.
func (n *Node) answered(t *token) client.Token {
	out := t.Token
	out.ExpiresIn = int64(max(0, time.Until(t.ExpiresAt)) / time.Second)
	out.ExpiresAt = out.ExpiresAt.Truncate(time.Second)
	out.Node = n.name
	return out
}

func (n *Node) count(what func()) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	what()
}

func readBody(r *http.Request, into any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil || len(data) > 0 && json.Unmarshal(data, into) != nil {
		return problem(http.StatusBadRequest, client.CodeInvalidRequest)
	}
	return nil
}

// report finds out about a value that was refused, and replaces a dead one.
func (n *Node) report(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body client.ReportBody
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	c, name := n.cluster, nameOf(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports[name]++
	t := c.tokens[name]
	if t == nil || t.deleted {
		return nil, problem(http.StatusNotFound, client.CodeUnknownToken)
	}
	answer := client.ReportAnswer{App: t.App, Token: t.Token.Token, Verdict: client.VerdictAlive, After: t.Version}
	switch {
	case body.Version > 0 && body.Version < t.Version, body.Version == 0 && body.Fingerprint != t.Fingerprint:
		answer.Verdict, answer.After = client.VerdictReplaced, t.Version-1
	case t.killed:
		answer.Verdict = client.VerdictRefreshing
		if !t.held {
			c.rotate(name)
		}
	}
	answer.Version, answer.State = c.tokens[name].Version, c.tokens[name].State
	return answer, nil
}

// refresh brings a new version.
func (n *Node) refresh(_ http.ResponseWriter, r *http.Request) (any, error) {
	var body client.RefreshBody
	if err := readBody(r, &body); err != nil {
		return nil, err
	}
	c, name := n.cluster, nameOf(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshes[name]++
	t := c.tokens[name]
	if t == nil || t.deleted {
		return nil, problem(http.StatusNotFound, client.CodeUnknownToken)
	}
	after := cmp.Or(body.AfterVersion, t.Version)
	if t.Version <= after && !t.held {
		c.rotate(name)
	}
	return client.RefreshAnswer{State: stateOf(c.tokens[name]), After: after}, nil
}

func stateOf(t *token) client.State {
	return client.State{
		App: t.App, Token: t.Token.Token, State: t.State, Version: t.Version, Fingerprint: t.Fingerprint,
		IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt.Truncate(time.Second),
		ExpiresIn: int64(max(0, time.Until(t.ExpiresAt)) / time.Second),
	}
}
