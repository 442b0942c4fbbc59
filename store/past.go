package store

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// past is what a follower knows of the history it has followed, so that it is
// noticed when that history is not the cluster's any more: after a restore from
// a backup revisions are given out once again, to other changes.
type past struct {
	cluster uint64 // id; 0: nothing is known
	last    int64  // everything up to this revision was yielded

	// The heartbeat is written all the time, and never deleted: etcd's own
	// count of its writes tells whether we have seen every one.
	beats  int64 // writes of the heartbeat
	beatAt int64 // revision of the last one
}

// meet takes in one state of the heartbeat and reports whether it is the one
// that follows, or one that is known.
func (p *past) meet(kv *mvccpb.KeyValue) (follows bool) {
	follows = p.beats == 0 || kv.Version == p.beats+1 || kv.ModRevision == p.beatAt
	p.beats, p.beatAt = kv.Version, kv.ModRevision
	return follows
}

// contradicts reports whether what was listed now cannot have come after the past.
func (p past) contradicts(now past) bool {
	if p.cluster == 0 {
		return false
	}
	return p.elsewhere(now.cluster) || now.last < p.last || now.beats < p.beats ||
		now.beats == p.beats && now.beatAt != p.beatAt
}

// elsewhere reports whether an id is that of another cluster than the one followed.
func (p past) elsewhere(cluster uint64) bool {
	return p.cluster != 0 && cluster != 0 && cluster != p.cluster
}

func pastOf(header *pb.ResponseHeader) past {
	return past{cluster: header.ClusterId, last: header.Revision}
}
