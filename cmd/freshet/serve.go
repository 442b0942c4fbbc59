package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"freshet/coordinator"
	"freshet/coordinator/provider/outbound"
	"freshet/httpapi"
	"freshet/tracing"
)

func newServe(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve [--config FILE]",
		Short: "run a node",
		Long: `Runs one node of a cluster until it is told to stop. Every setting has a flag, a
variable and a name in the file; a flag wins over a variable, that over the
file (see "freshet help variables"). A node that cannot reach etcd keeps trying
and says so every ten seconds. At SIGTERM or an interrupt it stops being ready,
finishes what is under way, hands the refreshing over and ends; a second signal
ends it at once.`,
		Example: `  freshet serve --config freshet.yaml
  freshet serve --node n1 --etcd-endpoints http://10.0.0.1:2379,http://10.0.0.2:2379 --apps apps.yaml
  freshet serve --etcd-embedded ./data --apps apps.yaml`,
		Args: exactly(0),
	}
	addSettings(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, unknown := t.sources(cmd.Flags())
		c, apps, err := loadAll(from, checkingProviders())
		if err != nil {
			t.sayAll(unknown())
			return err
		}
		log := newLogger(t.err, c.Log)
		for _, text := range unknown() {
			log.WarnContext(cmd.Context(), "ignoring a variable", "note", text)
		}
		return serve(cmd.Context(), c, apps, log)
	}
	return cmd
}

// serve runs a node until ctx ends: its store, the node on it, the API on that.
// beside are told of the machine and live as long as it does.
func serve(ctx context.Context, c config, apps *checkedApps, log *slog.Logger, beside ...func(context.Context, machine) error) (err error) {
	log = log.With("node", c.Node)
	tracer, err := newTracer(ctx, c, log)
	if err != nil {
		return err
	}
	defer closing(ctx, &err, "tracing", tracer.Close)

	listeners, err := openListeners(ctx, c.Listen)
	if err != nil {
		return err
	}
	ring, err := openSeals(ctx, c.Seal, log)
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	store, err := openStore(ctx, c, ring, log)
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	defer closing(ctx, &err, "the store", store.close)
	disk, err := openDisk(ctx, c, ring, log)
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	defer closing(ctx, &err, "the spool", disk.close)

	node, err := newNode(c, apps, store, disk, listeners.address(c.Listen), tracer, log)
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	api, err := httpapi.New(httpapi.Config{
		Node: node, Logger: log, Tracer: tracer, Build: buildVersion(), Forward: c.Proxy.forward(),
		Compat: httpapi.CompatConfig{Providers: dropIns(), MinExpiresIn: c.Compat.MinExpiresIn},
	})
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	m := machine{config: c, node: node, api: api, listeners: listeners, seals: ring, log: log}
	return m.run(ctx, beside...)
}

func newTracer(ctx context.Context, c config, log *slog.Logger) (*tracing.Tracer, error) {
	tracer, err := tracing.New(ctx, tracing.Config{
		Version: buildVersion(), Node: c.Node, Endpoint: c.Tracing.OTLP, Sample: c.Tracing.Sample,
	}, log)
	if err != nil {
		return nil, usagef("tracing.otlp: %w", err)
	}
	return tracer, nil
}

func newNode(c config, apps *checkedApps, store openedStore, disk localDisk, address string, tracer *tracing.Tracer, log *slog.Logger) (*coordinator.Node, error) {
	nc, err := nodeConfig(c, apps, address, log)
	if err != nil {
		return nil, err
	}
	nc.Store, nc.Tracer = store.Store, tracer
	disk.serve(&nc)
	nc.Providers = newProviders(tracer.Transport(outbound.NewTransport()), log)
	return coordinator.New(nc)
}

// nodeConfig is what a configuration says about the node itself.
func nodeConfig(c config, apps *checkedApps, address string, log *slog.Logger) (coordinator.Config, error) {
	nc := coordinator.Config{
		Name:         c.Node,
		Address:      address,
		Build:        buildVersion(),
		Follower:     !c.Refresher,
		Egress:       c.Egress,
		Heartbeat:    heartbeat(c.Etcd.SessionTTL),
		Logger:       log,
		BootstrapKey: c.Auth.BootstrapKey,
		Render:       httpapi.Render,
	}
	if apps != nil {
		seed, err := apps.seed()
		if err != nil {
			return coordinator.Config{}, err
		}
		nc.Seed = seed
	}
	return nc, nil
}

// heartbeat is how often a refresher shows that it can write: several times in
// the life of a session, since one that misses its beat steps down.
func heartbeat(sessionTTL time.Duration) time.Duration {
	return min(coordinator.HeartbeatEvery, sessionTTL/3)
}

// closing closes a part at the end of a function whose error it may become.
func closing(ctx context.Context, err *error, what string, shut func(context.Context) error) {
	if failed := shut(context.WithoutCancel(ctx)); failed != nil {
		*err = errors.Join(*err, fmt.Errorf("closing %s: %w", what, failed))
	}
}
