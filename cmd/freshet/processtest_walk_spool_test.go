//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator/provider/sandbox"
)

// smallSpools gives each node's spool a small disk of its own. Only root may; false:
// the spools are where the rest is, and are not filled.
func (r *rig) smallSpools(t *testing.T, nodes int) bool {
	t.Helper()
	for i := range nodes {
		spool := r.spoolOf(nodeName(i))
		err := os.MkdirAll(spool, 0o700)
		if err == nil {
			err = smallDisk(t, spool)
		}
		if err != nil {
			t.Logf("no spool disk is filled in this walk: %v", err)
			return false
		}
	}
	return true
}

// ballast is the file that fills a spool's disk.
func (r *rig) ballast(n *node) string { return filepath.Join(r.spoolOf(n.name), "ballast") }

// stuff fills the disks of all spools, also what was freed since it last did.
func (w *walk) stuff(t *testing.T) {
	t.Helper()
	for _, n := range w.nodes {
		f, err := os.OpenFile(w.ballast(n), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		for block := make([]byte, 4<<10); err == nil; {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("filling the disk of %s: %v", n.name, err)
		}
		_ = f.Close() // what was written counts
	}
}

// fillSpools leaves no room for a refresh token on any node's disk. Once the states
// say so no rotating one is spent, whoever asks, and values are served on; with room
// again each app is refreshed again.
func (w *walk) fillSpools(t *testing.T, rng *rand.Rand, kind string) {
	lift := w.during(kind)
	spent := map[string]int{}
	for _, a := range w.rotating() {
		w.ask(t.Context(), pick(rng, w.posts), a)
		eventually(t, time.Minute, func() error {
			w.stuff(t)
			if err := w.stands(t.Context(), a); err != nil {
				return err
			}
			w.caughtUp(t) // an attempt may have begun that the ledger has not heard of
			return w.stands(t.Context(), a)
		})
		spent[a.name.App] = w.calls.Begun(a.name.App)
	}
	for end := time.Now().Add(moment(rng, time.Second, 4*time.Second)); time.Now().Before(end); {
		w.ask(t.Context(), pick(rng, w.posts), pick(rng, w.rotating()))
		w.stuff(t)
		pause(t.Context(), 100*time.Millisecond)
	}
	for _, a := range w.rotating() {
		if now := w.calls.Begun(a.name.App); now != spent[a.name.App] {
			t.Errorf("%s: %d refresh tokens of %s were spent without room for the next one", kind, now-spent[a.name.App], a.name.App)
		}
	}
	for _, n := range w.nodes {
		if err := os.Remove(w.ballast(n)); err != nil {
			t.Error(err)
		}
	}
	for _, a := range w.rotating() {
		eventually(t, time.Minute, func() error { return w.moves(t.Context(), a) })
	}
	lift(0)
	w.agree(t, kind)
}

// rotating are the apps whose refresh token the platform replaces.
func (w *walk) rotating() []walkApp {
	var rotating []walkApp
	for _, a := range w.apps {
		if a.oauth != nil && a.oauth.Rotation != sandbox.RotateNone {
			rotating = append(rotating, a)
		}
	}
	return rotating
}

// noRoom is the reason in the state of a token whose refresher's disk is full, and
// noUpstream in that of one whose platform is left alone for a while.
const (
	noRoom     = "spool_unwritable"
	noUpstream = "upstream_down"
)

// stands says why an app may still spend its refresh token: it does not where no
// attempt has begun before the disk was full, and its state says that it is, that
// the platform is away, or that only a human can help.
func (w *walk) stands(ctx context.Context, a walkApp) error {
	for _, attempt := range w.ledger.Open() {
		if attempt.App == a.name.App {
			return fmt.Errorf("an attempt of %s is under way", a.name)
		}
	}
	for _, p := range w.posts {
		state, err := p.living.Load().State(ctx, a.name.String())
		switch {
		case err != nil:
			return err
		case state.Reason == noRoom, state.Reason == noUpstream, state.State == "reauthorize", state.State == "uncertain":
		default:
			return fmt.Errorf("%s is %s (%s), and the disk is full", a.name, state.State, state.Reason)
		}
	}
	return nil
}

// moves says which node still thinks that the disk is full.
func (w *walk) moves(ctx context.Context, a walkApp) error {
	for _, p := range w.posts {
		state, err := p.living.Load().State(ctx, a.name.String())
		switch {
		case err != nil:
			return err
		case state.Reason == noRoom:
			return fmt.Errorf("%s is %s (%s), and the disk has room", a.name, state.State, state.Reason)
		}
	}
	return nil
}
