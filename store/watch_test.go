package store

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// follow runs a watch whose batches are told on the channel.
func follow(t *testing.T, s *Store) <-chan coordinator.Batch {
	ch := make(chan coordinator.Batch, 1000)
	run(t, func(ctx context.Context) {
		for b, err := range s.Watch(ctx) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the watch ended: %v", err)
				}
				return
			}
			ch <- b
		}
	})
	return ch
}

// notes reads the notes of clients from a watch, in order, until last comes.
func notes(t *testing.T, ch <-chan coordinator.Batch, last string) (all []string, snapshots int) {
	t.Helper()
	for {
		b := await(t, "client "+last, ch)
		if b.Snapshot {
			snapshots++
		}
		for _, e := range b.Events {
			c, ok := e.Record.(coordinator.Client)
			if !ok {
				continue
			}
			if all = append(all, c.Note); c.Note == last {
				return all, snapshots
			}
		}
	}
}

// note writes a client's note behind everybody's back and returns its revision.
func note(t *testing.T, s *Store, c *clientv3.Client, text string) int64 {
	t.Helper()
	r := coordinator.Client{Name: "c", Note: text}
	resp, err := c.Put(soon(t), s.keys.of(r), string(encodeRecord(r)))
	must(t, err)
	return resp.Header.Revision
}

func TestWatchMissesNothingOverABrokenConnection(t *testing.T) {
	p, c := newProxy(t), raw(t)
	s := open(t, over(p.endpoint()))
	changes := follow(t, s)
	await(t, "the snapshot", changes)
	note(t, s, c, "1")
	notes(t, changes, "1")
	p.sever(true)
	note(t, s, c, "2")
	note(t, s, c, "3")
	p.sever(false)
	got, snapshots := notes(t, changes, "3")
	if !slices.Equal(got, []string{"2", "3"}) || snapshots != 0 {
		t.Errorf("got %v and %d snapshots, want 2 and 3 as they happened", got, snapshots)
	}
}

func TestWatchMissesNothingWhileBytesAreHeld(t *testing.T) {
	p, c := newProxy(t), raw(t)
	s := open(t, over(p.endpoint()))
	s.silence = 300 * time.Millisecond
	changes := follow(t, s)
	await(t, "the snapshot", changes)
	note(t, s, c, "1")
	notes(t, changes, "1")
	p.hold()
	for _, text := range []string{"2", "3", "4"} {
		note(t, s, c, text)
	}
	time.AfterFunc(time.Second, p.release)
	if got, _ := notes(t, changes, "4"); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("got %v, want 2, 3 and 4, each once", got)
	}
}

func TestLostHistoryIsASnapshotAgain(t *testing.T) {
	p, c := newProxy(t), raw(t)
	s := open(t, over(p.endpoint()))
	changes := follow(t, s)
	await(t, "the snapshot", changes)
	note(t, s, c, "1")
	notes(t, changes, "1")
	p.sever(true)
	note(t, s, c, "2")
	revision := note(t, s, c, "3")
	_, err := c.Compact(soon(t), revision)
	must(t, err)
	p.sever(false)
	got, snapshots := notes(t, changes, "3")
	if !slices.Equal(got, []string{"3"}) || snapshots != 1 {
		t.Errorf("got %v and %d snapshots, want what there is now, in one", got, snapshots)
	}
	note(t, s, c, "4")
	notes(t, changes, "4")
}

// compacting is a client before whose second page all history is compacted.
type compacting struct {
	clientv3.KV
	done bool
}

func (kv *compacting) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if clientv3.OpGet(key, opts...).Rev() != 0 && !kv.done {
		kv.done = true
		resp, err := kv.Put(ctx, "/elsewhere", "x")
		if err != nil {
			return nil, err
		}
		if _, err := kv.Compact(ctx, resp.Header.Revision); err != nil {
			return nil, err
		}
	}
	return kv.KV.Get(ctx, key, opts...)
}

func TestAListThatIsOvertakenByCompactionBeginsAgain(t *testing.T) {
	var spoiled *compacting
	s := open(t, spoilt(func(c *clientv3.Client) {
		spoiled = &compacting{KV: c.KV}
		c.KV = spoiled
	}))
	s.pageSize = 1
	for _, name := range []string{"a", "b", "c"} {
		must(t, s.PutClient(soon(t), coordinator.Client{Name: name}, nil))
	}
	batch, _, err := s.list(soon(t))
	if err != nil || len(batch.Events) != 3 {
		t.Errorf("got %d records, %v; want 3", len(batch.Events), err)
	}
	if !spoiled.done {
		t.Error("nothing was compacted: this test shows nothing")
	}
}

// A cluster that was restored from a backup never reaches the revision we wait
// for, or reaches it with another history.
func TestARevisionThatWentBackIsLostHistory(t *testing.T) {
	s := open(t)
	must(t, s.PutPaused(soon(t), nil, nil))
	lives := 0
	f := follower{store: s, yield: func(coordinator.Batch, error) bool {
		lives++
		return true
	}}
	f.last = note(t, s, raw(t), "1")
	if err := f.created(soon(t), f.last-1); err != nil || lives != 1 {
		t.Errorf("of a server that is only behind: got error %v, %d signs of life; want none, 1", err, lives)
	}
	f.last += 1000
	if err := f.created(soon(t), f.last-1); !errors.Is(err, errHistoryLost) {
		t.Errorf("of a cluster that went back: got error %v, want %v", err, errHistoryLost)
	}
}

// deaf is a watcher whose first watches never tell of anything, as on a stream
// that a server forgot.
type deaf struct {
	clientv3.Watcher
	left atomic.Int32
}

func (d *deaf) Close() error {
	if d.Watcher == nil {
		return nil
	}
	return d.Watcher.Close()
}

func (d *deaf) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	if d.left.Add(-1) < 0 {
		return d.Watcher.Watch(ctx, key, opts...)
	}
	ch := make(chan clientv3.WatchResponse)
	context.AfterFunc(ctx, func() { close(ch) })
	return ch
}

func TestASilentWatchIsReplaced(t *testing.T) {
	var d deaf
	d.left.Store(2)
	s := open(t, spoilt(func(c *clientv3.Client) {
		if d.Watcher == nil {
			d.Watcher, c.Watcher = c.Watcher, &d
		}
	}))
	s.silence = 200 * time.Millisecond
	must(t, second(s.watch.get(soon(t)))) // the deaf one
	changes := follow(t, s)
	await(t, "the snapshot", changes)
	note(t, s, raw(t), "1")
	notes(t, changes, "1")
	if left := d.left.Load(); left >= 0 {
		t.Errorf("%d deaf watches were not replaced", left+1)
	}
}

func TestARevisionIsOneBatchAndOneResponseCanHoldMany(t *testing.T) {
	s := open(t)
	var got []coordinator.Batch
	f := follower{store: s, yield: func(b coordinator.Batch, _ error) bool {
		got = append(got, b)
		return true
	}}
	var events []*clientv3.Event
	for revision, names := range [][]string{2: {"a", "b"}, 3: {"c"}} {
		for _, name := range names {
			r := coordinator.Client{Name: name}
			e := &clientv3.Event{Kv: kv(s.keys.of(r), encodeRecord(r), int64(revision))}
			events = append(events, e)
		}
	}
	events = append(events, &clientv3.Event{Kv: kv(s.keys.candidates()+"1", nil, 4)})
	must(t, f.changes(t.Context(), events))
	var shape [][2]int64
	for _, b := range got {
		shape = append(shape, [2]int64{b.Revision, int64(len(b.Events))})
	}
	if want := [][2]int64{{2, 2}, {3, 1}, {4, 0}}; !slices.Equal(shape, want) {
		t.Errorf("batches of (revision, events) %v, want %v", shape, want)
	}
}

func TestARecordThatCannotBeReadKeepsNothingElseBack(t *testing.T) {
	s, c := open(t), raw(t)
	must(t, second(c.Put(soon(t), s.keys.client("newer"), "\xff\x00")))
	note(t, s, c, "good")
	changes := follow(t, s)
	if got, _ := notes(t, changes, "good"); len(got) != 1 {
		t.Errorf("got %v, want the one that can be read", got)
	}
}

func TestAWatchThatIsUnableForEverEndsWithTheReason(t *testing.T) {
	s := open(t)
	must(t, second(raw(t).Put(soon(t), s.keys.schema(), string(encode(schema{Format: formatNewest + 1}, schemaFields)))))
	for _, err := range s.Watch(soon(t)) {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("the watch yielded error %v, want %v", err, ErrUnsupported)
		}
	}
	if err := s.Lead(soon(t), "n", nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Lead returned %v, want %v", err, ErrUnsupported)
	}
}

func kv(key string, value []byte, revision int64) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{Key: []byte(key), Value: value, ModRevision: revision}
}

func TestNodesThatLostHistoryTogetherListOneAfterTheOther(t *testing.T) {
	const nodes, listing = 100, time.Second // of a million records
	var begins []time.Duration
	for range nodes {
		f := follower{size: 1_000_000}
		begins = append(begins, f.untilRelist())
	}
	slices.Sort(begins)
	most := 0
	for i, began := range begins {
		under, _ := slices.BinarySearch(begins, began+listing)
		most = max(most, under-i)
	}
	if last := begins[nodes-1]; most > nodes/5 || last > relistAtMost {
		t.Errorf("up to %d of %d nodes list at once, the last begins after %s", most, nodes, last)
	}
	for range nodes {
		if wait := (&follower{}).untilRelist(); wait > relistWithin {
			t.Fatalf("a node that has nothing waits %s", wait)
		}
	}
}

// What cannot be read is not gone: a node goes on with what it knows of it.
func TestAListSaysThatARecordCouldNotBeRead(t *testing.T) {
	s, c := open(t), raw(t)
	note(t, s, c, "good")
	must(t, second(c.Put(soon(t), s.keys.of(coordinator.Client{Name: "broken"}), "no record")))
	batch := await(t, "the snapshot", follow(t, s))
	if !batch.LeftOut || len(batch.Events) != 1 {
		t.Errorf("left out %t, events %+v", batch.LeftOut, batch.Events)
	}
	must(t, second(c.Delete(soon(t), s.keys.of(coordinator.Client{Name: "broken"}))))
	if batch := await(t, "the snapshot", follow(t, s)); batch.LeftOut {
		t.Error("left out, though all can be read")
	}
}
