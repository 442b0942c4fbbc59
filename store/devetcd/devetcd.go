// Package devetcd runs an etcd of one node inside this process: for trying
// Freshet, for clusters of one node, and for tests. It is not a way to run a
// cluster: it has no TLS, no backup, no members to fail over to.
package devetcd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Config of an embedded etcd.
type Config struct {
	Dir    string       // where it keeps its data; it is created with mode 0700
	Listen string       // host:port for clients outside of this process; empty: no socket at all
	Quota  int64        // bytes it may keep before it refuses to write; default 1 GiB
	Logger *slog.Logger // for etcd's warnings; nil: they are discarded
	Fast   bool         // tests: short elections, leases of one second, and no fsync, so a crash loses data
}

const (
	readyWithin     = 30 * time.Second
	freeWithin      = 3 * time.Second // a former process may be about to end
	compactEvery    = "10m"
	quotaBytes      = 1 << 30
	progressEvery   = 5 * time.Second
	fastTickMs      = 10
	fastElectionMs  = 100
	initialNodeName = "dev"
)

// Etcd is a running etcd.
type Etcd struct{ server *embed.Etcd }

// Start runs an etcd on c.Dir and returns once it serves. ctx bounds only the start.
func Start(ctx context.Context, c Config) (*Etcd, error) {
	cfg, err := embedConfig(c)
	if err != nil {
		return nil, err
	}
	if taken(c.Dir) {
		return nil, fmt.Errorf("starting the embedded etcd in %q: another process uses this folder: stop that one, or choose another folder", c.Dir)
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded etcd in %q: %w", c.Dir, err)
	}
	if err := ready(ctx, server); err != nil {
		server.Close()
		return nil, fmt.Errorf("starting the embedded etcd in %q: %w", c.Dir, err)
	}
	return &Etcd{server: server}, nil
}

// taken reports whether another process has opened the data: etcd would wait for it
// without a word, for as long as it lives. What else may be wrong etcd says itself.
func taken(dir string) bool {
	path := filepath.Join(dir, "member", "snap", "db")
	if _, err := os.Stat(path); err != nil {
		return false // there is none yet
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: freeWithin})
	if err == nil {
		_ = db.Close() // nothing was written
	}
	return errors.Is(err, bbolterrors.ErrTimeout)
}

// Client returns a new client that calls the server without a socket. The caller closes it.
func (e *Etcd) Client() (*clientv3.Client, error) { return v3client.New(e.server.Server), nil }

// Endpoint returns the URL for clients outside of this process, or "" without Config.Listen.
func (e *Etcd) Endpoint() string {
	if len(e.server.Clients) == 0 {
		return ""
	}
	return "http://" + e.server.Clients[0].Addr().String()
}

// Close stops the server; clients are closed before it.
func (e *Etcd) Close() error {
	e.server.Close()
	return nil
}

func ready(ctx context.Context, server *embed.Etcd) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, errors.New("it was not ready in time"))
	defer cancel()
	select {
	case <-server.Server.ReadyNotify():
		return nil
	case err := <-server.Err():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func embedConfig(c Config) (*embed.Config, error) {
	if c.Dir == "" {
		return nil, errors.New("the embedded etcd needs a directory for its data")
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.Name = c.Dir, initialNodeName
	cfg.ListenClientUrls, cfg.ListenPeerUrls = nil, nil
	if c.Listen != "" {
		u := url.URL{Scheme: "http", Host: c.Listen}
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{u}, []url.URL{u}
	}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(c.Logger))
	cfg.EnableGRPCGateway = false
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", compactEvery
	cfg.QuotaBackendBytes = cmp.Or(c.Quota, quotaBytes)
	cfg.WatchProgressNotifyInterval = progressEvery
	if c.Fast {
		cfg.TickMs, cfg.ElectionMs, cfg.UnsafeNoFsync = fastTickMs, fastElectionMs, true
	}
	return cfg, nil
}

// zapLogger lets etcd, which logs with zap, speak through log; only warnings pass.
func zapLogger(log *slog.Logger) *zap.Logger {
	if log == nil {
		return zap.NewNop()
	}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "message"})
	return zap.New(zapcore.NewCore(encoder, logWriter{log}, zap.WarnLevel))
}

// logWriter logs each line that is written.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(line []byte) (int, error) {
	w.log.Warn("embedded etcd warns", "text", string(bytes.TrimSpace(line)))
	return len(line), nil
}

func (w logWriter) Sync() error { return nil }
