package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

func newClients(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clients",
		Short: "list, add and delete those who may call the API",
		Long: `Shows and changes who may call the API. A client has a key, shown once when it
is added, and permissions: verbs (read, refresh, push, proxy, view, admin) on
names of tokens, where * stays within one part of a name and ** crosses.`,
		Example: `  freshet clients add orders --can read=shop/* --can refresh=shop/*
  freshet clients list
  freshet clients delete orders`,
		Args: noSuchVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newClientsList(t), newClientsAdd(t), newClientsDelete(t))
	return cmd
}

func newClientsList(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list clients",
		Long:    "Lists the clients there are, by name. Keys are kept as digests only.",
		Example: "  freshet clients list\n  freshet clients list -o json",
		Args:    exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		clients, err := c.allClients(ctx)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(client.ClientList{Clients: clients})
		}
		rows := [][]string{{"CLIENT", "CAN", "EXPIRES", "OWNER", "NOTE"}}
		for _, one := range clients {
			expires := "never"
			if !one.ExpiresAt.IsZero() {
				expires = when(one.ExpiresAt)
			}
			rows = append(rows, []string{one.Name, permissions(one.Can), expires, orDash(one.Owner), orDash(one.Note)})
		}
		t.table(rows)
		return nil
	})
}

func (c *cluster) allClients(ctx context.Context) ([]client.ClientInfo, error) {
	all := []client.ClientInfo{}
	page := client.Page{Limit: 500}
	for {
		list, err := c.Clients(ctx, page)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Clients...)
		if list.NextCursor == "" {
			return all, nil
		}
		page.Cursor = list.NextCursor
	}
}

func newClientsAdd(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME --can VERB=NAMES",
		Short: "add a client and show its key, once",
		Long: `Adds a client and prints its key, which is shown this once and kept only as a
digest. --can gives a permission: a verb (read, refresh, push, proxy, view,
admin) and the names it is for; several names with commas, --can again for more.`,
		Example: `  freshet clients add orders --can read=shop/* --can refresh=shop/*
  freshet clients add audit --can view=** --expires 720h --note "until the audit is over"
  freshet clients add orders --can read=shop/* -o value > orders.key`,
		Args: exactly(1),
	}
	output := addOutput(cmd, formatTable, formatJSON, formatValue)
	can := cmd.Flags().StringArray("can", nil, "permission, like read=shop/*; again for more")
	var expires time.Duration
	addLength(cmd.Flags(), &expires, "expires", "how long the key is good for (default: for ever)")
	note := cmd.Flags().String("note", "", "what it is for")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		body := client.ClientBody{Name: args[0], Note: *note}
		var err error
		if body.Can, err = parsePermissions(*can); err != nil {
			return err
		}
		if expires > 0 {
			body.ExpiresAt = time.Now().Add(expires).UTC().Truncate(time.Second)
		}
		key, err := c.AddClient(ctx, body)
		if err != nil {
			return err
		}
		return t.printKey(key, output)
	})
}

func (t *terminal) printKey(key client.ClientKey, output *output) error {
	switch output.format {
	case formatJSON:
		return t.json(key)
	case formatValue:
		t.print("%s", key.Key)
		return nil
	}
	t.print("client %s may call with this key, which is shown only now:\n\n  %s", key.Client, key.Key)
	return nil
}

// parsePermissions reads the flags --can.
func parsePermissions(flags []string) (client.Permissions, error) {
	can := client.Permissions{}
	for _, text := range flags {
		verb, globs, _ := strings.Cut(text, "=")
		if !slices.Contains(coordinator.Verbs(), coordinator.Verb(verb)) {
			return nil, usagef("--can %s: expected VERB=NAMES with a verb of read, refresh, push, proxy, view, admin", text)
		}
		for glob := range strings.SplitSeq(globs, ",") {
			if badGlob(glob) {
				return nil, usagef("--can %s: expected names of tokens like shop/access_token, shop/* or **", text)
			}
			can[verb] = append(can[verb], glob)
		}
	}
	if len(can) == 0 {
		return nil, usagef("say what the client may do, like --can read=shop/*")
	}
	return can, nil
}

func permissions(can client.Permissions) string {
	var list []string
	for _, verb := range slices.Sorted(maps.Keys(can)) {
		list = append(list, verb+"="+strings.Join(can[verb], ","))
	}
	return strings.Join(list, " ")
}

func newClientsDelete(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Short:   "delete a client; its key is worth nothing at once",
		Long:    "Deletes a client. Its key is worth nothing once the nodes have heard of it.",
		Example: "  freshet clients delete orders",
		Args:    exactly(1),
	}
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		if err := c.DeleteClient(ctx, args[0]); err != nil {
			return err
		}
		t.print("deleted %s", args[0])
		return nil
	})
}
