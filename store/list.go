package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// pageSize is how many keys one request lists: etcd counts the rest of the
// range for every page, so small pages are slow, and large ones hold up others.
const pageSize = 5000

// list returns every record that nodes keep in mind, as of one revision. Where the history it
// reads is compacted before it is through, it begins again.
func (s *Store) list(ctx context.Context) (coordinator.Batch, past, error) {
	for {
		batch, p, err := s.listOnce(ctx)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			return batch, p, err
		}
	}
}

func (s *Store) listOnce(ctx context.Context) (coordinator.Batch, past, error) {
	batch, p := coordinator.Batch{Snapshot: true}, past{}
	for _, keys := range s.keys.listed() {
		if err := s.listSpan(ctx, keys, &batch, &p); err != nil {
			return batch, p, err
		}
	}
	return batch, p, nil
}

func (s *Store) listSpan(ctx context.Context, keys span, batch *coordinator.Batch, p *past) error {
	for next := keys.from; ; {
		page, err := s.page(ctx, next, keys.end, batch.Revision)
		if err != nil {
			return err
		}
		if batch.Revision == 0 {
			batch.Revision = page.Header.Revision // that of the first page is that of all
			*p = pastOf(page.Header)
		}
		for _, kv := range page.Kvs {
			if string(kv.Key) == s.keys.heartbeat() {
				p.meet(kv)
			}
			if string(kv.Key) == s.keys.schema() {
				if err := s.heardSchema(ctx, kv); err != nil {
					return err
				}
			}
			e, ok := s.event(ctx, kv, false)
			if !ok {
				_, isRecord := s.keys.identify(string(kv.Key))
				batch.LeftOut = batch.LeftOut || isRecord
				continue
			}
			batch.Events = append(batch.Events, e)
		}
		if !page.More || len(page.Kvs) == 0 {
			return nil
		}
		next = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

// page reads one page in the order of keys; revision 0 is the newest, linearizably.
func (s *Store) page(ctx context.Context, from, end string, revision int64) (*clientv3.GetResponse, error) {
	return insist(ctx, s, "listing records", func(ctx context.Context) (*clientv3.GetResponse, error) {
		page, err := request(ctx, s.bulk, pageTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.GetResponse, error) {
			return c.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(s.pageSize), clientv3.WithRev(revision))
		})
		return page, final(err, rpctypes.ErrCompacted)
	})
}

// event returns what happened to a record; false for keys that hold none, or one
// that no node keeps in mind. A
// record that cannot be read is told to people and left out: it must not keep
// all others from being served.
func (s *Store) event(ctx context.Context, kv *mvccpb.KeyValue, deleted bool) (coordinator.Event, bool) {
	record, ok := s.keys.identify(string(kv.Key))
	if _, audit := record.(coordinator.Audit); audit || !ok {
		return coordinator.Event{}, false
	}
	if deleted {
		return coordinator.Event{Record: record, Deleted: true}, true
	}
	record, err := s.codec.decode(record, kv.Value, kv.ModRevision)
	switch {
	case awaitsKey(err):
		s.leftOut(ctx, err)
		return coordinator.Event{}, false
	case err != nil:
		s.log.ErrorContext(ctx, "a record cannot be read and is left out", "key", string(kv.Key), "err", err)
		return coordinator.Event{}, false
	}
	return coordinator.Event{Record: record}, true
}

// finalError makes an error that may pass elsewhere one that is not tried again.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func final(err, target error) error {
	if errors.Is(err, target) {
		return finalError{fmt.Errorf("it is final: %w", err)}
	}
	return err
}
