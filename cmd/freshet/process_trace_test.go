//go:build unix

package main

import (
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"freshet/coordinator/provider/sandbox"
)

// TestOneRefreshIsOneTraceOverAllNodes looks at what three nodes export of the
// refresh that makes version 2.
func TestOneRefreshIsOneTraceOverAllNodes(t *testing.T) {
	spans := &spanCollector{}
	server := httptest.NewServer(spans)
	t.Cleanup(server.Close)
	r := startRig(t, 3*time.Second, 3, func(r *rig) {
		r.extra = "tracing: {otlp: \"" + server.URL + "\"}\nlog: {level: debug}\n"
		r.env = []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=100"}
	})
	r.register(t, sandbox.App{AppID: shopID})
	r.apply(t, "shop", r.shop(shopID))
	leader, others := r.refresher(t)
	others[0].ask(t)
	r.all(t, "shop", 2)

	var applied []exportedSpan
	eventually(t, 20*time.Second, func() error {
		applied = spans.of(func(s exportedSpan) bool { return s.name == "applied" && s.attributes["freshet.version"] == "2" })
		if len(applied) < len(r.nodes) {
			return fmt.Errorf("%d nodes told that they applied it", len(applied))
		}
		return nil
	})
	trace := applied[0].trace
	steps := []string{"refresh", "open intent", "look for salvage", "fetch", "publish"}
	eventually(t, 20*time.Second, func() error { return spans.complete(trace, leader.name, steps) })
	if got := nodesOf(applied, trace); !cmp.Equal(got, []string{"n1", "n2", "n3"}) {
		t.Errorf("the trace of version 2 was applied by %v", got)
	}
	traces := map[string]int{}
	for _, s := range spans.of(func(s exportedSpan) bool { return s.name == "refresh" }) {
		traces[s.trace]++
	}
	if len(traces) != 2 || traces[trace] != 1 {
		t.Errorf("two refreshes made these traces: %v", traces)
	}
}

// exportedSpan is what is looked at of one.
type exportedSpan struct {
	trace, name, node string
	attributes        map[string]string
}

// spanCollector is an OTLP collector over HTTP.
type spanCollector struct {
	mu    sync.Mutex
	spans []exportedSpan
}

func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request, err := decodeSpans(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, from := range request.GetResourceSpans() {
		node := ""
		for _, a := range from.GetResource().GetAttributes() {
			if a.GetKey() == "service.instance.id" {
				node = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range from.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				kept := exportedSpan{trace: hex.EncodeToString(s.GetTraceId()), name: s.GetName(), node: node, attributes: map[string]string{}}
				for _, a := range s.GetAttributes() {
					kept.attributes[a.GetKey()] = a.GetValue().GetStringValue()
					if kept.attributes[a.GetKey()] == "" {
						kept.attributes[a.GetKey()] = fmt.Sprint(a.GetValue().GetIntValue())
					}
				}
				c.spans = append(c.spans, kept)
			}
		}
	}
}

func decodeSpans(r *http.Request) (*collector.ExportTraceServiceRequest, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	request := &collector.ExportTraceServiceRequest{}
	return request, errors.Join(err, proto.Unmarshal(raw, request))
}

// of returns the spans that fit.
func (c *spanCollector) of(fits func(exportedSpan) bool) []exportedSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s exportedSpan) bool { return !fits(s) })
}

// complete says what is missing of a trace: each step once, by the refresher.
func (c *spanCollector) complete(trace, refresher string, steps []string) error {
	for _, step := range steps {
		found := c.of(func(s exportedSpan) bool { return s.trace == trace && s.name == step })
		if len(found) != 1 || found[0].node != refresher {
			return fmt.Errorf("the trace has %d spans %q: %v", len(found), step, found)
		}
	}
	return nil
}

// nodesOf lists the nodes whose spans are of a trace, sorted.
func nodesOf(spans []exportedSpan, trace string) []string {
	var nodes []string
	for _, s := range spans {
		if s.trace == trace {
			nodes = append(nodes, s.node)
		}
	}
	slices.Sort(nodes)
	return nodes
}
