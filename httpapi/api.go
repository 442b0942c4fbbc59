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
	"errors"
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
	DefaultPatience  = 2 * time.Second
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

	reports  *reports
	floored  *recent[asked, time.Time] // when a longer life was asked for
	forwards *forwards
	buffers  sync.Pool // of *[]byte
	headers  constantHeaders
}

// New checks the configuration and builds an API.
func New(c Config) (*API, error) {
	if c.Node == nil {
		return nil, errors.New("building the API: Node is required")
	}
	if err := c.Compat.check(c.Node); err != nil {
		return nil, err
	}
	if c.MaxWait < 0 || c.TimeLimit < 0 || c.Compat.MinExpiresIn < 0 || c.Compat.Patience < 0 {
		return nil, errors.New("building the API: a time in its configuration is below zero")
	}
	a := &API{
		node:      c.Node,
		log:       c.Logger,
		tracer:    c.Tracer,
		metrics:   c.Metrics,
		build:     c.Build,
		maxWait:   c.MaxWait,
		timeLimit: c.TimeLimit,
		compat:    c.Compat,
		reports:   newReports(),
		floored:   newRecent[asked, time.Time](mostReports),
		buffers:   sync.Pool{New: func() any { return new([]byte) }},
		headers:   newConstantHeaders(c.Node.Name()),
	}
	var err error
	if a.forwards, err = newForwards(c.Forward); err != nil {
		return nil, err
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.maxWait == 0 {
		a.maxWait = DefaultMaxWait
	}
	if a.timeLimit == 0 {
		a.timeLimit = DefaultTimeLimit
	}
	if a.compat.Patience == 0 {
		a.compat.Patience = DefaultPatience
	}
	return a, nil
}

// Handler returns the handler of the API listener.
func (a *API) Handler() http.Handler {
	r := a.newRouter()
	a.tokenRoutes(r)
	a.appRoutes(r)
	a.clientRoutes(r)
	a.clusterRoutes(r)
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
