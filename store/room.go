package store

import (
	"context"
	"fmt"
	"strings"

	"freshet/coordinator"
)

// Room returns how full etcd is, by its fullest member: the first that is full
// stops every write to all of them. On the way it looks at the servers' versions.
func (s *Store) Room(ctx context.Context) (coordinator.Room, error) {
	if err := s.ready(ctx); err != nil {
		return coordinator.Room{}, fmt.Errorf("looking at etcd's space: %w", err)
	}
	members, err := s.survey(ctx)
	if err != nil {
		return coordinator.Room{}, fmt.Errorf("looking at etcd's space: %w", err)
	}
	s.warnOfDangers(ctx, members)
	var fullest coordinator.Room
	for _, m := range members {
		room := coordinator.Room{Bytes: m.DbSize, Quota: s.quotaOf(m)}
		if room.Share() >= fullest.Share() {
			room.Alarm, fullest = fullest.Alarm, room
		}
		for _, alarm := range m.Errors {
			fullest.Alarm = fullest.Alarm || strings.Contains(alarm, "NOSPACE")
		}
	}
	return fullest, nil
}

// quotaOf is a member's quota as it tells it; 0 where it has none.
func (s *Store) quotaOf(m member) int64 {
	switch {
	case m.DbSizeQuota < 0:
		return 0
	case m.DbSizeQuota == 0:
		return s.config.Quota
	}
	return m.DbSizeQuota
}
