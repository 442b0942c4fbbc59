package sandbox

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Sandbox is a set of emulated platforms behind one HTTP handler. All methods
// may be used by many goroutines at once.
type Sandbox struct {
	logger *slog.Logger
	mux    *http.ServeMux
	routes []route
	faults *faults
	oracle *oracle
	wechat *wechat
	oauth  *oauth
}

// New returns a sandbox, or every mistake in cfg. It starts no goroutine and
// holds nothing that needs closing.
func New(cfg Config) (*Sandbox, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("sandbox configuration: %w", err)
	}
	s := &Sandbox{
		logger: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		mux:    http.NewServeMux(),
		faults: newFaults(),
		oracle: newOracle(),
	}
	c := newClock(cfg.TimeScale, time.Now())
	s.wechat = newWechat(cfg, c, s.oracle)
	s.oauth = newOAuth(cfg, c)
	s.mount()
	return s, nil
}

// ServeHTTP answers as the platform would whose path was asked for. A fault that
// breaks the connection panics with [http.ErrAbortHandler] where the connection
// cannot be hijacked, as net/http expects of a handler that gives up.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mux.ServeHTTP(w, r)
}

// call is one request to an emulated platform, understood but not yet acted on.
type call struct {
	app     string // as the caller claims it, or as its token shows; may be empty
	kind    Kind
	minting bool // asks for a new or current access token
	forced  bool // asks the platform to replace the current one
	act     func() answer
}

// serve takes a call through its fault, if one strikes, and through the platform.
// The oracle is told that the call ended before its answer is sent, or a quick
// caller's next call would seem to overlap with this one.
func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request, c call) {
	end := s.begin(r, c)
	strike := s.faults.take(c, r.Host)
	if strike == nil {
		a := c.act()
		end(a)
		a.write(w, r)
		return
	}
	defer s.faults.done(strike)
	strike.run(w, r, c, end)
}

// begin counts a call in; the function it returns, called once, counts it out.
func (s *Sandbox) begin(r *http.Request, c call) (end func(answer)) {
	began := time.Now()
	s.oracle.begin(c)
	ctx := r.Context()
	return func(a answer) {
		s.oracle.end(c, a)
		s.logger.DebugContext(ctx, "call answered", "kind", string(c.kind), "app", c.app,
			"forced", c.forced, "status", a.status, "errcode", a.code, "error", a.refused, "elapsed", time.Since(began))
	}
}
