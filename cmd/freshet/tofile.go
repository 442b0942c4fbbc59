package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"freshet/httpapi/client"
)

// tokenFile is a file that holds a token, and who is told when it has changed.
type tokenFile struct {
	terminal *terminal
	output   *output
	path     string
	follow   bool
	listener changeListener
}

// addFile gives a verb the flags of a file.
func addFile(cmd *cobra.Command, t *terminal) *tokenFile {
	f := &tokenFile{terminal: t}
	flags := cmd.Flags()
	flags.StringVar(&f.path, "to", "", "file to write it to")
	flags.BoolVar(&f.follow, "follow", false, "keep the file up to date")
	flags.StringVar(&f.listener.signal, "signal", "", "NAME:PID or NAME:FILE with the pid, to signal when the file has changed")
	flags.StringVar(&f.listener.command, "on-change", "", "program and arguments to run when the file has changed")
	return f
}

// check refuses flags that make no sense together, before anything is asked.
func (f *tokenFile) check(cmd *cobra.Command, output *output, opts client.TokenOptions) error {
	f.output = output
	if f.path == "" {
		if f.follow || f.listener.wanted() {
			return usagef("--follow, --signal and --on-change are about a file: name it with --to, or use freshet watch")
		}
		return nil
	}
	if !cmd.Flags().Changed("output") {
		output.format = formatValue
	}
	there, err := os.Stat(f.path)
	switch {
	case err == nil && !there.Mode().IsRegular(): // it would be replaced, a device too
		return usagef("--to %s: that is no file; name one, or leave --to out to print the value", f.path)
	case output.format == formatTable:
		return usagef("-o table is for people: with --to use value or json")
	case f.follow && (opts.MinTTL > 0 || opts.Wait > 0):
		return usagef("--follow writes every version and waits for ever: leave out --min-ttl and --wait")
	}
	return f.listener.check()
}

// keepFile writes every version of a token to the file, until ctx ends or the
// token cannot be read any more.
func (c *cluster) keepFile(ctx context.Context, name string, after int64, f *tokenFile) error {
	var last error
	for token, err := range c.Watch(ctx, name, after) {
		if last = c.explain(err); last != nil {
			f.terminal.say("freshet: %s", last)
			continue
		}
		if err := f.update(ctx, token); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return toldAlready(last) // it ended by itself: asking again cannot help
}

// update writes a value unless the file holds it already, and tells of it.
func (f *tokenFile) update(ctx context.Context, token client.Token) error {
	text, err := f.text(token)
	if err != nil {
		return err
	}
	if held, err := os.ReadFile(f.path); err == nil && bytes.Equal(held, text) {
		return os.Chmod(f.path, 0o600)
	}
	if err := replaceFile(f.path, text); err != nil {
		return usagef("the file %s cannot be written: %s", f.path, writeProblem(err))
	}
	f.terminal.say("%s: version %d is in %s", token.Name(), token.Version, f.path)
	f.listener.tell(ctx, f.terminal)
	return nil
}

// fileToken is a token as a file has it: what does not differ from read to read,
// so that the same version is the same text.
type fileToken struct {
	App         string            `json:"app"`
	Token       string            `json:"token"`
	Value       string            `json:"value"`
	TokenType   string            `json:"token_type,omitempty"`
	Scope       string            `json:"scope,omitempty"`
	IssuedAt    time.Time         `json:"issued_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	Version     int64             `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Extra       map[string]string `json:"extra,omitempty"`
}

// text is what the file holds.
func (f *tokenFile) text(t client.Token) ([]byte, error) {
	if !f.output.isJSON() {
		return []byte(t.Value), nil
	}
	text, err := json.MarshalIndent(fileToken{
		App: t.App, Token: t.Token, Value: t.Value, TokenType: t.TokenType, Scope: t.Scope,
		IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt, Version: t.Version, Fingerprint: t.Fingerprint, Extra: t.Extra,
	}, "", "  ")
	return append(text, '\n'), err
}

// writeProblem says why a file cannot be written.
func writeProblem(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "there is no such folder"
	case errors.Is(err, os.ErrPermission):
		return "this user may not write there"
	}
	return fileProblem(err)
}

// replaceFile puts a file that only this user may read in the place of another
// one in one step: whoever opens it sees the old text or the new one.
func replaceFile(path string, text []byte) (err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return &os.PathError{Op: "writing", Path: path, Err: syscall.EISDIR}
	}
	draft, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(draft.Name()))
		}
	}()
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err = os.Rename(draft.Name(), path); err != nil {
		return err
	}
	_ = syncFolder(filepath.Dir(path)) // the file is there; one that a crash takes back is written again
	return nil
}

// syncFolder makes a new name last where folders can be synced.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path) //nolint:gosec // the person named it
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
