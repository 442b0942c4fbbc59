package store

import (
	"context"
	"testing"
	"testing/synctest"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// heldWatcher is a library whose channels are never closed.
type heldWatcher struct {
	clientv3.Watcher

	told chan clientv3.WatchResponse
}

func (w heldWatcher) Watch(context.Context, string, ...clientv3.OpOption) clientv3.WatchChan {
	return w.told
}

// TestAWatchEndsWithItsContext has a library that does not end it, as the real
// one may when all of etcd is gone.
func TestAWatchEndsWithItsContext(t *testing.T) {
	for _, pending := range []int{0, 1} { // responses that nobody took
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			held := heldWatcher{told: make(chan clientv3.WatchResponse, 2)}
			d := newDialer(func() (*clientv3.Client, error) {
				c := clientv3.NewCtxClient(t.Context())
				c.Watcher = held
				return c, nil
			})
			client, err := d.get(ctx)
			if err != nil {
				t.Fatal(err)
			}
			responses := client.Watch(ctx, "/")
			held.told <- clientv3.WatchResponse{CompactRevision: 7}
			if resp := <-responses; resp.CompactRevision != 7 {
				t.Errorf("the response became %v", resp)
			}
			for range pending {
				held.told <- clientv3.WatchResponse{}
			}
			synctest.Wait()
			cancel()
			synctest.Wait()
			select {
			case _, ok := <-responses:
				if ok {
					t.Error("a response came after the end")
				}
			default:
				t.Error("the watch goes on")
			}
		})
	}
}
