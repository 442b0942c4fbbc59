package store

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"freshet/coordinator"
)

func TestAListThatContradictsThePastIsRestored(t *testing.T) {
	before := past{cluster: 1, last: 100, beats: 10, beatAt: 90}
	for name, tt := range map[string]struct {
		now  past
		want bool
	}{
		"it went on":                        {past{1, 110, 12, 108}, false},
		"nothing happened":                  {past{1, 100, 10, 90}, false},
		"another cluster":                   {past{2, 110, 12, 108}, true},
		"revisions went back":               {past{1, 99, 10, 90}, true},
		"heartbeats went back":              {past{1, 110, 9, 109}, true},
		"a heartbeat was another one":       {past{1, 110, 10, 95}, true},
		"a server that tells no cluster id": {past{0, 110, 12, 108}, false},
	} {
		if got := before.contradicts(tt.now); got != tt.want {
			t.Errorf("%s: it contradicts %t, want %t", name, got, tt.want)
		}
	}
	if (past{}).contradicts(past{1, 5, 1, 4}) {
		t.Error("the first list contradicts a past that nobody knows")
	}
}

// The library resumes a watch over a restart of the servers without a word. If
// by then the restored cluster is past our revision, only its heartbeats tell.
func TestAWatchThatResumedInAnotherHistoryIsGivenUp(t *testing.T) {
	s := open(t)
	beat := func(version, revision int64) *clientv3.Event {
		value := kv(s.keys.heartbeat(), encodeRecord(coordinator.Heartbeat{Epoch: 1}), revision)
		value.Version = version
		return &clientv3.Event{Kv: value}
	}
	given := 0
	f := follower{store: s, past: past{cluster: 1, last: 100}, yield: func(coordinator.Batch, error) bool { given++; return true }}
	must(t, f.changes(t.Context(), []*clientv3.Event{beat(7, 101)}))
	must(t, f.changes(t.Context(), []*clientv3.Event{beat(8, 102)}))
	if err := f.changes(t.Context(), []*clientv3.Event{beat(8, 104)}); !errors.Is(err, errHistoryLost) || !f.restored || given != 2 {
		t.Errorf("a heartbeat that was written once more: got error %v after %d batches", err, given)
	}
	f = follower{store: s, past: past{cluster: 1, last: 100}, yield: f.yield}
	elsewhere := clientv3.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 2, Revision: 120}, Events: []*clientv3.Event{beat(9, 120)}}
	if err := f.hear(t.Context(), elsewhere); !errors.Is(err, errHistoryLost) || !f.restored {
		t.Errorf("a change in another cluster: got error %v", err)
	}
}

// A server can go on to tell its progress while our watch waits for a revision
// that its history has not reached.
func TestProgressBelowOurRevisionIsAnotherHistory(t *testing.T) {
	s := open(t)
	must(t, s.PutPaused(soon(t), nil, nil))
	f := follower{store: s, yield: func(coordinator.Batch, error) bool { return true }}
	revision := note(t, s, raw(t), "1")
	f.last = revision + 1000
	progress := clientv3.WatchResponse{Header: &pb.ResponseHeader{Revision: revision}}
	if err := f.hear(soon(t), progress); !errors.Is(err, errHistoryLost) || !f.restored {
		t.Errorf("progress at revision %d of one who is at %d: got error %v", revision, f.last, err)
	}
}

func TestAHeartbeatThatIsKnownIsNoGap(t *testing.T) {
	p := past{}
	for _, b := range []struct {
		version, revision int64
		follows           bool
	}{{5, 50, true}, {5, 50, true}, {6, 60, true}, {8, 80, false}} {
		if got := p.meet(&mvccpb.KeyValue{Version: b.version, ModRevision: b.revision}); got != b.follows {
			t.Errorf("write %d at revision %d follows: %t, want %t", b.version, b.revision, got, b.follows)
		}
	}
}
