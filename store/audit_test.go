package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// by is a record of who makes a change.
func by() *coordinator.Audit {
	return &coordinator.Audit{ID: "01JFRESHET0000000000000001", At: time.Now(), By: "api:orders"}
}

// recordedWrites are the writes whose record tells how often they were committed.
func recordedWrites() map[string]func(b *bench) (write func(context.Context) error, key string) {
	return map[string]func(b *bench) (func(context.Context) error, string){
		"PutAppRecorded": func(b *bench) (func(context.Context) error, string) {
			c := coordinator.AppChange{App: b.app(), Seen: b.seen(), Audit: by()}
			return func(ctx context.Context) error { return b.s.PutApp(ctx, c) }, b.s.keys.of(*c.Audit)
		},
		"DeleteAppRecorded": func(b *bench) (func(context.Context) error, string) {
			c := coordinator.AppChange{App: b.app(), Seen: b.seen(), Audit: by()}
			return func(ctx context.Context) error { return b.s.DeleteApp(ctx, c) }, b.s.keys.of(*c.Audit)
		},
		"PutClientRecorded": func(b *bench) (func(context.Context) error, string) {
			a := by()
			return func(ctx context.Context) error { return b.s.PutClient(ctx, coordinator.Client{Name: "orders"}, a) }, b.s.keys.of(*a)
		},
		"PauseRecorded": func(b *bench) (func(context.Context) error, string) {
			a := by()
			return func(ctx context.Context) error { return b.s.PutPaused(ctx, &coordinator.Paused{By: "me"}, a) }, b.s.keys.of(*a)
		},
		"ResumeRecorded": func(b *bench) (func(context.Context) error, string) {
			a := by()
			must(b.T, b.s.PutPaused(soon(b.T), &coordinator.Paused{By: "me"}, nil))
			return func(ctx context.Context) error { return b.s.PutPaused(ctx, nil, a) }, b.s.keys.of(*a)
		},
		"LiftBarsRecorded": func(b *bench) (func(context.Context) error, string) {
			a, bars := by(), []coordinator.Bar{{App: "shop", Egress: "n1"}, {App: "shop", Egress: "n2"}}
			return func(ctx context.Context) error { return b.s.LiftBars(ctx, bars, a) }, b.s.keys.of(*a)
		},
		"AppliedFileRecorded": func(b *bench) (func(context.Context) error, string) {
			a := by()
			return func(ctx context.Context) error {
				return b.s.PutAppliedFile(ctx, b.epoch, coordinator.AppliedFile{File: "apps.yaml"}, a)
			}, "" // written again under its epoch, which does no harm
		},
	}
}

// A change of ours is known by its record, whatever somebody else has made of
// what we changed by the time our answer would have come.
func TestOurRecordShowsThatOurChangeWasMade(t *testing.T) {
	b := newBench(t)
	c := coordinator.Client{Name: "orders", Note: "ours"}
	key := b.s.keys.of(c)
	must(t, b.s.PutClient(soon(t), c, nil))
	c.Revision = at(t, b.raw, key).Kvs[0].ModRevision
	b.faults.fail(lost, 1, nil)
	again := coordinator.Client{Name: c.Name, Note: "another of the name"}
	b.faults.meanwhile(func() {
		must(t, second(b.raw.Put(soon(t), key, string(encodeRecord(again)))))
	})
	if err := b.s.DeleteClient(soon(t), c, by()); err != nil {
		t.Errorf("a deletion that was made before somebody made the client anew: error %v", err)
	}
	if kvs := at(t, b.raw, key).Kvs; len(kvs) != 1 || !strings.Contains(string(kvs[0].Value), again.Note) {
		t.Errorf("the client that was made anew is gone")
	}
	if kvs := at(t, b.raw, b.s.keys.of(*by())).Kvs; len(kvs) != 1 {
		t.Errorf("%d records, want that of the deletion", len(kvs))
	}
}

// The same app that somebody else has made is not taken for ours: the record that
// an act goes on with would name it as well.
func TestTheSameAppOfSomebodyElseIsNotOurs(t *testing.T) {
	b := newBench(t)
	c := coordinator.AppChange{App: b.app(), Seen: b.seen(), Audit: by()}
	other := c
	other.Audit = &coordinator.Audit{ID: "01JFRESHET0000000000000002", At: time.Now(), By: c.Audit.By}
	b.faults.fail(dropped, 1, nil)
	b.faults.meanwhile(func() { must(t, b.s.PutApp(soon(t), other)) })
	if err := b.s.PutApp(soon(t), c); !errors.Is(err, coordinator.ErrConflict) {
		t.Errorf("error %v, want %v", err, coordinator.ErrConflict)
	}
	if kvs := at(t, b.raw, b.s.keys.of(*c.Audit)).Kvs; len(kvs) != 0 {
		t.Error("it is recorded as ours")
	}
}

// A pause that was made, and ended by somebody else, is not made again because
// its answer was lost.
func TestAPauseWhoseAnswerWasLostIsNotMadeAgain(t *testing.T) {
	b := newBench(t)
	b.faults.fail(lost, 1, nil)
	b.faults.meanwhile(func() { must(t, second(b.raw.Delete(soon(t), b.s.keys.paused()))) })
	must(t, b.s.PutPaused(soon(t), &coordinator.Paused{By: "me"}, by()))
	if kvs := at(t, b.raw, b.s.keys.paused()).Kvs; len(kvs) != 0 {
		t.Error("the cluster is paused again after somebody resumed it")
	}
}

func TestRecordsOfADayShareALeaseOfThirtyDays(t *testing.T) {
	b := newBench(t)
	day := time.Now().UTC().Truncate(24 * time.Hour)
	var leases []int64
	for n, since := range []time.Duration{time.Minute, 23 * time.Hour, 25 * time.Hour} {
		a := by()
		a.ID, a.At = fmt.Sprintf("01JFRESHET%016d", n), day.Add(since)
		must(t, b.s.PutClient(soon(t), coordinator.Client{Name: fmt.Sprintf("c%d", n)}, a))
		leases = append(leases, at(t, b.raw, b.s.keys.of(*a)).Kvs[0].Lease)
	}
	if leases[0] == 0 || leases[0] != leases[1] || leases[1] == leases[2] {
		t.Errorf("leases %x, want one for the two of a day and another for the next day", leases)
	}
	ttl, err := b.raw.TimeToLive(soon(t), clientv3.LeaseID(leases[0]))
	must(t, err)
	left, low := time.Duration(ttl.TTL)*time.Second, coordinator.AuditLife
	if left < low || left > low+25*time.Hour {
		t.Errorf("the lease lives %s, want 30 days and less than one more", left)
	}
	if lease := at(t, b.raw, b.s.keys.client("c0")).Kvs[0].Lease; lease != 0 {
		t.Errorf("the client itself has lease %x, and would be forgotten", lease)
	}
}

// gets counts what is read in ranges.
type gets struct {
	clientv3.KV
	keys *int
}

func (kv gets) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	resp, err := kv.KV.Get(ctx, key, opts...)
	if err == nil {
		*kv.keys += len(resp.Kvs)
	}
	return resp, err
}

func TestAListReadsNoRecordOfWhoChangedWhat(t *testing.T) {
	read := 0
	s := open(t, spoilt(func(c *clientv3.Client) { c.KV = gets{c.KV, &read} }))
	s.pageSize = 2
	for n := range 9 {
		a := by()
		a.ID = fmt.Sprintf("01JFRESHET%016d", n)
		must(t, s.PutClient(soon(t), coordinator.Client{Name: fmt.Sprintf("c%d", n)}, a))
	}
	putShop(t, s) // before and after them in the order of keys
	read = 0
	batch, _, err := s.list(soon(t))
	must(t, err)
	if batch.LeftOut {
		t.Error("the list says that it left out a record")
	}
	if extra := read - len(batch.Events); extra > 2 { // sys/schema and sys/apps hold no record of the domain
		t.Errorf("%d keys were read for %d records", read, len(batch.Events))
	}
	there := map[string]bool{}
	for _, e := range batch.Events {
		there[fmt.Sprintf("%T", e.Record)] = true
	}
	if !there["coordinator.App"] || !there["coordinator.Client"] || there["coordinator.Audit"] {
		t.Errorf("the list has %v", there)
	}
}

func TestARecordThatCannotBeReadHidesNoOther(t *testing.T) {
	b := newBench(t)
	must(t, b.s.PutClient(soon(t), coordinator.Client{Name: "c"}, by()))
	must(t, second(b.raw.Put(soon(t), b.s.keys.audit("01JFRESHET0000000000000002"), "nonsense")))
	page, err := b.s.Audit(soon(t), "", 1)
	if err != nil || len(page.Records) != 0 || page.Next != "01JFRESHET0000000000000002" {
		t.Fatalf("page %+v, error %v; want an empty one that is not the last", page, err)
	}
	page, err = b.s.Audit(soon(t), page.Next, 1)
	if err != nil || len(page.Records) != 1 || page.Next != "" {
		t.Errorf("page %+v, error %v; want the other record", page, err)
	}
}

// The oldest go a thousand at once, so that no transaction takes long.
func TestTrimmingIsBounded(t *testing.T) {
	b := newBench(t)
	for from := 0; from < trimAtOnce+60; from += 106 {
		var ops []clientv3.Op
		for n := range 106 {
			ops = append(ops, clientv3.OpPut(b.s.keys.audit(fmt.Sprintf("%026d", from+n)), string(b.s.codec.plain(*by()))))
		}
		must(t, second(b.raw.Txn(soon(t)).Then(ops...).Commit()))
	}
	for _, want := range []int{trimAtOnce, 50, 0} {
		if n, err := b.s.TrimAudit(soon(t), b.epoch, 10); n != want || err != nil {
			t.Errorf("%d records were deleted, error %v; want %d", n, err, want)
		}
	}
}

func TestARaiseOfTheFormatIsRecordedOnce(t *testing.T) {
	s := openBuild(t, next)
	must(t, second(raw(t).Put(soon(t), s.keys.schema(), string(encode(schema{Format: former}, schemaFields)))))
	joined(t, s, "new")
	for n := range 2 {
		a := by()
		a.ID = fmt.Sprintf("01JFRESHET%016d", n)
		if got, err := s.Finalize(soon(t), a); got != next || err != nil {
			t.Fatalf("the format is %d, error %v; want %d", got, err, next)
		}
	}
	page, err := s.Audit(soon(t), "", 10)
	if err != nil || len(page.Records) != 1 || page.Records[0].Changed[0] != "format.2" || page.Records[0].By != by().By {
		t.Errorf("records %+v, error %v; want one of the raise to format 2", page.Records, err)
	}
	if lease := at(t, raw(t), s.keys.of(page.Records[0])).Kvs[0].Lease; lease == 0 {
		t.Error("the record has no lease, and would stay for ever")
	}
}

// A client key that leaked can be deleted while etcd is full.
func TestWhatOnlyDeletesIsDoneWithoutARecordWhileEtcdIsFull(t *testing.T) {
	f := newFull(t)
	must(t, f.node.AddClient(soon(t), coordinator.Client{Name: "leaked", Owner: "api:ann", Digest: coordinator.DigestOf(coordinator.NewSecret("key"))}))
	f.fill(func() bool { return false })
	f.until("the alarm is seen", func() bool { return f.node.Room().Alarm })
	must(t, f.node.RemoveClient(soon(t), "api:ann", "leaked"))
	if clients := f.node.Clients(); len(clients) != 0 {
		t.Errorf("clients %+v are left", clients)
	}
	found, _, err := f.node.Audit(soon(t), coordinator.AuditQuery{Limit: 10})
	if err != nil || len(found) != 1 || found[0].Action != coordinator.ActionClientAdded {
		t.Errorf("records %+v, error %v; want that of the addition alone", found, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := f.node.PauseCluster(ctx, "api:ann", true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pause, which must be written: error %v", err)
	}
}
