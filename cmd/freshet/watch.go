package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"freshet/httpapi/client"
)

// maxWatched bounds the long polls of one watch.
const maxWatched = 200

func newWatch(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [APP[/TOKEN]]...",
		Short: "print each new version of tokens as it arrives",
		Long: `Prints the version each token has and then every new one, until it is
interrupted. Without names it watches all tokens this client may see, which
needs the view permission; with read only, name the tokens. Values are shown as
fingerprints unless --values is given.`,
		Example: `  freshet watch shop
  freshet watch shop/access_token shop/jsapi_ticket -o json
  freshet watch shop --values`,
		Args: between(0, maxWatched),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	values := cmd.Flags().Bool("values", false, "show the values themselves")
	after := cmd.Flags().Int64("after", 0, "begin with versions above this one")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		names, err := c.namesToWatch(ctx, args)
		if err != nil {
			return err
		}
		return c.watch(ctx, names, *after, func(token client.Token, err error) error {
			return t.printChange(token, err, *values, output)
		})
	})
}

// namesToWatch are the names given, else all there are.
func (c *cluster) namesToWatch(ctx context.Context, args []string) ([]string, error) {
	names := make([]string, 0, len(args))
	for _, arg := range args {
		name, err := tokenNamed(arg)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(args) > 0 {
		return names, nil
	}
	states, err := c.allStates(ctx)
	if err != nil {
		return nil, err
	}
	for _, state := range states {
		names = append(names, state.Name())
	}
	switch {
	case len(names) == 0:
		return nil, &codedError{code: exitRefused, err: errors.New("there is no token this client may see")}
	case len(names) > maxWatched:
		return nil, usagef("there are %d tokens: name those to watch, at most %d", len(names), maxWatched)
	}
	return names, nil
}

// watch follows every name until ctx ends or one of them cannot be watched.
func (c *cluster) watch(ctx context.Context, names []string, after int64, show func(client.Token, error) error) error {
	type change struct {
		token client.Token
		err   error
	}
	changes := make(chan change)
	g, gctx := errgroup.WithContext(ctx)
	for _, name := range names {
		g.Go(func() error {
			var last error
			for token, err := range c.Watch(gctx, name, after) {
				last = err
				select {
				case changes <- change{token, err}:
				case <-gctx.Done():
				}
			}
			if gctx.Err() == nil {
				return toldAlready(c.explain(last)) // it ended by itself: asking again cannot help
			}
			return nil
		})
	}
	g.Go(func() error {
		for {
			select {
			case next := <-changes:
				if err := show(next.token, c.explain(next.err)); err != nil {
					return err
				}
			case <-gctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

// toldAlready marks an error that was printed when it happened.
func toldAlready(err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: exitCode(err), err: err, told: true}
}

func (t *terminal) printChange(token client.Token, err error, values bool, output *output) error {
	if err != nil {
		t.say("%s", err)
		return nil
	}
	if !values {
		token.Value = ""
	}
	if output.isJSON() {
		return t.jsonLine(token)
	}
	t.print("%s  %s  version %d  %s  %s  expires %s  %s", time.Now().Format(time.TimeOnly), token.Name(),
		token.Version, t.state(token.State), token.Fingerprint, when(token.ExpiresAt), token.Value)
	return nil
}
