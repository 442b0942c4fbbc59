//go:build unix

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"freshet/faulttest"
	"freshet/httpapi/client"
)

const (
	readersEach  = 2 // of each token on each node
	readEvery    = 100 * time.Millisecond
	requestEvery = 2 * time.Second // over all apps
	reportEvery  = 5 * time.Second
	// complainEvery is how often a reader reports a value that the platform refuses.
	complainEvery = 3 * time.Second
)

// load lets readers read every token from every node, and clients ask for newer
// versions and report what lives, until ctx ends.
func (w *walk) load(ctx context.Context, t *testing.T, rng *rand.Rand, length time.Duration) *sync.WaitGroup {
	t.Helper()
	var working sync.WaitGroup
	for _, p := range w.posts {
		for _, a := range w.apps {
			for i := range readersEach {
				one := walkReader{walk: w, post: p, judge: w.reads.Reader(i, p.name, a.name), name: a.name.String()}
				working.Go(func() { one.loop(ctx) })
			}
		}
	}
	for _, a := range w.apps {
		working.Go(func() { w.readAnywhere(ctx, a) })
	}
	working.Go(func() { w.clients(ctx, rng, max(requestEvery, length/1200)) })
	return &working
}

// walkReader reads one token from one node.
type walkReader struct {
	*walk
	post   *post
	judge  *faulttest.Reader
	name   string
	living *living // that the client is of
	client *client.Client

	reported time.Time // when it last complained of a dead value
}

func (r *walkReader) loop(ctx context.Context) {
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if now := r.post.living.Load(); now != r.living {
			r.living = now
			r.client, _ = client.New(client.Config{Addresses: []string{now.api}, Key: bootstrapKey}) // as the node's own
		}
		r.read(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (r *walkReader) read(ctx context.Context) {
	sent := time.Now()
	got, err := r.client.Token(ctx, r.name, client.TokenOptions{})
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		read := faulttest.Read{Sent: sent, Answered: time.Now(), Version: got.Version, Expires: got.ExpiresAt}
		read.Alive = r.box.Alive(got.Value)
		r.judge.Saw(r.living.label, read)
		if !read.Alive && time.Since(r.reported) > complainEvery {
			r.reported = time.Now()
			_, _ = r.client.Report(ctx, r.name, client.ReportBody{Version: got.Version, Code: "40001"})
		}
		return
	}
	problem, answered := errors.AsType[*client.Problem](err)
	r.judge.Failed(r.living.label, sent, err.Error(), answered && problem.Code == client.CodeNoValidToken)
}

// readAnywhere reads a token as a service does that knows all nodes.
func (w *walk) readAnywhere(ctx context.Context, a walkApp) {
	var c *client.Client
	var known []string
	for pause(ctx, readEvery) {
		var now []string
		for _, p := range w.posts {
			now = append(now, p.living.Load().api)
		}
		if !slices.Equal(now, known) {
			known = now
			c, _ = client.New(client.Config{Addresses: now, Key: bootstrapKey}) // as each node's own
		}
		why := ""
		_, err := c.Token(ctx, a.name.String(), client.TokenOptions{})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			why = err.Error()
		}
		problem, answered := errors.AsType[*client.Problem](err)
		w.reads.Wide(a.name, time.Now(), why, answered && problem.Code == client.CodeNoValidToken)
	}
}

// clients asks for newer versions, and now and then reports one that lives.
func (w *walk) clients(ctx context.Context, rng *rand.Rand, every time.Duration) {
	for reported := time.Now(); pause(ctx, every); {
		w.ask(ctx, pick(rng, w.posts), pick(rng, w.apps))
		if time.Since(reported) > reportEvery {
			reported = time.Now()
			w.report(ctx, pick(rng, w.posts), pick(rng, w.apps))
		}
	}
}

// clientLimit bounds what asks; whether it is answered is not looked at.
const clientLimit = 3 * time.Second

// ask asks a node for a newer version.
func (w *walk) ask(ctx context.Context, p *post, a walkApp) {
	ctx, cancel := context.WithTimeout(ctx, clientLimit)
	defer cancel()
	_, _ = p.living.Load().Refresh(ctx, a.name.String(), client.RefreshBody{})
}

// report tells a node that the platform refuses what it serves.
func (w *walk) report(ctx context.Context, p *post, a walkApp) {
	ctx, cancel := context.WithTimeout(ctx, clientLimit)
	defer cancel()
	n := p.living.Load()
	if held, err := n.Token(ctx, a.name.String(), client.TokenOptions{}); err == nil {
		_, _ = n.Report(ctx, a.name.String(), client.ReportBody{Version: held.Version, Code: "40001"})
	}
}
