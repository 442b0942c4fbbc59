package main

import (
	"context"
	"errors"
	"log/slog"

	"freshet/coordinator"
	"freshet/store"
	"freshet/store/devetcd"
)

// openedStore is a store and what must be closed with it.
type openedStore struct {
	coordinator.Store
	close func(context.Context) error
}

// openStore prepares to use etcd; it does not wait for one that is elsewhere.
func openStore(ctx context.Context, c config, log *slog.Logger) (openedStore, error) {
	sc := store.Config{
		Prefix: c.Etcd.Prefix, SessionTTL: c.Etcd.SessionTTL, Quota: c.Etcd.Quota,
		AllowDangerousServers: c.Etcd.AllowDangerousServers, Logger: log,
	}
	if c.Etcd.Embedded != "" {
		return openEmbedded(ctx, c.Etcd, sc, log)
	}
	sc.Endpoints, sc.Username, sc.Password = c.Etcd.Endpoints, c.Etcd.Username, c.Etcd.Password
	if !c.Etcd.TLS.isZero() {
		settings, err := c.Etcd.TLS.client()
		if err != nil {
			return openedStore{}, err
		}
		sc.TLS = settings
	}
	opened, err := store.New(sc)
	if err != nil {
		return openedStore{}, usagef("etcd: %w", err)
	}
	return openedStore{opened, func(context.Context) error { return opened.Close() }}, nil
}

// openEmbedded starts an etcd in this process and a store on it.
func openEmbedded(ctx context.Context, c etcdConfig, sc store.Config, log *slog.Logger) (openedStore, error) {
	etcd, err := devetcd.Start(ctx, devetcd.Config{Dir: c.Embedded, Logger: log})
	if err != nil {
		return openedStore{}, err
	}
	sc.Client = etcd.Client
	opened, err := store.New(sc)
	if err != nil {
		return openedStore{}, errors.Join(err, etcd.Close())
	}
	return openedStore{opened, func(context.Context) error {
		return errors.Join(opened.Close(), etcd.Close())
	}}, nil
}
