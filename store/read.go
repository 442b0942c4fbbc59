package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

// Read returns what the transactions about one fetch group compare, by one
// transaction that only reads: all as of one revision, and linearizable.
func (s *Store) Read(ctx context.Context, q coordinator.Query) (coordinator.Situation, error) {
	doing := fmt.Sprintf("reading %s/%s", q.App, q.Group)
	f, err := s.fenceOf(ctx, q.Epoch)
	if err != nil && !errors.Is(err, coordinator.ErrFenced) {
		return coordinator.Situation{}, fmt.Errorf("%s: %w", doing, err)
	}
	if err := s.ready(ctx); err != nil {
		return coordinator.Situation{}, fmt.Errorf("%s: %w", doing, err)
	}
	ops := s.readsOf(q, f)
	if len(ops) > maxOps {
		return coordinator.Situation{}, coordinator.Invalidf("%s: it takes %d reads, and one transaction can have %d", doing, len(ops), maxOps)
	}
	resp, err := insist(ctx, s, doing, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
			return c.Txn(ctx).Then(ops...).Commit()
		})
	})
	if err != nil {
		return coordinator.Situation{}, err
	}
	return s.situation(q, f, resp)
}

func (s *Store) readsOf(q coordinator.Query, f fence) []clientv3.Op {
	k := s.keys
	ops := []clientv3.Op{
		clientv3.OpGet(k.intent(q.App, q.Group)),
		clientv3.OpGet(k.salvageOf(q.App, q.Group), clientv3.WithPrefix()),
		clientv3.OpGet(k.grant(q.App)),
	}
	if f.key != "" {
		ops = append(ops, clientv3.OpGet(f.key, clientv3.WithKeysOnly()))
	}
	for _, app := range q.Lineage {
		ops = append(ops, clientv3.OpGet(k.credentials(app)))
	}
	for _, token := range q.Tokens {
		name := coordinator.Name{App: q.App, Token: token}
		ops = append(ops, clientv3.OpGet(k.state(name)), clientv3.OpGet(k.token(name)))
	}
	for _, window := range q.Budgets {
		ops = append(ops, clientv3.OpGet(k.budget(q.Account, window)))
	}
	return ops
}

// looking collects the records a query asks for and the first mistake in them.
type looking struct {
	codec codec
	there map[string]*mvccpb.KeyValue
	err   error
}

// find returns the record with the identity of empty, or empty itself.
func find[R coordinator.Record](l *looking, empty R) (R, bool) {
	r, found, err := recordOf[R](l.codec, l.there[l.codec.of(empty)])
	if err != nil && l.err == nil {
		l.err = err
	}
	if !found {
		return empty, false
	}
	return r, true
}

func (s *Store) situation(q coordinator.Query, f fence, resp *clientv3.TxnResponse) (coordinator.Situation, error) {
	l := looking{codec: s.codec, there: map[string]*mvccpb.KeyValue{}}
	var salvage []*mvccpb.KeyValue
	for i, r := range resp.Responses {
		kvs := r.GetResponseRange().GetKvs()
		if i == 1 { // the one range among the reads, see readsOf
			salvage = kvs
			continue
		}
		for _, kv := range kvs {
			l.there[string(kv.Key)] = kv
		}
	}
	out := coordinator.Situation{Revision: resp.Header.Revision}
	if kv := l.there[f.key]; kv != nil {
		out.Leads = kv.CreateRevision == int64(q.Epoch)
	}
	l.fill(&out, q)
	out.Salvage = l.salvage(salvage)
	return out, l.err
}

func (l *looking) fill(out *coordinator.Situation, q coordinator.Query) {
	if i, ok := find(l, coordinator.Intent{App: q.App, Group: q.Group}); ok {
		out.Intent = &i
	}
	if g, ok := find(l, coordinator.Grant{App: q.App}); ok {
		out.Grant = &g
	}
	for _, app := range q.Lineage {
		c, _ := find(l, coordinator.Credentials{App: app})
		out.Lineage = append(out.Lineage, coordinator.Ancestor{App: app, Incarnation: c.Incarnation, Revision: c.Revision})
	}
	for _, token := range q.Tokens {
		name := coordinator.Name{App: q.App, Token: token}
		state, _ := find(l, coordinator.State{Name: name})
		value, _ := find(l, coordinator.Token{Name: name})
		out.States, out.Tokens = append(out.States, state), append(out.Tokens, value)
	}
	for _, window := range q.Budgets {
		b, _ := find(l, coordinator.Budget{App: q.Account, Window: window})
		out.Budgets = append(out.Budgets, b)
	}
}

// salvage returns salvaged results, newest first (R7).
func (l *looking) salvage(kvs []*mvccpb.KeyValue) []coordinator.Salvage {
	var all []coordinator.Salvage
	for _, kv := range kvs {
		v, _, err := recordOf[coordinator.Salvage](l.codec, kv)
		if err != nil && l.err == nil {
			l.err = err
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b coordinator.Salvage) int {
		return cmp.Or(
			cmp.Compare(b.Incarnation, a.Incarnation), cmp.Compare(b.Generation, a.Generation),
			cmp.Compare(b.IntentRevision, a.IntentRevision), cmp.Compare(b.Revision, a.Revision),
		)
	})
	return all
}
