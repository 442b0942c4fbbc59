package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// run carries out one command line and returns the exit code.
func run(ctx context.Context, t *terminal, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends us at once

	root := newRoot(t) //nolint:contextcheck // verbs have the context of ExecuteContext
	root.SetArgs(args)
	err := checkVerb(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		err = t.written()
	}
	t.tell(err)
	return exitCode(err)
}

// tell prints an error that nobody has read yet.
func (t *terminal) tell(err error) {
	coded, ok := errors.AsType[*codedError](err)
	if err == nil || exitCode(err) == exitInterrupted || ok && coded.told {
		return
	}
	t.say("freshet: %s", err)
}

func newRoot(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "freshet",
		Short: "keeps third-party access tokens fresh for a cluster",
		Long: `Freshet keeps third-party access tokens fresh for a whole cluster. One elected
node asks the platforms; every node answers reads from memory; etcd is the only
thing they share.

Begin with "freshet dev": it needs nothing and shows a live token in seconds.`,
		Example: `  freshet dev
  freshet serve --config freshet.yaml
  freshet get shop`,
		Version:           buildVersion(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
		Args:              noSuchVerb,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetVersionTemplate("freshet {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	addVerbs(root, t)
	addTopics(root)
	return root
}

// addVerbs lists every verb there is, in the order of --help.
func addVerbs(root *cobra.Command, t *terminal) {
	local := &cobra.Group{ID: "local", Title: "Run it:"}
	cluster := &cobra.Group{ID: "cluster", Title: "Talk to a cluster (FRESHET_ADDR, FRESHET_KEY):"}
	root.AddGroup(local, cluster)
	for _, verb := range []*cobra.Command{newDev(t), newServe(t), newCheck(t), newSandbox(t), newSeal(t)} {
		verb.GroupID = local.ID
		root.AddCommand(verb)
	}
	for _, verb := range []*cobra.Command{
		newGet(t), newWatch(t), newRun(t), newRefresh(t), newReport(t), newPush(t), newStatus(t), newApply(t), newImport(t), newApps(t),
		newPause(t, true), newPause(t, false), newBars(t), newAudit(t), newClients(t), newFinalize(t),
	} {
		verb.GroupID = cluster.ID
		root.AddCommand(verb)
	}
	root.AddCommand(newVersion(t))
}

// addTopics adds pages of help that are no verbs.
func addTopics(root *cobra.Command) {
	root.AddCommand(
		&cobra.Command{Use: "exit-codes", Short: "what the exit code says", Long: exitCodesHelp},
		&cobra.Command{Use: "variables", Short: "the variables of the environment", Long: variablesTopic()},
	)
}

func variablesTopic() string {
	return `Variables of the environment.

Verbs that talk to a cluster:

  FRESHET_ADDR      addresses of nodes, comma separated; any node will do
  FRESHET_KEY       client key; never a flag, since others can read a command line
  FRESHET_KEY_FILE  file that holds the client key
  FRESHET_CA        PEM file of the authority of the nodes' certificates
  NO_COLOR          no colours

Verbs that run a node, each for the setting beside it. A flag wins over a
variable, a variable over the file, the file over the default:

  FRESHET_CONFIG                        the configuration file
` + strings.TrimRight(variablesHelp(), "\n")
}

// checkVerb refuses a verb that does not exist where the command line asks for
// help, which cobra would answer with the page of the verb above.
func checkVerb(root *cobra.Command, args []string) error {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	switch {
	case len(args) == 0 || strings.HasPrefix(args[0], "__"): // completion
		return nil
	case args[0] == "help":
		args = args[1:]
	case !slices.Contains(args, "--help") && !slices.Contains(args, "-h"):
		return nil
	}
	cmd, rest, err := root.Find(args)
	if err != nil || !cmd.HasSubCommands() {
		return err
	}
	return noSuchVerb(cmd, slices.DeleteFunc(slices.Clone(rest), func(arg string) bool { return strings.HasPrefix(arg, "-") }))
}

func noSuchVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var verbs []string
	for _, verb := range cmd.Commands() {
		verbs = append(verbs, verb.Name())
	}
	if near := nearest(args[0], verbs); near != "" {
		return usagef("there is no verb %q; did you mean %q?", args[0], near)
	}
	return usagef("there is no verb %q; see freshet --help", args[0])
}

// exactly wants n arguments; what they are stands in the usage line.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return usagef("usage: %s", cmd.UseLine())
	}
}
