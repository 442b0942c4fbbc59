package client_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/httpapi/client"
	"freshet/httpapi/client/clienttest"
)

// buffer is a log that may be written and read at the same time.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestNoTypeShowsAValueOrAKey fills everything with a value first.
func TestNoTypeShowsAValueOrAKey(t *testing.T) {
	cluster := clienttest.New()
	cluster.Set("shop", "canary-value", time.Hour)
	cfg := cluster.Config(cluster.Start(t))
	var logged buffer
	logger := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)))
	c := newClient(t, cfg)
	cache, err := client.NewCache(c, client.CacheConfig{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	token := mustRead(t, cache, 1, client.TokenOptions{})
	cluster.Kill("shop")
	cluster.Set("shop", "canary-value-2", time.Hour)
	transportConfig := client.TransportConfig{Reader: cache, Name: "shop", Base: roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.WriteHeader(http.StatusUnauthorized)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	})}
	transport, err := client.NewTransport(transportConfig)
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://platform.test/", http.NoBody)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()

	event := client.Event{Kind: client.EventToken, Token: token}
	for _, it := range []any{cfg, &cfg, c, cache, transport, transportConfig, event, &event, resp.Request, cluster, token} {
		logger.InfoContext(t.Context(), "printed", "it", it)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if text := fmt.Sprintf(verb, it); strings.Contains(text, "canary") || strings.Contains(text, clienttest.Key) {
				t.Errorf("%T with %s: %s", it, verb, text)
			}
		}
	}
	if strings.Contains(logged.String(), "canary") || strings.Contains(logged.String(), clienttest.Key) {
		t.Errorf("logged %s", logged.String())
	}
}

// TestWhatABrokenStreamSaysIsRepeatedNowhere has nodes that write nonsense with a value in it.
func TestWhatABrokenStreamSaysIsRepeatedNowhere(t *testing.T) {
	for _, text := range []string{
		"event: token\ndata: {\"value\":\"canary-value\"\n\n",
		"event: token\ndata: {\"app\":\"canary-value\",\"token\":7}\n\n",
		"event: end\ndata: \"canary-value\"\n\n",
		"canary-value\n\n",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprint(w, text)
		}))
		t.Cleanup(server.Close)
		var logged buffer
		cache, err := client.NewCache(newClient(t, client.Config{Addresses: []string{server.URL}, Key: clienttest.Key}),
			client.CacheConfig{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cache.Run(ctx)
		}()
		for deadline := time.Now().Add(30 * time.Second); logged.String() == "" && time.Now().Before(deadline); {
			<-time.After(time.Millisecond)
		}
		cancel()
		<-ended
		if logged.String() == "" || strings.Contains(logged.String(), "canary") {
			t.Errorf("logged %q", logged.String())
		}
	}
}
