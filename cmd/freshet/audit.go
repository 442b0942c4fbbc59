package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

func newAudit(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "show who changed what",
		Long: `Shows who changed what, newest first: apps and clients that were made,
changed or deleted, pauses, lifted bars, raised formats, apps files that nodes
applied. The cluster keeps 30 days of it, and at most 10,000 records. Names are
shown, never values; where one act changed several apps, as an import does,
CHANGED is what changed in any of them. What was refused or changed nothing is
not in it. The key must be one that may administer everything.`,
		Example: `  freshet audit
  freshet audit --app shop --limit 5
  freshet audit --by api:orders -o json`,
		Args: exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	limit := cmd.Flags().Int("limit", 50, "how many records to show")
	var opts client.AuditOptions
	cmd.Flags().StringVar(&opts.App, "app", "", "only what was done to this app")
	cmd.Flags().StringVar(&opts.By, "by", "", "only what this actor did, like api:orders or file:apps.yaml")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		if *limit < 1 {
			return usagef("--limit %d: show at least one record", *limit)
		}
		records, err := c.newestAudit(ctx, opts, *limit)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(client.AuditList{Records: records})
		}
		rows := [][]string{{"WHEN", "BY", "ACTION", "WHAT", "CHANGED", "NODE"}}
		for _, r := range records {
			rows = append(rows, []string{
				when(r.At), r.By, r.Action, orDash(shortened(first(r.Objects, opts.App))), orDash(shortened(r.Changed)), r.Node,
			})
		}
		t.table(rows)
		return nil
	})
}

// newestAudit reads pages until there are as many records as wanted.
func (c *cluster) newestAudit(ctx context.Context, opts client.AuditOptions, wanted int) ([]client.AuditRecord, error) {
	all := []client.AuditRecord{}
	for {
		opts.Limit = min(wanted-len(all), 1000)
		page, err := c.Audit(ctx, opts)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Records...)
		if page.NextCursor == "" || len(all) >= wanted {
			return all, nil
		}
		opts.Cursor = page.NextCursor
	}
}

// first puts one name of a list before the others, if it is there.
func first(list []string, name string) []string {
	at := slices.Index(list, name)
	if at < 0 {
		return list
	}
	return slices.Concat([]string{name}, list[:at], list[at+1:])
}

// shortened writes a list for people, and only how many more there are of a long one.
func shortened(list []string) string {
	const shown = 6
	if len(list) > shown+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return strings.Join(list, ", ")
}
