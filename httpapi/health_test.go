package httpapi

import (
	"net/http"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func TestReadinessIsToServeAndNotToDrain(t *testing.T) {
	fresh := coordinator.Health{Synced: true, Age: time.Second}
	stale := coordinator.Health{Synced: true, Stale: true, Age: time.Hour}
	draining := coordinator.Health{Synced: true, Draining: true}
	recalled := coordinator.Health{Synced: true, Stale: true, FromSnapshot: true, Age: time.Hour}
	for _, c := range []struct {
		health coordinator.Health
		target string
		status int
		want   string
	}{
		{fresh, "/readyz", 200, "ready"},
		{fresh, "/readyz?fresh", 200, "ready"},
		{stale, "/readyz", 200, "ready"},
		{stale, "/readyz?verbose", 200, "ready"},
		{stale, "/readyz?fresh", 503, "not_ready"},
		{stale, "/readyz?fresh=1&verbose=1", 503, "not_ready"},
		{stale, "/readyz?fresh=0", 200, "ready"},
		{recalled, "/readyz", 200, "ready"},
		{recalled, "/readyz?fresh", 503, "not_ready"},
		{draining, "/readyz", 503, "not_ready"},
		{coordinator.Health{}, "/readyz", 503, "not_ready"},
		{coordinator.Health{}, "/livez", 200, "ok"},
		{draining, "/livez", 200, "ok"},
	} {
		node := newFake()
		node.health = c.health
		a, _ := newAPI(t, node)
		for listener, h := range map[string]http.Handler{"API": a.Handler(), "operations": a.OpsHandler()} {
			w := do(t, h, ask{method: http.MethodGet, target: c.target, key: "-"})
			got := decode[health](t, w)
			if w.Code != c.status || got.Status != c.want || got.Stale != c.health.Stale {
				t.Errorf("%s on the %s listener: status %d %+v, want %d %s", c.target, listener, w.Code, got, c.status, c.want)
			}
			if c.health.Stale && w.Header().Get("Freshet-Watch-Age") != "3600" {
				t.Errorf("Freshet-Watch-Age %q", w.Header().Get("Freshet-Watch-Age"))
			}
		}
	}
}

func TestHealthSaysWhatIsServed(t *testing.T) {
	for want, h := range map[string]coordinator.Health{
		"none": {}, "cluster": {Synced: true}, "snapshot": {Synced: true, Stale: true, FromSnapshot: true},
	} {
		node := newFake().root()
		node.health = h
		node.status.Health = h
		a, _ := newAPI(t, node)
		for _, target := range []string{"/readyz", "/livez"} {
			if got := decode[health](t, do(t, a.OpsHandler(), ask{method: http.MethodGet, target: target, key: "-"})); got.Source != want {
				t.Errorf("%s says %q, want %q", target, got.Source, want)
			}
		}
		if got := decode[client.Status](t, get(t, a.Handler(), "/v1/status")); got.Source != want {
			t.Errorf("the status says %q, want %q", got.Source, want)
		}
	}
}

func TestVerboseTellsMore(t *testing.T) {
	a, _ := newAPI(t, newFake())
	if got := decode[health](t, do(t, a.OpsHandler(), ask{method: http.MethodGet, target: "/readyz?verbose", key: "-"})); got.Node != "n1" || got.Build != "test" || !*got.Synced {
		t.Errorf("%+v", got)
	}
	if got := decode[health](t, do(t, a.OpsHandler(), ask{method: http.MethodGet, target: "/readyz", key: "-"})); got.Node != "" || got.Synced != nil {
		t.Errorf("%+v", got)
	}
	refused(t, do(t, a.OpsHandler(), ask{method: http.MethodGet, target: "/readyz?leader", key: "-"}), 400, "invalid_request")
}

func TestOperationsListenerHasNoTokens(t *testing.T) {
	a, _ := newAPI(t, newFake().root().hold(token("shop", 7, "the-value")))
	for _, target := range []string{"/v1/tokens/shop", "/v1/status", "/v1/apps", "/metrics"} {
		refused(t, get(t, a.OpsHandler(), target), 404, "not_found")
	}
}

func TestMetricsAreServedOnTheOperationsListenerOnly(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	a, err := New(Config{Node: newFake().root(), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	if w := get(t, a.OpsHandler(), "/metrics"); w.Body.String() != "up 1\n" {
		t.Errorf("got %q", w.Body)
	}
	refused(t, get(t, a.Handler(), "/metrics"), 404, "not_found")
}

func TestNewRefusesAConfigurationThatCannotWork(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no node, no error")
	}
	if _, err := New(Config{Node: newFake(), MaxWait: -1}); err == nil {
		t.Error("a wait below zero, no error")
	}
}
