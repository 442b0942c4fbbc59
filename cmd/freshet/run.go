package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

func newRun(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --env VARIABLE=APP[/TOKEN]... [--] COMMAND [ARGUMENT]...",
		Short: "run a command with tokens in its environment",
		Long: `Reads tokens, puts their values into variables of the environment, and becomes
the command: signals and the exit code are the command's own. Where a value
cannot be had, nothing is started and the exit code says why.

An environment is a snapshot: a value is not replaced when it expires, so this
is for commands that are done before; --min-ttl says how long they take. One
that lives longer reads the file of "freshet get --to FILE --follow", or asks
the API. FRESHET_KEY is not handed on.`,
		Example: `  freshet run --env SHOP_TOKEN=shop -- ./nightly-job --all
  freshet run --env TOKEN=shop --env TICKET=shop/jsapi_ticket --min-ttl 10m ./job`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("usage: freshet %s", cmd.Use)
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the command is the command's
	wanted := cmd.Flags().StringArray("env", nil, "VARIABLE=APP[/TOKEN]; again for more")
	opts := client.TokenOptions{Wait: 10 * time.Second}
	addLength(cmd.Flags(), &opts.MinTTL, "min-ttl", "only values that live so long")
	addWait(cmd.Flags(), &opts.Wait, "how long to wait for each, at most 60s")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		variables, err := parseEnv(*wanted)
		if err != nil {
			return err
		}
		path, err := exec.LookPath(args[0])
		if err != nil {
			return notStarted(err)
		}
		values := map[string]string{}
		for _, v := range variables {
			token, err := c.Token(ctx, v.token, opts)
			if err != nil {
				return ofToken(v.token, c.explain(c.livesTooShort(ctx, v.token, opts, err)))
			}
			values[v.name] = token.Value
		}
		return become(path, args, childEnvironment(t, values))
	})
}

// ofToken says which of several tokens it is that has no value.
func ofToken(name string, err error) error {
	code := exitCode(err)
	if code != exitNoToken && code != exitRefused || strings.Contains(err.Error(), name) {
		return err
	}
	return &codedError{code: code, err: fmt.Errorf("%s: %w", name, err)}
}

// tokenVariable is a variable and the token whose value it gets.
type tokenVariable struct{ name, token string }

// parseEnv reads the flags --env.
func parseEnv(flags []string) ([]tokenVariable, error) {
	if len(flags) == 0 {
		return nil, usagef("say which variable gets which token, like --env SHOP_TOKEN=shop")
	}
	var variables []tokenVariable
	for _, text := range flags {
		name, token, found := strings.Cut(text, "=")
		if !found || !variableName.MatchString(name) {
			return nil, usagef("--env %.80q: expected VARIABLE=APP[/TOKEN]", text)
		}
		if slices.ContainsFunc(variables, func(v tokenVariable) bool { return v.name == name }) {
			return nil, usagef("--env: the variable %s is named twice", name)
		}
		full, err := tokenNamed(token)
		if err != nil {
			return nil, err
		}
		variables = append(variables, tokenVariable{name, full})
	}
	return variables, nil
}

// childEnvironment is our own environment with other values in it, and without
// our client key, which is good for more than those.
func childEnvironment(t *terminal, values map[string]string) []string {
	var environment []string
	for _, name := range t.variables {
		if _, replaced := values[name]; !replaced && name != "FRESHET_KEY" {
			environment = append(environment, name+"="+variable(t, name))
		}
	}
	for name, value := range values {
		environment = append(environment, name+"="+value)
	}
	return environment
}

// notStarted says why a command is not running.
func notStarted(err error) error {
	code := exitNotStarted
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = exitNoCommand
	}
	return &codedError{code: code, err: err}
}
