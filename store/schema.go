package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	formatFirst  = 1 // every build reads it, and it is the one of sys/schema itself
	formatOldest = 1 // that we read
	formatNewest = 1 // that we read and can write
)

// formats are those that this build reads, and the one it writes: the cluster's,
// which Finalize raises, so that whoever lives reads what we write. What was
// written before a raise keeps its format until it is written anew.
type formats struct {
	oldest, newest int // constants, but for tests

	cluster atomic.Int32 // as sys/schema said last; 0: not heard yet
}

func newFormats() *formats { return &formats{oldest: formatOldest, newest: formatNewest} }

// written returns the format to write.
func (f *formats) written() byte {
	return byte(min(max(int(f.cluster.Load()), f.oldest), f.newest)) //nolint:gosec // newest fits into a byte
}

// reads refuses a stored form whose format this build does not read.
func (f *formats) reads(value []byte) error {
	switch {
	case len(value) < header:
		return errors.New("it is cut short")
	case int(value[0]) > f.newest:
		return fmt.Errorf("%w: the record has format %d, and this build reads formats up to %d; upgrade this node",
			ErrUnsupported, value[0], f.newest)
	case int(value[0]) < f.oldest:
		return fmt.Errorf("it has format %d, and this build reads formats from %d", value[0], f.oldest)
	}
	return nil
}

// adopt takes the cluster's format for what is written from now on, or refuses it.
func (f *formats) adopt(cluster int) error {
	switch {
	case cluster > f.newest:
		return fmt.Errorf("%w: its records have format %d, and this build reads formats up to %d; upgrade this node",
			ErrUnsupported, cluster, f.newest)
	case cluster < f.oldest:
		return fmt.Errorf("%w: its records have format %d, and this build reads formats from %d; run a build between the two and `freshet finalize` first",
			ErrUnsupported, cluster, f.oldest)
	}
	f.cluster.Store(int32(cluster)) //nolint:gosec // it is at most newest
	return nil
}

// readSchema reads sys/schema, whose own format never changes, so that a build
// that is too old can say so.
func readSchema(kv *mvccpb.KeyValue) (schema, error) {
	var there schema
	first := formats{oldest: formatFirst, newest: formatFirst}
	err := first.reads(kv.Value)
	if err == nil {
		err = decode(kv.Value, &there, schemaFields)
	}
	if err != nil {
		return there, fmt.Errorf("reading %q: %w", kv.Key, err)
	}
	return there, nil
}

// ready checks, before anything else is done, that the servers and what is kept
// in them can be used. It waits for etcd for as long as ctx lives.
func (s *Store) ready(ctx context.Context) error {
	if s.checked.Load() {
		return nil
	}
	_, err := insist(ctx, s, "looking at the cluster", func(ctx context.Context) (struct{}, error) {
		if err := s.checkServers(ctx); err != nil {
			return struct{}{}, err
		}
		_, err := s.checkSchema(ctx)
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	s.checked.Store(true)
	return nil
}

// checkSchema writes down which format this cluster's records have, if nobody
// did, and adopts it. It returns the revision at which it was written.
func (s *Store) checkSchema(ctx context.Context) (int64, error) {
	key := s.keys.schema()
	resp, err := request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(encode(schema{Format: s.codec.newest}, schemaFields)))).
			Else(clientv3.OpGet(key)).
			Commit()
	})
	switch {
	case err != nil:
		return 0, err
	case resp.Succeeded:
		return resp.Header.Revision, s.codec.adopt(s.codec.newest)
	}
	kv := resp.Responses[0].GetResponseRange().Kvs[0]
	there, err := readSchema(kv)
	if err != nil {
		return 0, err
	}
	return kv.ModRevision, s.codec.adopt(there.Format)
}

// schemaNow looks again at the cluster's format: it may have been raised since
// we were ready.
func (s *Store) schemaNow(ctx context.Context) (int64, error) {
	return insist(ctx, s, "looking at the format of records", s.checkSchema)
}

// heardSchema takes in what a list or a watch says of sys/schema, for which
// there is an error only if this build cannot go on.
func (s *Store) heardSchema(ctx context.Context, kv *mvccpb.KeyValue) error {
	before := s.codec.written()
	there, err := readSchema(kv)
	if err == nil {
		err = s.codec.adopt(there.Format)
	}
	switch now := s.codec.written(); {
	case fatal(err):
		return err
	case err != nil:
		s.log.ErrorContext(ctx, "the format of records cannot be read; restart a node", "err", err)
	case now != before:
		s.log.InfoContext(ctx, "the format of records has changed", "format", now, "before", before)
	}
	return nil
}
