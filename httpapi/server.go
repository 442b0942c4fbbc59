package httpapi

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of a connection.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	slowest           = 30 * time.Second // to send a request or take an answer, beside the longest wait
	maxHeaderBytes    = 16 << 10
)

// Server returns a server for a handler of an [API], with bounds on what a
// connection may take. maxWait is the API's longest wait, zero for its default:
// the time limits are longer. A handler that streams lifts them for its own
// request with http.ResponseController. Errors of connections are logged as
// warnings; nil is silent.
func Server(addr string, h http.Handler, maxWait time.Duration, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if maxWait == 0 {
		maxWait = DefaultMaxWait
	}
	limit := maxWait + DefaultTimeLimit + slowest
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       limit,
		WriteTimeout:      limit,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
