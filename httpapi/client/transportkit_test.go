package client_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
)

// platform takes the values of a cluster's "shop", in a header or a query.
type platform struct {
	cluster *clienttest.Cluster
	answer  func(ok bool) *http.Response
	before  func() // before an answer

	mu     sync.Mutex
	bodies []string
	calls  int
}

func (p *platform) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	p.mu.Lock()
	p.calls++
	p.bodies = append(p.bodies, string(body))
	p.mu.Unlock()
	value, inHeader := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !inHeader {
		value = r.URL.Query().Get("access_token")
	}
	ok := p.cluster.Accepts("shop", value)
	if p.before != nil {
		p.before()
	}
	resp := p.answer(ok)
	resp.Request = r
	return resp, nil
}

func byStatus(ok bool) *http.Response {
	w := httptest.NewRecorder()
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
	}
	_, _ = fmt.Fprintf(w, "accepted: %v", ok)
	return w.Result()
}

func byBody(ok bool) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json; encoding=utf-8")
	text := `{"errcode":0,"list":"` + strings.Repeat("x", 8<<10) + `"}`
	if !ok {
		text = `{"errcode":40001,"errmsg":"invalid credential"}`
	}
	_, _ = io.WriteString(w, text)
	return w.Result()
}

func deadCode(status int, _ http.Header, body []byte) (string, bool) {
	return "40001", status == http.StatusOK && bytes.Contains(body, []byte(`"errcode":40001`))
}

// rig is a cluster, a platform and a client of the platform.
type rig struct {
	cluster  *clienttest.Cluster
	node     *clienttest.Node
	platform *platform
	api      *http.Client
}

func newRig(t *testing.T, change func(*client.TransportConfig, *platform)) *rig {
	t.Helper()
	r := &rig{cluster: clienttest.New()}
	r.cluster.Set("shop", "canary-value-1", time.Hour)
	r.node = r.cluster.StartInMemory(t)
	r.platform = &platform{cluster: r.cluster, answer: byStatus}
	cfg := client.TransportConfig{Reader: newClient(t, r.cluster.Config(r.node)), Name: "shop", Base: r.platform}
	if change != nil {
		change(&cfg, r.platform)
	}
	transport, err := client.NewTransport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.api = &http.Client{Transport: transport}
	return r
}

// call makes one call and returns what came of it.
func (r *rig) call(t *testing.T, body io.Reader) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://platform.test/x?b=2&access_token=old&a=1%2F", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.api.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil {
		t.Fatal(err)
	}
	if req.Header.Get("Authorization") != "" || req.URL.Query().Get("access_token") != "old" || strings.Contains(fmt.Sprintf("%+v", resp.Request), "canary") {
		t.Error("the caller's request was changed, or the answer's shows the value")
	}
	return fmt.Sprintf("%d %.20s", resp.StatusCode, text)
}
