package main

import (
	"context"
	"log/slog"

	"freshet/coordinator"
	"freshet/store"
	"freshet/store/seal"
)

// localDisk is what a node keeps on its own disk. Both are sealed.
type localDisk struct {
	spool    *store.Spool    // nil: no refresh token that may be rotated is spent here
	snapshot *store.Snapshot // nil: a node that starts while etcd is away serves nothing
}

// openDisk opens what the configuration names.
func openDisk(ctx context.Context, c config, ring *seal.Keyring, log *slog.Logger) (d localDisk, err error) {
	if c.Snapshot != "" && ring == nil {
		log.WarnContext(ctx, "no snapshot is kept, because it would hold secrets unsealed: set seal.file, or remove snapshot", "snapshot", c.Snapshot)
	}
	if ring == nil {
		return localDisk{}, nil
	}
	if c.Snapshot != "" {
		d.snapshot, err = store.NewSnapshot(c.Snapshot, c.Etcd.place(), ring)
	}
	if c.Spool != "" && err == nil {
		d.spool, err = store.NewSpool(c.Spool, ring, log)
	}
	return d, err
}

// place says which cluster a snapshot is of.
func (e etcdConfig) place() store.Place {
	if e.Embedded != "" {
		return store.Place{Prefix: e.Prefix, Endpoints: []string{"embedded:" + e.Embedded}}
	}
	return store.Place{Prefix: e.Prefix, Endpoints: e.Endpoints}
}

// serve gives a node what there is.
func (d localDisk) serve(c *coordinator.Config) {
	if d.spool != nil {
		c.Spool = d.spool
	}
	if d.snapshot != nil {
		c.Snapshot = d.snapshot
	}
}

func (d localDisk) close(context.Context) error {
	if d.spool == nil {
		return nil
	}
	return d.spool.Close()
}
