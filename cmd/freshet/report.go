package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func newReport(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report APP[/TOKEN]",
		Short: "report that the platform refused a token",
		Long: `Tells the cluster that the platform refused a value, named by its version or its
fingerprint; where neither is named it is the version the cluster holds now. A
program names what it used, since a newer one may have come meanwhile. The
cluster looks whether a newer one exists, asks the platform where that is cheap,
and answers with its verdict: replaced, refreshing, alive, throttled or failed.
A thousand reports of one version cause one fetch.`,
		Example: `  freshet report shop
  freshet report shop --version 7 --code 40001
  freshet report shop/jsapi_ticket --fingerprint 3f2a9c -o json`,
		Args: exactly(1),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	var body client.ReportBody
	addVersion(cmd.Flags(), &body.Version, "version", "version that was refused (default: the one held now)")
	cmd.Flags().StringVar(&body.Fingerprint, "fingerprint", "", "fingerprint of the value that was refused")
	cmd.Flags().StringVar(&body.Code, "code", "", "what the platform said, e.g. 40001")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		if body.Version > 0 && body.Fingerprint != "" {
			return usagef("say which value was refused: --version or --fingerprint, not both")
		}
		name, err := tokenNamed(args[0])
		if err != nil {
			return err
		}
		if body.Version == 0 && body.Fingerprint == "" {
			held, err := c.Token(ctx, name, client.TokenOptions{})
			if err != nil {
				return err
			}
			body.Version = held.Version
		}
		answer, err := c.Report(ctx, name, body)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(answer)
		}
		t.print("%s", verdict(name, answer))
		return nil
	})
}

// verdict says what was found, and what to do with it.
func verdict(name string, a client.ReportAnswer) string {
	next := fmt.Sprintf("freshet get %s --after %d --wait 30s", name, a.After)
	switch a.Verdict {
	case client.VerdictReplaced:
		return fmt.Sprintf("replaced: version %d is there; %s", a.Version, next)
	case client.VerdictRefreshing:
		return "refreshing: a newer version is on its way; " + next
	case client.VerdictAlive:
		return fmt.Sprintf("alive: the platform accepts version %d; nothing was done", a.Version)
	case client.VerdictThrottled:
		return "throttled: no refresh may be spent on it now " + a.Reason
	case client.VerdictFailed:
		if a.Reason == coordinator.ReasonReportedDead {
			return "failed: nobody can be asked for another value; freshet push " + name + " --expires-in LIFETIME"
		}
		return "failed: " + a.Reason
	}
	return a.Verdict
}
