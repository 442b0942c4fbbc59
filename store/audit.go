package store

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// auditBucket is how close together records of who changed what must be to share
// a lease: nobody minds by what hour of a day they go.
const auditBucket = 24 * time.Hour

// auditEnds is when a record of a change made at an instant may go.
func auditEnds(at time.Time) time.Time {
	return at.Add(coordinator.AuditLife).Truncate(auditBucket).Add(auditBucket)
}

// Audit reads records of who changed what, newest first.
func (s *Store) Audit(ctx context.Context, before string, limit int) (coordinator.AuditPage, error) {
	var page coordinator.AuditPage
	if limit < 1 {
		return page, coordinator.Invalidf("reading who changed what: a page of %d records is none", limit)
	}
	if err := s.ready(ctx); err != nil {
		return page, fmt.Errorf("reading who changed what: %w", err)
	}
	end := clientv3.GetPrefixRangeEnd(s.keys.audits())
	if before != "" {
		end = s.keys.audit(before)
	}
	resp, err := insist(ctx, s, "reading who changed what", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return request(ctx, s.bulk, pageTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.GetResponse, error) {
			return c.Get(ctx, s.keys.audits(), clientv3.WithRange(end), clientv3.WithLimit(int64(limit)),
				clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
		})
	})
	if err != nil {
		return page, err
	}
	for _, kv := range resp.Kvs {
		if a, ok := s.audit(ctx, kv); ok {
			page.Records = append(page.Records, a)
		}
		if resp.More {
			page.Next = string(kv.Key[len(s.keys.audits()):])
		}
	}
	return page, nil
}

// audit reads one record. One that cannot be read is told to people and left out.
func (s *Store) audit(ctx context.Context, kv *mvccpb.KeyValue) (coordinator.Audit, bool) {
	a, ok, err := recordOf[coordinator.Audit](s.codec, kv)
	if err != nil {
		s.log.ErrorContext(ctx, "a record of who changed what cannot be read and is left out", "key", string(kv.Key), "err", err)
	}
	return a, ok && err == nil
}

// trimAtOnce is how many records TrimAudit deletes in one transaction.
const trimAtOnce = 1000

// TrimAudit deletes the oldest records of who changed what above keep.
func (s *Store) TrimAudit(ctx context.Context, e coordinator.Epoch, keep int) (int, error) {
	doing := "deleting old records of who changed what"
	t, err := s.fenced(ctx, e, doing)
	if err != nil {
		return 0, err
	}
	there, err := insist(ctx, s, doing, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, s.keys.audits(), clientv3.WithPrefix(), clientv3.WithCountOnly())
	})
	if err != nil || there.Count <= int64(keep) {
		return 0, err
	}
	oldest, err := insist(ctx, s, doing, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, s.keys.audits(), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
			clientv3.WithLimit(min(there.Count-int64(keep), trimAtOnce)))
	})
	if err != nil || len(oldest.Kvs) == 0 {
		return 0, err
	}
	last := oldest.Kvs[len(oldest.Kvs)-1].Key
	t.then = append(t.then, clientv3.OpDelete(s.keys.audits(), clientv3.WithRange(string(last)+"\x00")))
	if err := s.commitFenced(ctx, t); err != nil {
		return 0, err
	}
	return len(oldest.Kvs), nil
}
