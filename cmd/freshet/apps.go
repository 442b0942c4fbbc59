package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

func newApps(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apps",
		Short: "list, show and delete apps",
		Long: `Shows and changes the apps a cluster keeps tokens for. No credential is ever
shown. Apps are made and changed with "freshet apply", or by a node's file.`,
		Example: `  freshet apps list --label team=retail
  freshet apps show shop`,
		Args: noSuchVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAppsList(t), newAppsShow(t), newAppsDelete(t))
	return cmd
}

func newAppsList(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list apps",
		Long:    "Lists the apps this client may see, by name.",
		Example: "  freshet apps list\n  freshet apps list --label team=retail --prefix crm- -o json",
		Args:    exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	var opts client.AppsOptions
	cmd.Flags().StringVar(&opts.Label, "label", "", "only apps with this label, like team=retail")
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "only apps whose name begins so")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		apps, err := c.allApps(ctx, opts)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(client.AppList{Apps: apps})
		}
		rows := [][]string{{"APP", "PROVIDER", "PARENT", "TOKENS", "PAUSED", "OWNER", "LABELS"}}
		for _, app := range apps {
			rows = append(rows, []string{
				app.Name, app.Provider, orDash(app.Parent), tokenList(app.App), yesNo(app.Paused), orDash(app.Owner), orDash(pairs(app.Labels)),
			})
		}
		t.table(rows)
		return nil
	})
}

// allApps reads every page.
func (c *cluster) allApps(ctx context.Context, opts client.AppsOptions) ([]client.AppInfo, error) {
	all := []client.AppInfo{}
	opts.Limit = 500
	for {
		page, err := c.Apps(ctx, opts)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Apps...)
		if page.NextCursor == "" {
			return all, nil
		}
		opts.Cursor = page.NextCursor
	}
}

func newAppsShow(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show APP",
		Short:   "show an app's settings in effect",
		Long:    "Shows an app with its settings in effect: what it inherits and the defaults are\nfilled in. Of credentials only the names are shown.",
		Example: "  freshet apps show shop\n  freshet apps show shop -o json",
		Args:    exactly(1),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		app, err := c.App(ctx, args[0])
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(app)
		}
		rows := [][]string{{"name", app.Name}, {"owner", orDash(app.Owner)}}
		for _, line := range settingsOf(app.App) {
			rows = append(rows, []string{line.path, line.text})
		}
		rows = append(rows, []string{"credentials set", orDash(strings.Join(app.CredentialsSet, ", "))})
		if app.Problem != "" {
			rows = append(rows, []string{"problem", t.paint(red, app.Problem)})
		}
		t.table(rows)
		return nil
	})
}

func newAppsDelete(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete APP",
		Short:   "delete an app, its credentials and its tokens",
		Long:    "Deletes an app with its credentials and the values of its tokens. Versions go on\nwhere they were should an app of this name be made again.",
		Example: "  freshet apps delete shop",
		Args:    exactly(1),
	}
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		if err := c.DeleteApp(ctx, args[0]); err != nil {
			return err
		}
		t.print("deleted %s", args[0])
		return nil
	})
}

func tokenList(app client.App) string {
	return strings.Join(slices.Sorted(maps.Keys(app.Tokens)), ",")
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
