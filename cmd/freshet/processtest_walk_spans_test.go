//go:build unix

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
)

// canarySearch is an OTLP collector that keeps nothing but what it should never see.
type canarySearch struct {
	url string

	mu    sync.Mutex
	spans int
	wrong []string
}

func startCanarySearch(t *testing.T) *canarySearch {
	t.Helper()
	c := &canarySearch{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *canarySearch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, err := decodeSpans(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	plain, _ := proto.Marshal(request) // strings stand in it as they are
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, from := range request.GetResourceSpans() {
		for _, scope := range from.GetScopeSpans() {
			c.spans += len(scope.GetSpans())
		}
	}
	if bytes.Contains(plain, []byte(canary)) {
		c.wrong = append(c.wrong, "a span shows a secret")
	}
}

// Wrong lists the spans that show a secret.
func (c *canarySearch) Wrong() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrong
}

// Spans counts what was searched.
func (c *canarySearch) Spans() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}
