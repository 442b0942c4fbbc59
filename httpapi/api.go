// Package httpapi serves a node over HTTP: values of tokens from memory, and
// the administration of apps and clients.
//
// An [API] makes two handlers, one for each listener: [API.Handler] for
// clients, [API.OpsHandler] for health and metrics. A request of the first
// passes, in this order: recovery and tracing, the router, authentication, the
// check of its query, and one endpoint, a function that returns its answer or
// an error. What an error means to a client stands in one table, problems.go.
//
// The wire types are those of package httpapi/client.
package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"freshet/tracing"
)

// Defaults of Config.
const (
	DefaultMaxWait   = time.Minute
	DefaultTimeLimit = 15 * time.Second

	DefaultStreams       = 20000
	DefaultClientStreams = 10000
	DefaultStreamWrite   = 10 * time.Second
	DefaultImportPause   = time.Minute
	DefaultPatience      = 2 * time.Second
)

// Config says what an API is made of.
type Config struct {
	Node    Node
	Logger  *slog.Logger    // nil: silent
	Tracer  *tracing.Tracer // nil: no traces
	Metrics http.Handler    // served as /metrics on the operations listener; nil: none
	Build   string          // version of the program, shown in status

	MaxWait   time.Duration // longest wait of a request; a longer one is cut. Zero: DefaultMaxWait
	TimeLimit time.Duration // of a request that writes, beside its wait. Zero: DefaultTimeLimit

	Streams       int           // at once. Zero: DefaultStreams
	ClientStreams int           // of one client at once. Zero: DefaultClientStreams
	StreamWrite   time.Duration // a reader that does not take an event, or the answer to a line, for so long is cut off. Zero: DefaultStreamWrite

	ImportPause time.Duration // an import of which no whole line came for so long is ended. Zero: DefaultImportPause

	Forward ForwardConfig // bounds of calls that are forwarded
	Compat  CompatConfig  // drop-in surfaces
}

// API serves one node.
type API struct {
	node      Node
	log       *slog.Logger
	tracer    *tracing.Tracer
	metrics   http.Handler
	build     string
	maxWait   time.Duration
	timeLimit time.Duration
	compat    CompatConfig

	streams     *streams
	streamWrite time.Duration
	importPause time.Duration

	reports  *reports
	floored  *recent[asked, time.Time] // when a longer life was asked for
	forwards *forwards
	buffers  sync.Pool // of *[]byte
	headers  constantHeaders
}

// New checks the configuration and builds an API.
func New(c Config) (*API, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("building the API: %w", err)
	}
	c = c.withDefaults()
	forwards, err := newForwards(c.Forward)
	if err != nil {
		return nil, fmt.Errorf("building the API: %w", err)
	}
	return &API{
		node:        c.Node,
		log:         c.Logger,
		tracer:      c.Tracer,
		metrics:     c.Metrics,
		build:       c.Build,
		maxWait:     c.MaxWait,
		timeLimit:   c.TimeLimit,
		compat:      c.Compat,
		streams:     newStreams(c.Streams, c.ClientStreams),
		streamWrite: c.StreamWrite,
		importPause: c.ImportPause,
		reports:     newReports(),
		floored:     newRecent[asked, time.Time](mostReports),
		forwards:    forwards,
		buffers:     sync.Pool{New: func() any { return new([]byte) }},
		headers:     newConstantHeaders(c.Node.Name()),
	}, nil
}

func (c Config) check() error {
	if c.Node == nil {
		return errors.New("Node is required")
	}
	if min(c.MaxWait, c.TimeLimit, c.StreamWrite, c.ImportPause, c.Compat.MinExpiresIn, c.Compat.Patience) < 0 || min(c.Streams, c.ClientStreams) < 0 {
		return errors.New("a time or a bound in its configuration is below zero")
	}
	return c.Compat.check(c.Node)
}

func (c Config) withDefaults() Config {
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.MaxWait = cmp.Or(c.MaxWait, DefaultMaxWait)
	c.TimeLimit = cmp.Or(c.TimeLimit, DefaultTimeLimit)
	c.Streams = cmp.Or(c.Streams, DefaultStreams)
	c.ClientStreams = cmp.Or(c.ClientStreams, DefaultClientStreams)
	c.StreamWrite = cmp.Or(c.StreamWrite, DefaultStreamWrite)
	c.ImportPause = cmp.Or(c.ImportPause, DefaultImportPause)
	c.Compat.Patience = cmp.Or(c.Compat.Patience, DefaultPatience)
	return c
}

// Handler returns the handler of the API listener.
func (a *API) Handler() http.Handler {
	r := a.newRouter()
	a.tokenRoutes(r)
	a.streamRoutes(r)
	a.appRoutes(r)
	a.importRoutes(r)
	a.clientRoutes(r)
	a.clusterRoutes(r)
	a.openAPIRoutes(r)
	a.compatRoutes(r)
	a.healthRoutes(r)
	a.proxyRoutes(r)
	return a.tracer.Handler(r.engine, pattern)
}

// OpsHandler returns the handler of the operations listener: health, and
// metrics where there are any. It asks for no key and shows no token.
func (a *API) OpsHandler() http.Handler {
	r := a.newRouter()
	a.healthRoutes(r)
	if a.metrics != nil {
		r.handle(http.MethodGet, "/metrics", wrap(a.metrics))
	}
	return r.engine
}
