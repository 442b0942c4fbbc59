package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

func newApply(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "bring the apps of a file into the cluster",
		Long: `Checks a file of apps, shows what would change in the cluster, and applies it,
parents first. Credentials are sent and never shown. --dry-run only shows.
--prune deletes apps that the same client applied before and that the file no
longer has. A refresh_token of the file counts only for an app that has none
yet, since the one the cluster keeps is newer; --replace-grant is for a new one
that somebody has just been given. Clients of the file are not applied: a key
travels only one way, see "freshet clients add".`,
		Example: `  freshet apply -f apps.yaml --dry-run
  freshet apply -f apps.yaml
  freshet apply -f apps.yaml --prune
  freshet apply -f crm.yaml --replace-grant`,
		Args: exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	file := cmd.Flags().StringP("file", "f", "", "file of apps")
	a := &applier{terminal: t}
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "show what would change and change nothing")
	cmd.Flags().BoolVar(&a.prune, "prune", false, "delete apps this client applied before and the file no longer has")
	cmd.Flags().BoolVar(&a.replaceGrant, "replace-grant", false, "put refresh tokens of the file in the place of those the cluster keeps")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		a.cluster, a.output = c, output
		if *file == "" {
			return usagef("name the file: freshet apply -f apps.yaml")
		}
		apps := readAppsOnly(*file, t.env)
		apps.checkAlone(checkingProviders())
		if err := apps.doc.err(); err != nil {
			return err
		}
		return a.apply(ctx, apps)
	})
}

// applier brings a file into a cluster.
type applier struct {
	*terminal
	cluster       *cluster
	output        *output
	dryRun, prune bool
	replaceGrant  bool
	owners        []string // under which this client's apps are kept
}

// appliedApp is what was done, or would be, about one app.
type appliedApp struct {
	Name    string   `json:"name"`
	Change  string   `json:"change"` // created, updated, unchanged, deleted
	Details []string `json:"details,omitempty"`
	Note    string   `json:"note,omitempty"`
}

func (a *applier) apply(ctx context.Context, apps *appsFile) error {
	before, err := a.cluster.allApps(ctx, client.AppsOptions{})
	if err != nil {
		return err
	}
	if len(apps.clients) > 0 {
		a.say("note: clients are not applied (the file has %d); see freshet clients add", len(apps.clients))
	}
	if len(apps.apps) == 0 {
		a.say("note: the file has no apps: nothing is applied, and nothing deleted")
	}
	var done []appliedApp
	for _, app := range parentsFirst(apps.apps) {
		one, err := a.applyApp(ctx, app.Name, wireApp(app), apps, before)
		if err != nil {
			return errors.Join(err, a.report(done))
		}
		done = append(done, one)
	}
	if a.prune {
		pruned, err := a.pruneApps(ctx, apps, before)
		done = append(done, pruned...)
		if err != nil {
			return errors.Join(err, a.report(done))
		}
	}
	return a.report(done)
}

func (a *applier) applyApp(ctx context.Context, name string, app client.App, file *appsFile, before []client.AppInfo) (appliedApp, error) {
	if a.dryRun && file.has(app.Parent) && !known(app.Parent, before) {
		return previewed(name, before), nil // the cluster cannot preview it without its parent
	}
	change, err := a.cluster.PutApp(ctx, name, app, client.ApplyOptions{DryRun: a.dryRun, ReplaceGrant: a.replaceGrant})
	if err != nil {
		return appliedApp{}, a.aboutApp(name, err)
	}
	if strings.HasPrefix(change.App.Owner, "api:") && !slices.Contains(a.owners, change.App.Owner) {
		a.owners = append(a.owners, change.App.Owner)
	}
	one := appliedApp{Name: name, Change: change.Change}
	if change.GrantKept {
		one.Note = "its refresh_token was not taken: the cluster keeps another, newer than a file's unless somebody has just been given this one; then use --replace-grant"
	}
	if change.Change == client.ChangeUpdated {
		i := slices.IndexFunc(before, func(b client.AppInfo) bool { return b.Name == name })
		if i >= 0 {
			one.Details = differences(before[i].Applied, app)
		}
	}
	return one, nil
}

// previewed is what would become of an app whose parent would be new.
func previewed(name string, before []client.AppInfo) appliedApp {
	if known(name, before) {
		return appliedApp{Name: name, Change: client.ChangeUpdated}
	}
	return appliedApp{Name: name, Change: client.ChangeCreated}
}

// aboutApp names the app in the error of a call about it.
func (a *applier) aboutApp(name string, err error) error {
	err = a.cluster.explain(err)
	if strings.Contains(err.Error(), name) {
		return err
	}
	return &codedError{code: exitCode(err), err: namedError{name, err}}
}

type namedError struct {
	app string
	err error
}

func (e namedError) Error() string { return "app " + e.app + ": " + e.err.Error() }
func (e namedError) Unwrap() error { return e.err }

// pruneApps deletes children before their parents.
func (a *applier) pruneApps(ctx context.Context, apps *appsFile, before []client.AppInfo) ([]appliedApp, error) {
	var gone []client.AppInfo
	for _, app := range before {
		if slices.Contains(a.owners, app.Owner) && !apps.has(app.Name) {
			gone = append(gone, app)
		}
	}
	slices.SortStableFunc(gone, func(x, y client.AppInfo) int { return depth(y, before) - depth(x, before) })
	var done []appliedApp
	for _, app := range gone {
		if !a.dryRun {
			if err := a.cluster.DeleteApp(ctx, app.Name); err != nil {
				return done, a.aboutApp(app.Name, err)
			}
		}
		done = append(done, appliedApp{Name: app.Name, Change: "deleted"})
	}
	return done, nil
}

func known(name string, apps []client.AppInfo) bool {
	return slices.ContainsFunc(apps, func(b client.AppInfo) bool { return b.Name == name })
}

// depth counts the parents above an app.
func depth(app client.AppInfo, all []client.AppInfo) int {
	for d := range len(all) {
		i := slices.IndexFunc(all, func(b client.AppInfo) bool { return b.Name == app.Applied.Parent })
		if i < 0 {
			return d
		}
		app = all[i]
	}
	return len(all)
}

func (a *applier) report(done []appliedApp) error {
	if a.output.isJSON() {
		return a.json(map[string]any{"dry_run": a.dryRun, "apps": done})
	}
	for _, one := range done {
		a.print("%s %s %s", sign(a.terminal, one.Change), one.Name, one.Change)
		for _, line := range one.Details {
			a.print("      %s", line)
		}
		if one.Note != "" {
			a.print("      note: %s", one.Note)
		}
	}
	if a.dryRun {
		a.print("nothing was changed: --dry-run")
	}
	return nil
}

func sign(t *terminal, change string) string {
	switch change {
	case client.ChangeCreated:
		return t.paint(green, "+")
	case client.ChangeUpdated:
		return t.paint(yellow, "~")
	case "deleted":
		return t.paint(red, "-")
	}
	return " "
}
