package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"freshet/httpapi/client"
)

func newPush(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "push APP/TOKEN",
		Short: "hand the cluster a value that it cannot fetch",
		Long: `Hands the cluster a value of a token that it cannot fetch: of an app whose
provider is static. The value is read from standard input, or from --file, never
from the command line, which others can read; a line break at its end is left
out. Say how long it lives, or until when. Whatever was pushed last is served;
to push the same value again only moves its end.`,
		Example: `  freshet push legacy/access_token --expires-in 2h < value.txt
  legacy-login | freshet push legacy/access_token --expires-in 2h --wait 10s
  freshet push legacy/ticket --file ticket.txt --expires-at 2030-01-31T12:00:00Z -o json`,
		Args: exactly(1),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	var p pushFlags
	flags := cmd.Flags()
	flags.StringVar(&p.file, "file", "", "file that holds the value (default: standard input)")
	flags.DurationVar(&p.expiresIn, "expires-in", 0, "how long it lives, e.g. 2h")
	flags.StringVar(&p.expiresAt, "expires-at", "", "until when it lives, e.g. 2030-01-31T12:00:00Z")
	flags.StringVar(&p.body.TokenType, "type", "", "its token_type, e.g. Bearer")
	flags.StringVar(&p.body.Scope, "scope", "", "its scope")
	flags.StringArrayVar(&p.extra, "extra", nil, "what comes with it and is no secret, as NAME=TEXT; may be repeated")
	var wait time.Duration
	addWait(flags, &wait, "wait until it is served, at most 60s; reading it needs permission")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) error {
		name, err := tokenNamed(args[0])
		if err != nil {
			return err
		}
		if err := p.read(t); err != nil {
			return err
		}
		answer, err := c.Push(ctx, name, p.body)
		if err != nil {
			return err
		}
		if wait > 0 {
			if _, err := c.Token(ctx, name, client.TokenOptions{After: answer.After, Wait: wait}); err != nil {
				return err
			}
		}
		if output.isJSON() {
			return t.json(answer)
		}
		t.print("%s", taken(answer, wait > 0))
		return nil
	})
}

// pushFlags say what is pushed.
type pushFlags struct {
	file      string
	expiresIn time.Duration
	expiresAt string
	extra     []string
	body      client.PushBody
}

// read completes the body with the end of the value, what comes with it, and the value.
func (p *pushFlags) read(t *terminal) (err error) {
	switch {
	case (p.expiresIn == 0) == (p.expiresAt == ""):
		return usagef("say how long the value lives with --expires-in, or until when with --expires-at")
	case p.expiresIn != 0 && p.expiresIn < time.Second:
		return usagef("--expires-in %s: a value lives for a second at least", p.expiresIn)
	case p.expiresAt != "":
		if p.body.ExpiresAt, err = time.Parse(time.RFC3339, p.expiresAt); err != nil {
			return usagef("--expires-at %.40q: write a time like 2030-01-31T12:00:00Z", p.expiresAt)
		}
	}
	p.body.ExpiresIn = int64(p.expiresIn / time.Second)
	for _, extra := range p.extra {
		name, text, found := strings.Cut(extra, "=")
		if !found || name == "" {
			return usagef("--extra: write NAME=TEXT, e.g. instance_url=https://eu1.example.com")
		}
		if p.body.Extra == nil {
			p.body.Extra = map[string]string{}
		}
		p.body.Extra[name] = text
	}
	p.body.Value, err = readValue(t, p.file)
	return err
}

// maxValue bounds what is read of a value, in bytes; no node takes more.
const maxValue = 64 << 10

// readValue reads a value from a file, or from standard input unless a person
// sits there, whose screen would show it.
func readValue(t *terminal, file string) (string, error) {
	in := t.in
	if file != "" {
		opened, err := os.Open(file) //nolint:gosec // naming files is what the flag is for
		if err != nil {
			return "", usagef("the file %s cannot be read: %s", file, fileProblem(err))
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	if screen, ok := in.(*os.File); ok && term.IsTerminal(int(screen.Fd())) {
		return "", usagef("give the value on standard input or with --file, e.g. freshet push APP/TOKEN --expires-in 2h < value.txt")
	}
	text, err := io.ReadAll(io.LimitReader(in, maxValue+2))
	if err != nil {
		return "", usagef("the value cannot be read: %s", fileProblem(err))
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case value == "":
		return "", usagef("the value is empty: give it on standard input or with --file")
	case len(value) > maxValue:
		return "", usagef("the value is longer than %d bytes", maxValue)
	}
	return value, nil
}

// taken says what became of a push.
func taken(a client.PushAnswer, served bool) string {
	text := fmt.Sprintf("%s version %d, until %s", a.Name(), a.Version, a.ExpiresAt.UTC().Format(time.RFC3339))
	switch {
	case served:
		return "served: " + text
	case a.Paused:
		return fmt.Sprintf("taken: %s; it is served once refreshing is resumed: freshet resume %s, or freshet resume where the cluster is paused", text, a.App)
	}
	return fmt.Sprintf("taken: %s; freshet get %s --after %d --wait 30s", text, a.Name(), a.After)
}
