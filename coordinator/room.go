package coordinator

import (
	"context"
	"time"
)

// Room is how much of the store's space is taken, by its fullest member.
type Room struct {
	Bytes int64
	Quota int64 // 0: there is none
	Alarm bool  // the store refuses every write until somebody makes room
}

const (
	crowdedShare = 0.60 // from here on people are warned
	fullShare    = 0.85 // from here on no refresh is begun: what is left is for results
)

// Share returns how much is taken, 1 being all; 0 without a quota.
func (r Room) Share() float64 {
	if r.Quota <= 0 {
		return 0
	}
	return float64(r.Bytes) / float64(r.Quota)
}

// Full reports whether no refresh may be begun, because its result might find
// no room.
func (r Room) Full() bool { return r.Alarm || r.Share() >= fullShare }

// ReasonStoreFull marks tokens that are not refreshed because etcd is full.
const ReasonStoreFull = "etcd_full"

// roomEvery is the pause between two looks at the store's space.
const roomEvery = 30 * time.Second

// watchRoom looks at the store's space until ctx ends. While the store cannot
// tell, what it told last stands.
func (n *Node) watchRoom(ctx context.Context) error {
	ticker := time.NewTicker(n.roomEvery)
	defer ticker.Stop()
	for {
		n.lookAtRoom(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *Node) lookAtRoom(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, n.roomEvery)
	defer cancel()
	room, err := n.store.Room(limited)
	if err != nil {
		if ctx.Err() == nil {
			n.log.DebugContext(ctx, "the store does not tell its space", "err", err)
		}
		return
	}
	before := n.Room()
	n.room.Store(&room)
	n.remake.Store(n.remake.Load() || before.Full() != room.Full())
	n.tellRoom(ctx, before, room)
}

// tellRoom says when the store fills up and when it has room again.
func (n *Node) tellRoom(ctx context.Context, before, now Room) {
	attrs := []any{"bytes", now.Bytes, "quota", now.Quota, "alarm", now.Alarm}
	switch {
	case now.Full() && !before.Full():
		n.log.ErrorContext(ctx, "etcd is full, no token is refreshed: compact and defragment it, raise its quota, disarm its alarm", attrs...)
	case before.Full() && !now.Full():
		n.log.InfoContext(ctx, "etcd has room again, refreshing goes on", attrs...)
	case now.Share() >= crowdedShare && before.Share() < crowdedShare:
		n.log.WarnContext(ctx, "etcd fills up: compact and defragment it, or raise its quota", attrs...)
	}
}

// Room returns how full the store was when it last told; zero before.
func (n *Node) Room() Room {
	if room := n.room.Load(); room != nil {
		return *room
	}
	return Room{}
}
