package coordinator_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"freshet/coordinator"
)

// keyless is a store that leaves out what is sealed until the seal key comes, and
// then lists again.
type keyless struct {
	coordinator.Store
	come chan struct{}
}

// Watch lists and follows, without the seal key and then with it.
func (k keyless) Watch(ctx context.Context) iter.Seq2[coordinator.Batch, error] {
	return func(yield func(coordinator.Batch, error) bool) {
		without, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-k.come:
			case <-without.Done():
			}
			cancel()
		}()
		for batch, err := range k.Store.Watch(without) {
			if err != nil {
				break
			}
			all := len(batch.Events)
			batch.Events = slices.DeleteFunc(slices.Clone(batch.Events), sealed)
			batch.LeftOut = batch.Snapshot && len(batch.Events) < all
			if !yield(batch, nil) {
				return
			}
		}
		for batch, err := range k.Store.Watch(ctx) {
			if !yield(batch, err) {
				return
			}
		}
	}
}

func sealed(e coordinator.Event) bool {
	switch e.Record.(type) {
	case coordinator.Credentials, coordinator.Grant, coordinator.Token, coordinator.Salvage, coordinator.FingerprintKey:
		return !e.Deleted
	}
	return false
}

// without gives a node no seal key before come is closed.
func without(come chan struct{}) func(*coordinator.Config) {
	return func(c *coordinator.Config) { c.Store, c.Follower = keyless{c.Store, come}, true }
}

// A process that comes back with the only copy of a refresh token on its disk,
// and without the key of what is in the store, keeps it until it can be judged.
func TestResultIsKeptUntilItsAppCanBeRead(t *testing.T) {
	f := newFamily(coordinator.RotationStrict)
	granted(t, f, func(c *cluster) {
		leader, others := c.dieBeforePublishing()
		disk, come := leader.spool.Restart(), make(chan struct{})
		time.Sleep(time.Minute)
		c.joinWith(leader.Name()+"b", disk, without(come))
		time.Sleep(time.Minute)
		if kept := disk.InUse(); len(kept) != 1 {
			c.Fatalf("%d results on the disk before the key has come", len(kept))
		}
		close(come)
		time.Sleep(time.Minute)
		c.value(others[0], crmToken, 0)
		c.settled(f)
	})
}

// A node that began from its snapshot and then lists without the seal key goes on
// serving what it has.
func TestListWithoutTheKeyTakesNothingAway(t *testing.T) {
	bubble(t, 1, func(c *cluster) {
		disk, come := &shelf{}, make(chan struct{})
		former := c.join("reader", disk.with)
		c.apply(c.nodes[0], shop("plain"))
		want := c.value(former, accessToken, 0)
		time.Sleep(10 * time.Second)
		former.stop()
		<-former.done
		reader := c.join("reader", disk.with, away, without(come))
		time.Sleep(5 * time.Second)
		reader.store.Heal()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		got := c.value(reader, accessToken, 0)
		if !got.Token.Value.Equal(want.Token.Value) || got.Fingerprint != want.Fingerprint {
			c.Errorf("version %d, fingerprint %s, want %s", got.Version(), got.Fingerprint, want.Fingerprint)
		}
		close(come)
		time.Sleep(5 * time.Second)
		if got := c.value(reader, accessToken, 0); got.Fingerprint != want.Fingerprint || !reader.Health().Ready() {
			c.Errorf("fingerprint %s with the key, want %s", got.Fingerprint, want.Fingerprint)
		}
	})
}
