package main

import (
	"context"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

func newBars(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bars",
		Short: "list and lift refusals of addresses by platforms",
		Long: `Shows which apps a platform refuses from which egress address, and lifts such
bars once the address is allowed there. The refresher hands over to a node whose
address is refused for fewer apps.`,
		Example: "  freshet bars list\n  freshet bars lift shop",
		Args:    noSuchVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBarsList(t), newBarsLift(t))
	return cmd
}

func newBarsList(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list the bars that stand",
		Long:    "Lists which apps are refused from which egress address, and until when.",
		Example: "  freshet bars list\n  freshet bars list -o json",
		Args:    exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		bars, err := c.Bars(ctx)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(client.BarList{Bars: bars})
		}
		rows := [][]string{{"APP", "EGRESS", "NODE", "REASON", "UNTIL"}}
		for _, b := range bars {
			rows = append(rows, []string{b.App, b.Egress, b.Node, b.Reason, when(b.Until)})
		}
		t.table(rows)
		return nil
	})
}

func newBarsLift(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lift APP",
		Short: "lift the bars of an app",
		Long: `Lifts the bars of an app, or the one from --egress, so that it is tried again at
once. Do it when the platform allows the address: each call that it refuses may
count against the account.`,
		Example: "  freshet bars lift shop\n  freshet bars lift shop --egress n1",
		Args:    exactly(1),
	}
	egress := cmd.Flags().String("egress", "", "only the bar from this address, as \"bars list\" names it")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		lifted, err := c.LiftBars(ctx, args[0], *egress)
		if err == nil {
			t.print("lifted %s", count(lifted, "bar"))
		}
		return err
	})
}
