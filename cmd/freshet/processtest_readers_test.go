//go:build unix

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/httpapi/client"
)

// readers read one token over and over, and note what must never happen.
type readers struct {
	reads atomic.Int64
	stop  func() // and wait
}

// startReaders lets so many clients read shop's access_token from the nodes. A read
// that fails, an expired or dead value, or a version that goes back fails the test.
func (r *rig) startReaders(t *testing.T, many int, nodes []*node) *readers {
	t.Helper()
	all := &readers{}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	for i := range many {
		one := reader{rig: r, node: nodes[i%len(nodes)]}
		one.client = one.node.as(t, bootstrapKey)
		reading.Go(func() { one.loop(ctx, t, &all.reads) })
	}
	all.stop = func() {
		cancel()
		reading.Wait()
	}
	t.Cleanup(all.stop)
	return all
}

// reader is one of them.
type reader struct {
	rig    *rig
	node   *node
	client *client.Client
	newest int64 // version it was given
}

func (r *reader) loop(ctx context.Context, t *testing.T, reads *atomic.Int64) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := r.client.Token(ctx, shopToken, client.TokenOptions{})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = r.wrong(got)
		}
		if err != nil {
			t.Errorf("reading from %s: %v", r.node.name, err)
			return
		}
		reads.Add(1)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

var (
	errExpired = errors.New("the value has expired")
	errDead    = errors.New("the platform does not accept the value any more")
	errBack    = errors.New("the version went back")
)

// wrong says what is wrong with a value that was just served.
func (r *reader) wrong(got client.Token) error {
	back := got.Version < r.newest
	r.newest = max(r.newest, got.Version)
	switch {
	case !time.Now().Before(got.ExpiresAt):
		return errExpired
	case !r.rig.box.Alive(got.Value):
		return errDead
	case back:
		return errBack
	}
	return nil
}
