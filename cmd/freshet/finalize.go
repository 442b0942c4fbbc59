package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newFinalize(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "finalize",
		Short: "end a rolling upgrade",
		Long: `Raises the format of the records in etcd to the newest that every node reads,
once all of them run the new build. Until then nodes of both builds work
together, and going back is possible; from then on nodes of the older build are
refused. Where there is nothing to raise it says which format there is.`,
		Example: `  freshet status      # every node shows the new build
  freshet finalize`,
		Args: exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		done, err := c.Finalize(ctx)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(done)
		}
		t.print("the records of this cluster have format %d", done.Format)
		return nil
	})
}
