package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// closeLimit is how long requests under way may take once we were told to stop.
const closeLimit = 5 * time.Second

// letGo is how long they may take before their contexts end.
const letGo = time.Second

// listen opens a port and says in one sentence what to do where it cannot.
func listen(ctx context.Context, what, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s cannot listen on %s: something else does; stop it or choose another port", what, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s cannot listen on %s: this user may not; choose a port above 1023", what, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s cannot listen on %s: this machine does not have that address", what, address)
	}
	return nil, fmt.Errorf("%s cannot listen on %s: %w", what, address, err)
}

// serveHTTP serves until ctx ends. Requests under way then have closeLimit to
// finish; after letGo their contexts end, so that streams do not hold us up.
func serveHTTP(ctx context.Context, s *http.Server, listener net.Listener) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	s.BaseContext = func(net.Listener) context.Context { return requests }
	var g errgroup.Group
	served := make(chan struct{})
	g.Go(func() error {
		defer close(served)
		if err := serveListener(s, listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-served:
			return nil
		}
		defer time.AfterFunc(letGo, endRequests).Stop()
		return closeServer(context.WithoutCancel(ctx), s)
	})
	return g.Wait()
}

func serveListener(s *http.Server, listener net.Listener) error {
	if s.TLSConfig != nil {
		return s.ServeTLS(listener, "", "")
	}
	return s.Serve(listener)
}

func closeServer(ctx context.Context, s *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	if s.Shutdown(ctx) == nil {
		return nil
	}
	return s.Close() // somebody does not let go
}
