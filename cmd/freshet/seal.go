package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
	"freshet/store/seal"
)

const (
	defaultKeyFile   = "seal.keys"
	defaultSealAfter = 2 * time.Minute // files that an orchestrator hands out take so long
)

func newSeal(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "seal",
		Short: "make, rotate and look at the keys that seal secrets in etcd",
		Long: `Secrets in etcd are sealed with keys of a key file (seal.file), of which every
node has the same copy. Without it nobody can read them: keep one apart from the
backups of etcd. Nodes read a changed file within ten seconds, without restart.`,
		Example: `  freshet seal init --file seal.keys
  freshet seal rotate --file seal.keys
  freshet seal status`,
		Args: noSuchVerb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSealInit(t), newSealRotate(t), newSealStatus(t), newSealDrop(t))
	return cmd
}

// keyFileFlag gives a verb the flag --file; what it returns is the file meant.
func keyFileFlag(t *terminal, cmd *cobra.Command, unset string) func() string {
	file := cmd.Flags().String("file", "", "the key file (or FRESHET_SEAL_FILE; default "+defaultKeyFile+")")
	return func() string { return firstSet(*file, variable(t, "FRESHET_SEAL_FILE"), unset) }
}

func newSealInit(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [--file FILE] [--if-missing]",
		Short: "make a key file",
		Long: `Makes a key file with one new key, for its owner to read only. It never touches
a file that is there; --if-missing makes that no error, for scripts. Do it once
for a cluster, and copy the file to every node.`,
		Example: "  freshet seal init\n  freshet seal init --file /etc/freshet/seal.keys",
		Args:    exactly(0),
	}
	file := keyFileFlag(t, cmd, defaultKeyFile)
	output := addOutput(cmd, formatTable, formatJSON)
	ifMissing := cmd.Flags().Bool("if-missing", false, "succeed where a good key file is there already")
	cmd.RunE = func(*cobra.Command, []string) error {
		if _, err := seal.Load(file()); err == nil && *ifMissing {
			t.say("%s is there already", file())
			return nil
		}
		ring, err := seal.Create(file())
		if path, ok := errors.AsType[*os.PathError](err); ok {
			return usagef("the key file %s cannot be written: %s", file(), writeProblem(path))
		}
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(keyList{file(), ring.Keys()})
		}
		t.print("made %s with seal key %d", file(), ring.ID())
		t.say("Give every node the same file (seal.file), and keep a copy apart from the backups of etcd.")
		return nil
	}
	return cmd
}

// keyList is a key file for programs, without its secrets.
type keyList struct {
	File string     `json:"file"`
	Keys []seal.Key `json:"keys"`
}

func newSealRotate(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [--file FILE] [--after DURATION]",
		Short: "add a key that seals from soon on",
		Long: `Adds a new key to the file; the old ones stay and open what they sealed. The new
one begins to seal after --after: until then every node must have the new file.
The refresher then seals everything in etcd anew, once all nodes have the key;
"freshet seal status" shows how far it is.`,
		Example: "  freshet seal rotate\n  freshet seal rotate --file /etc/freshet/seal.keys --after 1h",
		Args:    exactly(0),
	}
	file := keyFileFlag(t, cmd, defaultKeyFile)
	output := addOutput(cmd, formatTable, formatJSON)
	after := defaultSealAfter
	addLength(cmd.Flags(), &after, "after", "when the new key begins to seal")
	cmd.RunE = func(*cobra.Command, []string) error {
		ring, err := seal.Load(file())
		if err != nil {
			return usagef("%w", err)
		}
		id, err := ring.Rotate(time.Now().Add(after))
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(keyList{file(), ring.Keys()})
		}
		t.print("added seal key %d to %s; it seals in %s", id, file(), after)
		t.say("Every node must have this file by then; \"freshet seal status\" shows what is sealed with which key.")
		return nil
	}
	return cmd
}

func newSealStatus(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--file FILE]",
		Short: "show how many records each key seals",
		Long: `Counts the secret records of the cluster by the key that seals them, and names
the nodes that lack a key. With --file it shows the keys of a file instead, and
asks nobody.`,
		Example: "  freshet seal status\n  freshet seal status --file seal.keys\n  freshet seal status -o json",
		Args:    exactly(0),
	}
	file := cmd.Flags().String("file", "", "show the keys of this file")
	output := addOutput(cmd, formatTable, formatJSON)
	onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		seals, err := c.Seals(ctx)
		if err != nil {
			return err
		}
		if output.isJSON() {
			return t.json(seals)
		}
		t.table(sealRows(seals))
		return nil
	})
	asks := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *file == "" {
			return asks(cmd, args)
		}
		ring, err := seal.Load(*file)
		if err != nil {
			return usagef("%w", err)
		}
		if output.isJSON() {
			return t.json(keyList{*file, ring.Keys()})
		}
		t.table(keyRows(ring.Keys()))
		return nil
	}
	return cmd
}

func keyRows(keys []seal.Key) [][]string {
	rows := [][]string{{"KEY", "CREATED", "SEALS", ""}}
	for _, key := range keys {
		note := ""
		if key.Primary {
			note = "seals now"
		}
		rows = append(rows, []string{strconv.Itoa(int(key.ID)), when(key.Created), when(key.SealFrom), note})
	}
	return rows
}

func sealRows(seals client.Seals) [][]string {
	rows := [][]string{{"KEY", "RECORDS", "MISSING ON", ""}}
	for _, key := range seals.Keys {
		note := ""
		switch {
		case key.Primary:
			note = "seals now"
		case key.Records == 0 && len(key.MissingOn) == 0:
			note = "nothing in etcd is sealed with it"
		}
		rows = append(rows, []string{strconv.Itoa(key.ID), strconv.Itoa(key.Records), orDash(strings.Join(key.MissingOn, ",")), note})
	}
	if seals.Unsealed > 0 || len(seals.Keys) == 0 {
		rows = append(rows, []string{"none", strconv.Itoa(seals.Unsealed), "-", "readable in etcd by whoever can read etcd"})
	}
	return rows
}

func newSealDrop(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop ID [--file FILE]",
		Short: "remove an old key from the file",
		Long: `Removes a key from the file, if the cluster says that nothing in etcd is sealed
with it. What a backup of etcd holds sealed with it can then be read only with
an older copy of the file. --unchecked does not ask the cluster. Exit code 3
means that something is still sealed with it, or that the client key may not
ask; 1 that the file has no such key, or that it is the one that seals.`,
		Example: "  freshet seal drop 1\n  freshet seal drop 1 --file /etc/freshet/seal.keys",
		Args:    exactly(1),
	}
	file := keyFileFlag(t, cmd, defaultKeyFile)
	unchecked := cmd.Flags().Bool("unchecked", false, "do not ask the cluster whether something is sealed with it")
	onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		seals, err := c.Seals(ctx)
		if err != nil {
			return err
		}
		return dropKey(t, file(), args[0], &seals)
	})
	asks := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *unchecked {
			return dropKey(t, file(), args[0], nil)
		}
		return asks(cmd, args)
	}
	return cmd
}

// dropKey drops a key that seals nothing, as far as the cluster knows.
func dropKey(t *terminal, file, arg string, seals *client.Seals) error {
	id, err := strconv.ParseUint(arg, 10, 8)
	if err != nil || id == 0 {
		return usagef("the id of a seal key is a number from 1 to 255; see freshet seal status")
	}
	if seals != nil {
		if n := seals.RecordsOf(int(id)); n > 0 {
			return &codedError{code: exitRefused, err: fmt.Errorf(
				"%s still sealed with seal key %d; wait until the refresher has sealed them anew, see freshet seal status", isAre(n), id)}
		}
	}
	ring, err := seal.Load(file)
	if err != nil {
		return usagef("%w", err)
	}
	if err := ring.Drop(uint8(id)); err != nil {
		return &codedError{code: exitFailure, err: err} // not the cluster's fault
	}
	t.print("dropped seal key %d from %s", id, file)
	return nil
}

func isAre(records int) string {
	if records == 1 {
		return "1 record is"
	}
	return fmt.Sprintf("%d records are", records)
}
