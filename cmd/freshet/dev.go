package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"freshet/coordinator"
	"freshet/httpapi"
	"freshet/store/seal"
)

func newDev(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "try it: etcd, a sandbox platform and one node in this process",
		Long: `Starts all that is needed to see freshet work: an embedded etcd, an emulated
platform whose clock runs fast, and one node with an app named "demo". It prints
a token, how to read it, and what to try next. Nothing is kept unless --data
names a folder. Everything listens on this machine only.`,
		Example: `  freshet dev
  freshet dev --mode plain --time-scale 120
  freshet dev --data ./dev-data --verbose`,
		Args: exactly(0),
	}
	d := dev{terminal: t}
	flags := cmd.Flags()
	flags.StringVar(&d.data, "data", "", "folder to keep etcd's data in (default: a temporary one, removed at the end)")
	flags.Float64Var(&d.scale, "time-scale", 60, "how many times faster than ours the platform's clock runs")
	flags.StringVar(&d.mode, "mode", "stable", "WeChat's interface for the demo app: stable or plain")
	flags.StringVar(&d.api, "listen-api", defaultAPI, "address of the API")
	flags.StringVar(&d.ops, "listen-ops", defaultOps, "address of health")
	flags.StringVar(&d.box, "listen-sandbox", defaultSandbox, "address of the sandbox")
	flags.StringVar(&d.envFile, "env-file", "", "file to write FRESHET_ADDR and FRESHET_KEY to, once there is a token")
	flags.BoolVar(&d.verbose, "verbose", false, "show the log of the node and of etcd")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if d.mode != "stable" && d.mode != "plain" {
			return usagef("--mode: expected stable or plain")
		}
		if err := checkScale(d.scale); err != nil {
			return err
		}
		return d.run(cmd.Context())
	}
	return cmd
}

// dev is a cluster of one node in this process, with a platform of its own.
type dev struct {
	*terminal
	data          string
	scale         float64
	mode          string
	api, ops, box string
	envFile       string
	verbose       bool
}

const (
	devApp   = "demo"
	devAppID = "wx0000000000000001"
)

func (d dev) run(ctx context.Context) (err error) {
	folder, remove, err := d.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()

	// The platform outlives the node, which finishes its calls when it stops.
	platform, stopPlatform := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPlatform()
	secret := rand.Text()
	upstream, box, err := d.openSandbox(ctx, secret)
	if err != nil {
		return err
	}
	d.say("sandbox    http://%s, %gx faster than real time", upstream.Addr(), d.scale)

	d.say("etcd       starting inside this process, data in %s", folder)
	c := d.config(ctx, folder)
	if err := haveKeyFile(c.Seal.File); err != nil {
		return err
	}
	apps := &checkedApps{appsFile: demoApps("http://"+upstream.Addr().String(), secret, d.mode)}
	var g errgroup.Group
	g.Go(func() error { return serveHTTP(platform, httpapi.Server(d.box, box, 0, d.logger()), upstream) })
	g.Go(func() error {
		defer stopPlatform()
		return d.serve(ctx, c, apps, "http://"+upstream.Addr().String())
	})
	return g.Wait()
}

// serve runs the node, and beside it what shows that it works.
func (d dev) serve(ctx context.Context, c config, apps *checkedApps, sandboxURL string) error {
	return serve(ctx, c, apps, d.logger(), func(ctx context.Context, m machine) error {
		return d.show(ctx, m, sandboxURL)
	})
}

func (d dev) config(ctx context.Context, folder string) config {
	c := defaultConfig()
	c.Node = "dev"
	c.Etcd.Embedded = folder
	c.Seal.File = filepath.Join(folder, defaultKeyFile)
	c.Snapshot, c.Spool = filepath.Join(folder, "snapshot.sealed"), filepath.Join(folder, "spool")
	c.Listen.API = d.freeOr(ctx, "the API", d.api, defaultAPI)
	c.Listen.Ops = d.freeOr(ctx, "the operations listener", d.ops, defaultOps)
	c.Auth.BootstrapKey = coordinator.NewSecret("dev-" + rand.Text())
	return c
}

// haveKeyFile makes a key file unless a former run left one.
func haveKeyFile(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	_, err := seal.Create(file)
	return err
}

// folder is where etcd keeps its data, and what removes it at the end.
func (d dev) folder() (string, func() error, error) {
	if d.data != "" {
		return d.data, func() error { return nil }, nil
	}
	folder, err := os.MkdirTemp("", "freshet-dev-")
	return folder, func() error { return os.RemoveAll(folder) }, err
}

func (d dev) logger() *slog.Logger {
	if d.verbose {
		return newLogger(d.err, logConfig{Level: "info"})
	}
	return newLogger(d.err, logConfig{Level: "error"})
}

// demoApps is a file of apps that stands nowhere but here.
func demoApps(upstream, secret, mode string) *appsFile {
	return &appsFile{file: "dev", apps: []coordinator.App{{
		Name: devApp, Provider: "wechat", Upstream: upstream, Owner: "file:dev",
		Credentials: map[string]coordinator.Secret{
			"appid": coordinator.NewSecret(devAppID), "secret": coordinator.NewSecret(secret),
		},
		Options: map[string]string{"mode": mode},
		Tokens:  map[string]coordinator.TokenSettings{"access_token": {}, "jsapi_ticket": {}},
		Labels:  map[string]string{"made-by": "freshet-dev"},
	}}}
}
