package main

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"freshet/coordinator/provider/sandbox"
	"freshet/httpapi"
)

const defaultSandbox = "127.0.0.1:7490"

func newSandbox(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "run emulated platforms, to try and to test against",
		Long: `Runs the platforms freshet knows, emulated: their calls, lifetimes, quotas and
error codes, with faults on command and an oracle that tells what really
happened. Without --app every appid and OAuth client_id is welcome and its first
secret is the right one. WeChat's calls are below /cgi-bin, the OAuth 2 server
is POST /oauth/token with GET /oauth/userinfo as what its tokens are good for;
POST /_clients sets how a client is treated, POST /_grant gives a first refresh
token. The sandbox asks nobody for a key: keep it where only tests reach it.`,
		Example: `  freshet sandbox
  freshet sandbox --listen 127.0.0.1:7490 --time-scale 60
  SHOP_SECRET=abc freshet sandbox --app wx0000000000000001:SHOP_SECRET
  curl -u crm:s3cret http://127.0.0.1:7490/oauth/token -d grant_type=client_credentials
  curl http://127.0.0.1:7490/_oracle`,
		Args: exactly(0),
	}
	listen := cmd.Flags().String("listen", defaultSandbox, "address to listen on")
	scale := cmd.Flags().Float64("time-scale", 1, "how many times faster than ours the platforms' clock runs")
	apps := cmd.Flags().StringArray("app", nil, "appid:VARIABLE, an app and the variable that holds its secret; again for more")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkScale(*scale); err != nil {
			return err
		}
		known, err := sandboxApps(*apps, t.env)
		if err != nil {
			return err
		}
		box, err := sandbox.New(sandbox.Config{TimeScale: *scale, Apps: known, AnyApp: len(known) == 0})
		if err != nil {
			return usagef("%w", err)
		}
		return serveSandbox(cmd.Context(), t, *listen, box)
	}
	return cmd
}

// checkScale refuses a clock that stands still or goes backwards.
func checkScale(scale float64) error {
	if scale <= 0 {
		return usagef("--time-scale: expected a number above 0, like 60")
	}
	return nil
}

// sandboxApps reads the flags --app.
func sandboxApps(flags []string, env func(string) (string, bool)) ([]sandbox.App, error) {
	var apps []sandbox.App
	for _, text := range flags {
		appid, variable, found := strings.Cut(text, ":")
		if !found || appid == "" || !variableName.MatchString(variable) {
			return nil, usagef("--app: expected appid:VARIABLE, the variable that holds the secret")
		}
		secret, found := env(variable)
		if !found || secret == "" {
			return nil, usagef("--app %s: the environment variable %s is not set", appid, variable)
		}
		apps = append(apps, sandbox.App{AppID: appid, Secret: secret})
	}
	return apps, nil
}

// serveSandbox serves until ctx ends.
func serveSandbox(ctx context.Context, t *terminal, address string, box http.Handler) error {
	listener, err := listen(ctx, "the sandbox", address)
	if err != nil {
		return err
	}
	t.print("sandbox on http://%s", listener.Addr())
	t.print("")
	t.print("%s", sandboxRoutes(listener.Addr()))
	return serveHTTP(ctx, httpapi.Server(address, box, 0, newLogger(t.err, logConfig{Level: "warn"})), listener)
}

func sandboxRoutes(address net.Addr) string {
	return strings.ReplaceAll(`  curl -X POST URL/cgi-bin/stable_token -d '{"grant_type":"client_credential","appid":"wx1","secret":"s3cret"}'
  curl -u reports:s3cret URL/oauth/token -d grant_type=client_credentials
  curl -X POST URL/_clients -d '{"client_id":"crm","client_secret":"s3cret","auth":"post","rotation":"strict","lifetime":"1h"}'
  curl -X POST URL/_grant  -d '{"client_id":"crm","subject":"alice"}'   a first refresh token
  curl URL/                                             every route
  curl URL/_oracle                                      what really happened
  curl -X POST URL/_kill   -d '{"appid":"wx1","line":"stable"}'
  curl -X POST URL/_faults -d '{"do":"status","status":503,"count":3}'
  curl -X DELETE URL/_faults`, "URL", "http://"+address.String())
}
