package store

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// endingWatcher ends a watch with its context. The library promises that and
// cannot always keep it: one goroutine of it closes the channels of all watches,
// and that one stands still in a send while gRPC waits for a server to move the
// stream to. With all of etcd gone that is for ever, and with it whoever waits
// for the channel: a follower, a guard, a campaign.
type endingWatcher struct{ clientv3.Watcher }

// Watch is the library's, with a channel that is closed when ctx ends.
func (w endingWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	responses := make(chan clientv3.WatchResponse)
	told := w.Watcher.Watch(ctx, key, opts...)
	go func() {
		defer close(responses)
		for {
			select {
			case resp, ok := <-told:
				if !ok || !pass(ctx, responses, resp) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return responses
}

// pass hands a response on; false if ctx ended first.
func pass(ctx context.Context, to chan<- clientv3.WatchResponse, resp clientv3.WatchResponse) bool {
	select {
	case to <- resp:
		return true
	case <-ctx.Done():
		return false
	}
}
