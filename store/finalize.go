package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

var errNodesChanged = errors.New("nodes came or changed meanwhile")

// Finalize raises the format of the cluster's records to the newest that every
// node that lives can read, and returns it. Nodes that read no more than the
// former one are refused from then on. It never goes back. Where a newer build
// waits for older ones to leave, the error is an ErrInvalid that names their nodes.
func (s *Store) Finalize(ctx context.Context, by *coordinator.Audit) (int, error) {
	if err := s.ready(ctx); err != nil {
		return 0, fmt.Errorf("finalizing: %w", err)
	}
	return insist(ctx, s, "finalizing", func(ctx context.Context) (int, error) { return s.finalize(ctx, by) })
}

// finalize compares that no node came or changed since it looked.
func (s *Store) finalize(ctx context.Context, by *coordinator.Audit) (int, error) {
	nodes, schemaKey := s.keys.nodes(), s.keys.schema()
	seen, err := request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).Then(clientv3.OpGet(schemaKey), clientv3.OpGet(nodes, clientv3.WithPrefix())).Commit()
	})
	if err != nil {
		return 0, err
	}
	kvs := seen.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return 0, fmt.Errorf("%w: %q is gone; restart a node", ErrUnsupported, schemaKey)
	}
	there, err := readSchema(kvs[0])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	common, err := s.common(there.Format, seen.Responses[1].GetResponseRange().Kvs)
	if err != nil || common <= there.Format {
		return there.Format, err
	}
	then := []clientv3.Op{clientv3.OpPut(schemaKey, string(encode(schema{Format: common}, schemaFields)))}
	if by != nil {
		record := by.Raising(common)
		lease, err := s.lease(ctx, auditEnds(record.At))
		if err != nil {
			return 0, err
		}
		then = append(then, clientv3.OpPut(s.keys.of(*record), string(s.codec.plain(*record)), clientv3.WithLease(lease)))
	}
	raised, err := request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(schemaKey), "=", kvs[0].ModRevision),
				clientv3.Compare(clientv3.ModRevision(nodes), "<", seen.Header.Revision+1).WithPrefix()).
			Then(then...).
			Commit()
	})
	if err == nil && !raised.Succeeded {
		err = errNodesChanged // look again
	}
	return common, err
}

// common returns the newest format that this node and all registered ones read,
// and an error where some of them keep the others at the format there is.
func (s *Store) common(now int, nodes []*mvccpb.KeyValue) (int, error) {
	common, newest := s.codec.newest, s.codec.newest
	var behind []string
	for _, kv := range nodes {
		node, _, err := recordOf[coordinator.NodeInfo](s.codec, kv)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		common, newest = min(common, node.SchemaMax), max(newest, node.SchemaMax)
		if node.SchemaMax <= now {
			behind = append(behind, fmt.Sprintf("%q (build %q)", node.Name, node.Build))
		}
	}
	if common <= now && newest > now {
		return now, finalError{coordinator.Invalidf(
			"nodes of an older build, which read records up to format %d and not %d, still run: upgrade or stop %s first",
			common, newest, cmp.Or(strings.Join(behind, ", "), "this node"))}
	}
	return common, nil
}
