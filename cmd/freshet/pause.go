package main

import (
	"context"

	"github.com/spf13/cobra"
)

// newPause makes the verb pause, or its reverse.
func newPause(t *terminal, paused bool) *cobra.Command {
	verb, short, long := "resume", "go on refreshing an app, or the cluster", `Goes on refreshing an app that was paused or, without a name, the cluster. An
app that was paused by itself stays so when the cluster goes on.`
	if paused {
		verb, short, long = "pause", "stop refreshing an app, or the whole cluster", `Stops refreshing an app or, without a name, everything. Nothing is asked of the
platform any more, on a schedule or on request; a call under way is answered and
its result kept. The values there are are served on until they expire.`
	}
	cmd := &cobra.Command{
		Use:     verb + " [APP]",
		Short:   short,
		Long:    long,
		Example: "  freshet " + verb + " shop\n  freshet " + verb,
		Args:    between(0, 1),
	}
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		what := "the cluster"
		var err error
		if len(args) == 1 {
			what, err = args[0], c.PauseApp(ctx, args[0], paused)
		} else {
			err = c.Pause(ctx, paused)
		}
		if err == nil {
			t.print("%sd %s", verb, what)
		}
		return err
	})
}
