package memory

import (
	"context"
	"maps"
	"slices"

	"freshet/coordinator"
)

// putAudit writes who makes a change; nil: nobody is to be recorded.
func (t *tx) putAudit(a *coordinator.Audit) {
	if a != nil {
		t.put(*a)
	}
}

// Audit returns who changed what, newest first.
func (s *Store) Audit(ctx context.Context, before string, limit int) (coordinator.AuditPage, error) {
	var page coordinator.AuditPage
	if limit < 1 {
		return page, coordinator.Invalidf("reading who changed what: a page of %d records is none", limit)
	}
	if f, ok := s.nextFault(OpAudit); ok && f.err != nil {
		return page, f.err
	}
	if err := s.reach(ctx); err != nil {
		return page, err
	}
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	ids := slices.Sorted(maps.Keys(c.keys[kindAudit]))
	if before != "" {
		end, _ := slices.BinarySearch(ids, before)
		ids = ids[:end]
	}
	from := max(len(ids)-limit, 0)
	for _, id := range slices.Backward(ids[from:]) {
		a, _ := recordAt[coordinator.Audit](c, key{kindAudit, id})
		page.Records = append(page.Records, a)
	}
	if from > 0 {
		page.Next = ids[from]
	}
	return page, nil
}

// trimAtOnce is how many records TrimAudit deletes in one transaction.
const trimAtOnce = 1000

// TrimAudit deletes the oldest records of who changed what.
func (s *Store) TrimAudit(ctx context.Context, e coordinator.Epoch, keep int) (int, error) {
	trimmed := 0
	_, err := s.write(ctx, OpTrimAudit, transaction{
		epoch: e,
		fence: true,
		do: func(t *tx) {
			ids := slices.Sorted(maps.Keys(t.cluster.keys[kindAudit]))
			trimmed = min(max(len(ids)-keep, 0), trimAtOnce)
			for _, id := range ids[:trimmed] {
				t.delete(key{kindAudit, id})
			}
		},
	})
	return trimmed, err
}
