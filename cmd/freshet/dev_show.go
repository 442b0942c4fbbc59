package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/sandbox"
)

// openSandbox opens the platform's port and makes the platform.
func (d dev) openSandbox(ctx context.Context, secret string) (net.Listener, *sandbox.Sandbox, error) {
	box, err := sandbox.New(sandbox.Config{TimeScale: d.scale, AnyApp: true, Apps: []sandbox.App{{AppID: devAppID, Secret: secret}}})
	if err != nil {
		return nil, nil, usagef("%w", err)
	}
	listener, err := listen(ctx, "the sandbox", d.freeOr(ctx, "the sandbox", d.box, defaultSandbox))
	return listener, box, err
}

// freeOr keeps an address, or takes any free port where the usual one is taken.
func (d dev) freeOr(ctx context.Context, what, address, usual string) string {
	if address != usual {
		return address
	}
	listener, err := listen(ctx, what, address)
	if err != nil {
		d.say("note: %s is taken, so %s takes a free port", usual, what)
		return "127.0.0.1:0"
	}
	_ = listener.Close() // it was opened to see whether it can be
	return address
}

// firstTokenWithin is how long dev waits for its first token.
const firstTokenWithin = 30 * time.Second

// show tells of each step until the first token is there, and then what to try.
func (d dev) show(ctx context.Context, m machine, sandboxURL string) error {
	api := "http://" + m.listeners.api.Addr().String()
	d.say("node       %s, health on http://%s/readyz", api, m.listeners.ops.Addr())
	view, err := d.firstToken(ctx, m.node)
	if err != nil || view == nil {
		return err
	}
	d.say("token      %s version %d, fingerprint %s, expires %s", view.Name, view.Version(), view.Fingerprint, when(view.Token.Expires))
	d.say("")
	d.print("%s", d.whatToTry(api, m.config.Auth.BootstrapKey, sandboxURL))
	return d.writeEnv(api, m.config.Auth.BootstrapKey)
}

// writeEnv writes what other terminals need, for this user only, and whole or not at all.
func (d dev) writeEnv(api string, key coordinator.Secret) error {
	if d.envFile == "" {
		return nil
	}
	text := fmt.Sprintf("FRESHET_ADDR=%s\nFRESHET_KEY=%s\n", api, key.Reveal())
	if err := os.WriteFile(d.envFile+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing --env-file: %w", err)
	}
	return os.Rename(d.envFile+".new", d.envFile)
}

// firstToken waits until the demo app has a value; nil where ctx ended before.
func (d dev) firstToken(ctx context.Context, node *coordinator.Node) (*coordinator.View, error) {
	name := coordinator.Name{App: devApp, Token: coordinator.DefaultToken}
	deadline := time.Now().Add(firstTokenWithin)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		view, known := node.View(name)
		if known && view.Token != nil {
			return view, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no token within %s; run it again with --verbose to see why", firstTokenWithin)
		}
		select {
		case <-ctx.Done():
			return nil, nil //nolint:nilnil // somebody stopped it before there was anything to show
		case <-ticker.C:
		}
	}
}

// whatToTry prints the key on purpose: it is random, and dies with this process.
func (d dev) whatToTry(api string, key coordinator.Secret, sandboxURL string) string {
	line := "stable"
	if d.mode == "plain" {
		line = "plain"
	}
	return strings.NewReplacer("{api}", api, "{key}", key.Reveal(),
		"{sandbox}", sandboxURL, "{appid}", devAppID, "{line}", line, "{freshet}", startedAs(os.Executable())).Replace(`Read it (this key is good for this run only):

  curl -H "Authorization: Bearer {key}" {api}/v1/tokens/demo

In another terminal:

  export FRESHET_ADDR={api} FRESHET_KEY={key}
  {freshet} get demo
  {freshet} status
  {freshet} watch      # every new version as it arrives, until Ctrl-C

Kill the token at the platform, and report that it was refused:

  curl -X POST {sandbox}/_kill -d '{"appid":"{appid}","line":"{line}"}'
  {freshet} report demo --code 40001
  {freshet} get demo --wait 40s

Replace a token that is good. After a report or another --force this waits until
30s have passed, since platforms allow it no more often:

  {freshet} refresh demo --force --wait 40s

What the platform saw, calls and faults: {sandbox}/_oracle, {sandbox}/

Stop with Ctrl-C.`)
}

// startedAs is how a person calls this program again: what `go run` built lies
// in a folder that is gone at the end, and is not on the path.
func startedAs(program string, err error) string {
	if err == nil && strings.Contains(filepath.ToSlash(program), "/go-build") {
		return "go run ./cmd/freshet"
	}
	return "freshet"
}
