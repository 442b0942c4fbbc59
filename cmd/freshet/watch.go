package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

// maxWatched bounds the names of one watch.
const maxWatched = 200

func newWatch(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [APP[/TOKEN] | PATTERN]...",
		Short: "print each new version of tokens as it arrives",
		Long: `Prints the version each token has and then every new one, and what becomes of
its state, until it is interrupted. Names may be patterns: "*" stays within a
segment, "**" crosses. Without names it watches all tokens this client may read.
Values are shown as fingerprints unless --values is given. When its node goes
away it goes on at the next one of FRESHET_ADDR.`,
		Example: `  freshet watch shop
  freshet watch shop/access_token "crm-*/access_token" -o json
  freshet watch shop --values`,
		Args: between(0, maxWatched),
	}
	output := addOutput(cmd, formatTable, formatJSON)
	w := &watcher{terminal: t, output: output, seen: map[string]bool{}}
	cmd.Flags().BoolVar(&w.values, "values", false, "show the values themselves")
	addVersion(cmd.Flags(), &w.after, "after", "begin with versions above this one")
	return onCluster(t, cmd, func(ctx context.Context, c *cluster, args []string) (err error) {
		if w.names, err = watchedNames(args); err != nil {
			return err
		}
		return w.watch(ctx, c)
	})
}

// watchedNames completes and checks names; patterns stay as they are.
func watchedNames(args []string) ([]string, error) {
	names := make([]string, 0, len(args))
	for _, arg := range args {
		name := arg
		if !isPattern(arg) {
			var err error
			if name, err = tokenNamed(arg); err != nil {
				return nil, err
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func isPattern(name string) bool { return strings.ContainsAny(name, `*?[\`) }

// watcher prints what a stream tells.
type watcher struct {
	*terminal
	output *output
	names  []string
	values bool
	after  int64
	seen   map[string]bool // :: token name → it was told; nil once the stream is synced
}

// watch follows until ctx ends or the stream cannot be had any more.
func (w *watcher) watch(ctx context.Context, c *cluster) error {
	var last error
	for event, err := range c.Stream(ctx, w.names...) {
		if last = c.explain(err); last != nil {
			w.say("freshet: %s", last)
			continue
		}
		if err := w.show(event); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return toldAlready(last) // it ended by itself: asking again cannot help
}

// toldAlready marks an error that was printed when it happened.
func toldAlready(err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: exitCode(err), err: err, told: true}
}

// show prints one event.
func (w *watcher) show(event client.Event) error {
	if event.Kind == client.EventSynced {
		w.sayMissing()
		return nil
	}
	if w.seen != nil {
		w.seen[event.Name] = true
	}
	line := w.line(event)
	if line.Event == client.EventToken && line.Version <= w.after {
		return nil
	}
	if w.output.isJSON() {
		return errors.Join(w.jsonLine(line), w.written())
	}
	w.print("%s", w.row(line))
	return w.written()
}

// sayMissing says once which of the names there is nothing of: they may be misspelt.
func (w *watcher) sayMissing() {
	for _, name := range w.names {
		if w.seen != nil && !w.seen[name] && !isPattern(name) {
			w.say("note: there is no token %s yet", name)
		}
	}
	w.seen = nil
}

// watchLine is one line of watch -o json.
type watchLine struct {
	Event       string    `json:"event"` // token, state or deleted
	Name        string    `json:"name"`
	Version     int64     `json:"version,omitempty"`
	State       string    `json:"state,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	Value       string    `json:"value,omitempty"`
}

func (w *watcher) line(event client.Event) watchLine {
	line := watchLine{Event: event.Kind, Name: event.Name}
	switch event.Kind {
	case client.EventToken:
		token := event.Token
		line.Version, line.State, line.Fingerprint, line.ExpiresAt = token.Version, token.State, token.Fingerprint, token.ExpiresAt
		if w.values {
			line.Value = token.Value
		}
	case client.EventState:
		state := event.State
		line.Version, line.State, line.Reason = state.Version, state.State, state.Reason
		line.Fingerprint, line.ExpiresAt = state.Fingerprint, state.ExpiresAt
	}
	return line
}

// row is a line for people.
func (w *watcher) row(line watchLine) string {
	at := time.Now().Format(time.TimeOnly)
	switch line.Event {
	case client.EventToken:
		return strings.TrimSpace(fmt.Sprintf("%s  %s  version %d  %s  %s  expires %s  %s",
			at, line.Name, line.Version, w.state(line.State), line.Fingerprint, when(line.ExpiresAt), line.Value))
	case client.EventState:
		return strings.TrimSpace(fmt.Sprintf("%s  %s  version %d  %s  %s", at, line.Name, line.Version, w.state(line.State), line.Reason))
	}
	return fmt.Sprintf("%s  %s  deleted", at, line.Name)
}
