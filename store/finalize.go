package store

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

var errNodesChanged = errors.New("nodes came or changed meanwhile")

// Finalize raises the format of the cluster's records to the newest that every
// node that lives can read, and returns it. Nodes that read no more than the
// former one are refused from then on. It never goes back.
func (s *Store) Finalize(ctx context.Context) (int, error) {
	if err := s.ready(ctx); err != nil {
		return 0, fmt.Errorf("finalizing: %w", err)
	}
	return insist(ctx, s, "finalizing", s.finalize)
}

// finalize compares that no node came or changed since it looked.
func (s *Store) finalize(ctx context.Context) (int, error) {
	nodes, schemaKey := s.keys.node(""), s.keys.schema()
	seen, err := request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).Then(clientv3.OpGet(schemaKey), clientv3.OpGet(nodes, clientv3.WithPrefix())).Commit()
	})
	if err != nil {
		return 0, err
	}
	var there schema
	kvs := seen.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return 0, fmt.Errorf("%w: %q is gone; restart a node", ErrUnsupported, schemaKey)
	}
	if err := decode(kvs[0].Value, &there, schemaFields); err != nil {
		return 0, fmt.Errorf("%w: reading %q: %w", ErrUnsupported, schemaKey, err)
	}
	all := seen.Responses[1].GetResponseRange().Kvs
	common := 0
	for _, kv := range all {
		node, _, err := recordOf[coordinator.NodeInfo](s.codec, kv)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		if common == 0 || node.SchemaMax < common {
			common = node.SchemaMax
		}
	}
	if common <= there.Format {
		return there.Format, nil
	}
	raised, err := request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(schemaKey), "=", kvs[0].ModRevision),
				clientv3.Compare(clientv3.ModRevision(nodes), "<", seen.Header.Revision+1).WithPrefix()).
			Then(clientv3.OpPut(schemaKey, string(encode(schema{Format: common}, schemaFields)))).
			Commit()
	})
	if err == nil && !raised.Succeeded {
		err = errNodesChanged // look again
	}
	return common, err
}
