package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"freshet/httpapi/client"
)

func newImport(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import -f FILE",
		Short: "bring many apps into the cluster, one a line",
		Long: `Applies the apps of a file of NDJSON: each line is one app as JSON, with its
name and what "freshet apply" takes of it, credentials as they are; a parent
comes before its children. Lines are done one by one, so a file may have as many
as there are. One that is refused is told with its number and stops no other;
blank ones are skipped. The same file can be imported again: what is there
already is left unchanged.

The lines hold secrets as plain text. Rather than leave a file around, pipe
what makes them into "freshet import -f -".

The exit code is 0 if every line was done, and 1 if lines were refused; if the
import ended early it is that of the reason, see "freshet help exit-codes".`,
		Example: `  freshet import -f apps.ndjson --dry-run
  freshet import -f apps.ndjson
  export-grants | freshet import -f -
  echo '{"name":"crm-4711","parent":"crm","credentials":{"refresh_token":"…"}}' | freshet import -f - -o json`,
		Args: exactly(0),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	file := cmd.Flags().StringP("file", "f", "", "file of apps, one a line; - for standard input")
	var opts client.ApplyOptions
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "say what would change and change nothing")
	cmd.Flags().BoolVar(&opts.ReplaceGrant, "replace-grant", false, "put refresh tokens of the file in the place of those the cluster keeps")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, _ []string) error {
		lines, err := openLines(t, *file)
		if err != nil {
			return err
		}
		defer func() { _ = lines.Close() }()
		i := &importer{terminal: t, output: output, file: *file, told: time.Now().Add(progressFirst - progressEvery)}
		if i.file == "-" {
			i.file = "standard input"
		}
		return i.run(c.Import(ctx, bufio.NewReader(lines), opts), c)
	})
}

// openLines opens a file of lines, or takes standard input unless a person sits there.
func openLines(t *terminal, file string) (io.ReadCloser, error) {
	screen, ok := t.in.(*os.File)
	switch {
	case file == "", file == "-" && ok && term.IsTerminal(int(screen.Fd())):
		return nil, usagef("name the file: freshet import -f apps.ndjson, or pipe the lines into freshet import -f -")
	case file == "-":
		return io.NopCloser(t.in), nil
	}
	opened, err := os.Open(file) //nolint:gosec // naming files is what the flag is for
	if err != nil {
		return nil, usagef("the file %s cannot be read: %s", file, fileProblem(err))
	}
	if about, err := opened.Stat(); err == nil && about.IsDir() {
		return nil, errors.Join(usagef("%s is a folder: name a file", file), opened.Close())
	}
	return opened, nil
}

// When a long import tells how far it is.
const (
	progressFirst = time.Second
	progressEvery = 5 * time.Second
)

// importer tells a person, or a program, how an import goes.
type importer struct {
	*terminal
	output *output
	file   string
	done   int
	told   time.Time // how far it is

	unchecked int // apps that a dry run could not check against their parents
}

func (i *importer) run(answers func(func(client.ImportAnswer, error) bool), c *cluster) error {
	for answer, err := range answers {
		if err != nil {
			return i.broken(c.explain(err))
		}
		if i.output.isJSON() {
			if err := i.jsonLine(answer); err != nil {
				return err
			}
		}
		if answer.Totals != nil {
			return i.end(*answer.Totals, c)
		}
		i.tell(answer)
	}
	return nil
}

// tell tells of a line what somebody should know.
func (i *importer) tell(answer client.ImportAnswer) {
	i.done++
	if answer.Unchecked {
		i.unchecked++
	}
	if now := time.Now(); now.Sub(i.told) >= progressEvery {
		i.told = now
		i.say("%s answered, up to line %d …", count(i.done, "line"), answer.Line)
	}
	if i.output.isJSON() {
		return
	}
	if answer.Problem != nil {
		i.say("%s:%d: %s", i.file, answer.Line, problemText(answer))
	}
	if answer.GrantKept {
		i.say("%s:%d: app %s: note: its refresh_token was not taken: the cluster keeps another; for one that somebody has just been given use --replace-grant", i.file, answer.Line, answer.App)
	}
}

// problemText says what is wrong with a line, and names its app.
func problemText(answer client.ImportAnswer) string {
	text := detail(answer.Problem)
	if strings.Contains(text, answer.App) {
		return text
	}
	return "app " + answer.App + ": " + text
}

// end says what became of all lines.
func (i *importer) end(t client.ImportTotals, c *cluster) error {
	if !i.output.isJSON() {
		i.print("%d created, %d updated, %d unchanged, %d refused", t.Created, t.Updated, t.Unchanged, t.Refused)
		if t.DryRun {
			i.print("nothing was changed: --dry-run")
		}
		if i.unchecked > 0 {
			i.say("note: %s could not be checked, since the parent is not there before this is imported", count(i.unchecked, "app"))
		}
	}
	switch {
	case t.Error != nil:
		return i.broken(c.explain(t.Error))
	case t.Refused > 0:
		return &codedError{code: exitFailure, err: fmt.Errorf("%s of %s refused: mend what is refused, and import all of it again", count(t.Refused, "line"), i.file)}
	}
	return nil
}

// broken says how far an import came that ended early.
func (i *importer) broken(err error) error {
	if i.done == 0 || errors.Is(err, context.Canceled) {
		return err
	}
	return &codedError{code: exitCode(err), err: fmt.Errorf("%s ended after %s: %w; import it again, what is there already is left unchanged", i.file, count(i.done, "line"), err)}
}
