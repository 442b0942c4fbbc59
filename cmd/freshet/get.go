package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

func newGet(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get APP[/TOKEN]",
		Short: "show a token's value, or keep it in a file",
		Long: `Shows a token's value as a node has it in memory; the token is access_token
unless another one is named. It does not wait unless --wait is given: then for a
value that lives as long as --min-ttl says, or for a version above --after.
Exit code 4 means that there is no such value now.

--to writes it to a file instead, which only this user may read and which is
replaced in one step: the bare value without a line end, or -o json. --follow
keeps the file up to date until it is interrupted. What is there when a node
answers is written first, so that a restart repairs an old file. Where the file
has changed, --signal sends a signal to a process, and --on-change runs a
program (no shell; at most a minute). Both may fail without ending --follow.`,
		Example: `  freshet get shop
  freshet get shop -o value
  freshet get shop/jsapi_ticket --min-ttl 5m --wait 10s -o json
  freshet get shop --to /run/shop.token
  freshet get shop --to shop.json -o json --follow --signal HUP:/run/app.pid
  freshet get shop --to shop.token --follow --on-change "systemctl reload app"`,
		Args: exactly(1),
	}
	output := addOutput(cmd, formatTable, formatJSON, formatValue)
	var opts client.TokenOptions
	addLength(cmd.Flags(), &opts.MinTTL, "min-ttl", "only a value that lives so long")
	addVersion(cmd.Flags(), &opts.After, "after", "only a version above this one")
	addWait(cmd.Flags(), &opts.Wait, "how long to wait for it, at most 60s")
	file := addFile(cmd, t)
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		name, err := tokenNamed(args[0])
		if err != nil {
			return err
		}
		if err := file.check(cmd, output, opts); err != nil {
			return err
		}
		if file.follow {
			return c.keepFile(ctx, name, opts.After, file)
		}
		token, err := c.Token(ctx, name, opts)
		if err != nil {
			return c.livesTooShort(ctx, name, opts, err)
		}
		if file.path != "" {
			return file.update(ctx, token)
		}
		return t.printToken(token, output)
	})
}

// livesTooShort says how long the value lives where it is not as long as --min-ttl asks.
func (c *cluster) livesTooShort(ctx context.Context, name string, opts client.TokenOptions, err error) error {
	if opts.MinTTL <= 0 || !isCode(err, client.CodeNoNewerToken) {
		return err
	}
	held, missing := c.Token(ctx, name, client.TokenOptions{After: opts.After})
	left := time.Until(held.ExpiresAt)
	if missing != nil || left >= opts.MinTTL {
		return err
	}
	return &codedError{code: exitNoToken, err: fmt.Errorf(
		"no value lives as long as was asked: version %d lives for %s, --min-ttl asks for %s", held.Version, roughly(left), roughly(opts.MinTTL))}
}

func (t *terminal) printToken(token client.Token, output *output) error {
	switch output.format {
	case formatJSON:
		return t.json(token)
	case formatValue:
		t.print("%s", token.Value)
		return nil
	}
	t.table([][]string{
		{"token", token.Name()},
		{"value", token.Value},
		{"version", fmt.Sprint(token.Version)},
		{"fingerprint", token.Fingerprint},
		{"state", t.state(token.State)},
		{"expires", when(token.ExpiresAt)},
		{"issued", when(token.IssuedAt)},
		{"node", token.Node},
	})
	return nil
}

// when writes an instant for people: how far off, and the time itself.
func when(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	if left := time.Until(at); left > 0 {
		return fmt.Sprintf("in %s (%s)", roughly(left), at.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%s ago (%s)", roughly(time.Since(at)), at.UTC().Format(time.RFC3339))
}
