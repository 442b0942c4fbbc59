package main

import (
	"context"
	"errors"
	"log/slog"

	"freshet/coordinator"
	"freshet/store"
	"freshet/store/devetcd"
	"freshet/store/seal"
)

// openedStore is a store and what must be closed with it.
type openedStore struct {
	coordinator.Store
	close func(context.Context) error
}

// openSeals reads the key file; nil without one.
func openSeals(ctx context.Context, c sealConfig, log *slog.Logger) (*seal.Keyring, error) {
	if c.File == "" {
		log.WarnContext(ctx, "secrets are kept unsealed in etcd: whoever can read etcd or its backups can read them; make a key file with \"freshet seal init\" and name it in seal.file")
		return nil, nil //nolint:nilnil // no keyring: nothing is sealed
	}
	ring, err := seal.Load(c.File)
	if err != nil {
		return nil, usagef("seal.file: %w", err)
	}
	return ring, nil
}

// openStore prepares to use etcd; it does not wait for one that is elsewhere.
func openStore(ctx context.Context, c config, ring *seal.Keyring, log *slog.Logger) (openedStore, error) {
	sc := store.Config{
		Prefix: c.Etcd.Prefix, SessionTTL: c.Etcd.SessionTTL, Quota: c.Etcd.Quota,
		AllowDangerousServers: c.Etcd.AllowDangerousServers, Seal: ring, Logger: log,
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
