package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
)

func TestTheHeartbeatComesSeveralTimesInASession(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		2 * time.Second:  2 * time.Second / 3,
		5 * time.Second:  5 * time.Second / 3,
		15 * time.Second: coordinator.HeartbeatEvery,
	} {
		c := defaultConfig()
		c.Etcd.SessionTTL = ttl
		got, err := nodeConfig(c, nil, "http://127.0.0.1:7480", slog.New(slog.DiscardHandler))
		if err != nil || got.Heartbeat != want {
			t.Errorf("session of %s: heartbeat every %s (%v), want %s", ttl, got.Heartbeat, err, want)
		}
	}
}

func TestBothListenersBoundWhatAConnectionMayTake(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	err := serve(ctx, servedConfig(t, "http://127.0.0.1:1"), nil, slog.New(slog.DiscardHandler), func(_ context.Context, m machine) error {
		defer stop()
		api, err := m.apiServer(m.config.Listen.API, m.api.Handler()) //nolint:contextcheck // handlers have the context of each request
		if err != nil {
			return err
		}
		ops := m.opsServer() //nolint:contextcheck // handlers have the context of each request
		for name, limits := range map[string][]time.Duration{
			"api": {api.ReadHeaderTimeout, api.ReadTimeout, api.WriteTimeout, api.IdleTimeout},
			"ops": {ops.ReadHeaderTimeout, ops.ReadTimeout, ops.WriteTimeout, ops.IdleTimeout},
		} {
			for _, limit := range limits {
				if limit <= 0 {
					t.Errorf("%s: limits %v, want none to be missing", name, limits)
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

func TestDevPrintsCommandsAsItWasStarted(t *testing.T) {
	for program, want := range map[string]string{
		"/tmp/go-build123/b001/exe/freshet":   "go run ./cmd/freshet",
		"/var/cache/go-build/ab/cd-d/freshet": "go run ./cmd/freshet",
		"/usr/local/bin/freshet":              "freshet",
	} {
		if got := startedAs(program, nil); got != want {
			t.Errorf("startedAs(%q) = %q, want %q", program, got, want)
		}
	}
	if got := startedAs("", errors.New("unknown")); got != "freshet" {
		t.Errorf("where nobody knows the program: %q", got)
	}
}

func TestMistypedVariablesAreToldByNameOnly(t *testing.T) {
	names := []string{"PATH", "FRESHET_NOED", "FRESHET_NODE", "FRESHET_KEY", "FRESHET_MINE", "FRESHET_PORT", "FRESHET_SERVICE_HOST", "FRESHET_COLOURS"}
	got := strings.Join(unknownVariables(names, map[string]bool{"FRESHET_MINE": true}), "\n")
	want := "the variable FRESHET_COLOURS is not known and is ignored\n" +
		"the variable FRESHET_NOED is not known and is ignored; did you mean FRESHET_NODE?"
	if got != want {
		t.Errorf("notes:\n%s\nwant:\n%s", got, want)
	}
}

func TestDurationsInJSONLogsAreReadable(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, logConfig{Level: "info", Format: "json"}).InfoContext(t.Context(), "fetched", "took", 1500*time.Millisecond)
	if !strings.Contains(out.String(), `"took":"1.5s"`) {
		t.Errorf("the log line is %s", out.String())
	}
}
