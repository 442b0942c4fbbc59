package store

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

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
		return struct{}{}, s.checkSchema(ctx)
	})
	if err != nil {
		return err
	}
	s.checked.Store(true)
	return nil
}

// checkSchema writes down which format this cluster's records have, if nobody
// did, and refuses to work with a newer one.
func (s *Store) checkSchema(ctx context.Context) error {
	key := s.keys.schema()
	resp, err := request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(encode(schema{Format: format}, schemaFields)))).
			Else(clientv3.OpGet(key)).
			Commit()
	})
	if err != nil || resp.Succeeded {
		return err
	}
	var there schema
	kvs := resp.Responses[0].GetResponseRange().Kvs
	if err := decode(kvs[0].Value, &there, schemaFields); err != nil {
		return fmt.Errorf("reading %q: %w", key, err)
	}
	switch {
	case there.Format > format:
		return fmt.Errorf("%w: its records have format %d, and this build reads formats up to %d; upgrade this node",
			ErrUnsupported, there.Format, format)
	case there.Format < formatMin:
		return fmt.Errorf("%w: its records have format %d, and this build reads formats from %d; run a build between the two and `freshet finalize` first",
			ErrUnsupported, there.Format, formatMin)
	}
	return nil
}
