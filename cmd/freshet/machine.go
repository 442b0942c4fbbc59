package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/sync/errgroup"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/store/seal"
)

// machine is a node with everything around it, ready to live.
type machine struct {
	config    config
	node      *coordinator.Node
	api       *httpapi.API
	listeners listeners
	seals     *seal.Keyring // nil: nothing is sealed
	log       *slog.Logger
}

// run serves until ctx ends and the node has handed over what it held. The
// listeners are the first to open and the last to close: before the node knows
// the cluster they say "not ready", and while it drains they still read.
func (m machine) run(ctx context.Context, beside ...func(context.Context, machine) error) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()

	g, living := errgroup.WithContext(ctx)
	g.Go(func() error { return m.serveAPI(serving) })
	g.Go(func() error { return m.serveOps(serving) })
	for surface, listener := range m.listeners.surfaces {
		g.Go(func() error { return m.serveSurface(serving, surface, listener) })
	}
	g.Go(func() error {
		defer stopServing()
		return m.node.Run(working)
	})
	g.Go(func() error {
		m.followSeals(serving)
		return nil
	})
	g.Go(func() error {
		<-living.Done()
		m.drain(ctx)
		stopWorking()
		return nil
	})
	for _, part := range beside {
		g.Go(func() error { return part(living, m) })
	}
	m.log.InfoContext(ctx, "listening", "api", m.listeners.api.Addr().String(), "ops", m.listeners.ops.Addr().String(), "build", buildVersion())
	err := explainName(m.config.Node, g.Wait())
	m.log.InfoContext(ctx, "stopped")
	return err
}

// followSeals picks up keys that come into the key file.
func (m machine) followSeals(ctx context.Context) {
	if m.seals != nil {
		_ = m.seals.Run(ctx, m.log) // it ends with ctx only
	}
}

func (m machine) serveAPI(ctx context.Context) error {
	s, err := m.apiServer(m.config.Listen.API, m.api.Handler()) //nolint:contextcheck // handlers have the context of each request
	if err != nil {
		return err
	}
	return serveHTTP(ctx, s, m.listeners.api)
}

// serveSurface serves a drop-in surface at the root of a listener of its own.
func (m machine) serveSurface(ctx context.Context, surface string, listener net.Listener) error {
	s, err := m.apiServer(listener.Addr().String(), m.api.SurfaceHandler(surface)) //nolint:contextcheck // handlers have the context of each request
	if err != nil {
		return err
	}
	m.log.InfoContext(ctx, "listening", "surface", surface, "address", listener.Addr().String())
	return serveHTTP(ctx, s, listener)
}

// apiServer is a server for clients with the bounds of its connections, and TLS
// where it has a certificate.
func (m machine) apiServer(address string, h http.Handler) (*http.Server, error) {
	s := httpapi.Server(address, h, 0, m.log)
	tls, err := m.config.Listen.TLS.server()
	if err != nil {
		return nil, err
	}
	s.TLSConfig = tls
	return s, nil
}

func (m machine) serveOps(ctx context.Context) error {
	return serveHTTP(ctx, m.opsServer(), m.listeners.ops) //nolint:contextcheck // handlers have the context of each request
}

func (m machine) opsServer() *http.Server {
	return httpapi.Server(m.config.Listen.Ops, m.api.OpsHandler(), 0, m.log)
}

// drain makes load balancers look elsewhere and ends every wait.
func (m machine) drain(ctx context.Context) {
	m.log.InfoContext(ctx, "stopping: finishing what is under way; a second signal ends at once")
	m.node.Drain()
}

// explainName says what to do where another node has our name.
func explainName(name string, err error) error {
	if !errors.Is(err, coordinator.ErrNameTaken) {
		return err
	}
	return &codedError{code: exitNameTaken, err: errors.New(
		"another live node is named \"" + name + "\": give each node a name of its own with node:, --node or FRESHET_NODE")}
}
