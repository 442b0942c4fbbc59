//go:build unix

package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"freshet/faulttest"
	"freshet/store"
)

var errSilent = errors.New("nothing is heard from etcd")

// watch writes down all that the cluster keeps in etcd until the test ends. It
// listens to every member by itself, so that no stopped one holds it up.
func (r *rig) watch(t *testing.T) *faulttest.Ledger {
	t.Helper()
	ledger := faulttest.NewLedger()
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	for _, endpoint := range r.etcd.endpoints() {
		s, err := store.New(store.Config{Endpoints: []string{endpoint}, Seal: r.seal})
		if err != nil {
			t.Fatal(err)
		}
		source := ledger.Source()
		following.Go(func() {
			for batch, err := range s.Watch(ctx) {
				if err == nil {
					source.Keep(batch)
				}
			}
			_ = s.Close()
		})
	}
	t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	eventually(t, 10*time.Second, func() error {
		if ledger.Revision() == 0 {
			return errSilent
		}
		return nil
	})
	return ledger
}
