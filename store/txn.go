package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"freshet/coordinator"
)

// maxOps is how many compares, and how many operations, etcd takes in one transaction.
const maxOps = 128

// txn is one transaction: what it compares, what it writes if all of that
// holds, and which keys it reads if not. It compares revisions, never values:
// a value can come back, a revision cannot.
type txn struct {
	doing  string // for errors, e.g. `publishing "shop/access_token"`
	fence  fence  // zero: not fenced
	cmps   []clientv3.Cmp
	then   []clientv3.Op
	leased []leased // puts under shared leases
	reads  []string // keys
	audit  *leased  // who makes the change; it is among leased. Nil: nobody is recorded
	err    error    // what is to be written cannot be
}

// fence names the election key of an epoch.
type fence struct {
	key   string
	epoch coordinator.Epoch
}

// mod compares the revision a key was last written at; 0 means that it must not exist.
func (t *txn) mod(key string, revision int64) {
	t.cmps = append(t.cmps, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
	t.reads = append(t.reads, key)
}

func (t *txn) put(key string, value []byte) {
	t.then = append(t.then, clientv3.OpPut(key, string(value)))
}

// write puts a record, sealed if it is secret.
func (t *txn) write(c codec, record coordinator.Record) {
	value, err := c.encode(record)
	t.err = cmp.Or(t.err, err)
	t.put(c.of(record), value)
}

// writeLeased is write under a lease that is shared by what expires then.
func (t *txn) writeLeased(c codec, record coordinator.Record, expires time.Time) {
	value, err := c.encode(record)
	t.err = cmp.Or(t.err, err)
	t.leased = append(t.leased, leased{key: c.of(record), value: value, expires: expires})
}

// record writes who makes the change. Where an answer is lost it tells, better
// than what was changed, whether the change was made.
func (t *txn) record(c codec, a *coordinator.Audit) {
	if a == nil {
		return
	}
	t.writeLeased(c, *a, auditEnds(a.At))
	record := t.leased[len(t.leased)-1]
	t.audit = &record
	t.reads = append(t.reads, t.audit.key)
}

// once compares that the change was not recorded: for what could be done twice.
func (t *txn) once() {
	if t.audit != nil {
		t.cmps = append(t.cmps, clientv3.Compare(clientv3.CreateRevision(t.audit.key), "=", 0))
	}
}

// spare leaves the record out of a change that only deletes, which an etcd that is
// full takes, and reports whether it did: a client key that leaked can be deleted then.
func (t *txn) spare() bool {
	if t.audit == nil || len(t.leased) != 1 || slices.ContainsFunc(t.then, func(op clientv3.Op) bool { return !op.IsDelete() }) {
		return false
	}
	t.leased = nil
	return true
}

func (t *txn) delete(key string) { t.then = append(t.then, clientv3.OpDelete(key)) }

func (t *txn) deleteAll(prefix string) {
	t.then = append(t.then, clientv3.OpDelete(prefix, clientv3.WithPrefix()))
}

// fenceBy adds the compare that every write of a refresher makes: its election
// key exists and is the one it was elected with. As long as it does, no later
// leadership can have begun (create revisions only grow).
func (t *txn) fenceBy(f fence) {
	t.fence = f
	t.cmps = append(t.cmps, clientv3.Compare(clientv3.CreateRevision(f.key), "=", int64(f.epoch)))
	t.reads = append(t.reads, f.key)
}

// answer is what etcd said to a transaction.
type answer struct {
	committed bool
	unsure    bool  // it was sent before, and may have been committed then
	revision  int64 // of the commit, or of the reads
	there     map[string]*mvccpb.KeyValue
	fence     fence
}

// holds reports whether a key holds exactly these bytes.
func (a answer) holds(key string, value []byte) bool {
	kv := a.there[key]
	return kv != nil && bytes.Equal(kv.Value, value)
}

// commit sends a transaction until etcd answers it definitely or ctx ends.
//
// An answer that is lost says nothing: the transaction may have been committed,
// or may be later, and a read that does not find it proves nothing (R2). The
// one thing that is always safe is to send the very same transaction again,
// because its compares let it be committed only once. Whether a refusal then
// means "already done by me" is for the caller to see in what was read.
func (s *Store) commit(ctx context.Context, t txn) (answer, error) {
	if err := t.check(); err != nil {
		return answer{}, err
	}
	if err := s.ready(ctx); err != nil {
		return answer{}, fmt.Errorf("%s: %w", t.doing, err)
	}
	var wait backoff
	for unsure := false; ; {
		if ctx.Err() != nil {
			return answer{}, t.gaveUp(unsure, endOf(ctx))
		}
		resp, sent, err := s.send(ctx, t)
		switch {
		case err == nil:
			s.worked()
			return t.answer(resp, unsure), nil
		case hopeless(err):
			return answer{}, t.gaveUp(unsure, err)
		case errors.Is(err, rpctypes.ErrNoSpace) && t.spare():
			s.log.WarnContext(ctx, "etcd is full: it is not recorded who did this", "doing", t.doing)
		case sent && maybeCommitted(err):
			unsure = true
		}
		s.suffered(ctx, t.doing, err)
		sleep(ctx, wait.next())
	}
}

// send sends it once. A shared lease that has ended made etcd refuse all of it;
// it is forgotten, so that the next sending has another one.
func (s *Store) send(ctx context.Context, t txn) (resp *clientv3.TxnResponse, sent bool, err error) {
	then, used := t.then, map[clientv3.LeaseID]bool{}
	for _, l := range t.leased {
		id, err := s.lease(ctx, l.expires)
		if err != nil {
			return nil, false, err
		}
		used[id] = true
		then = append(slices.Clip(then), clientv3.OpPut(l.key, string(l.value), clientv3.WithLease(id)))
	}
	resp, err = request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).If(t.cmps...).Then(then...).Else(t.gets()...).Commit()
	})
	if leaseLost(err) {
		s.leases.lost(used)
	}
	return resp, true, err
}

// maybeCommitted reports whether a transaction may have been committed although
// it was answered with err. Only these few answers rule it out.
func maybeCommitted(err error) bool {
	switch {
	case leaseLost(err), errors.Is(err, errNotConnected), errors.Is(err, rpctypes.ErrTooManyRequests),
		errors.Is(err, rpctypes.ErrAuthOldRevision), errors.Is(err, rpctypes.ErrUserEmpty),
		codeOf(err) == codes.Unauthenticated:
		return false
	}
	return true
}

func (t txn) gets() []clientv3.Op {
	ops := make([]clientv3.Op, len(t.reads))
	for i, key := range t.reads {
		ops[i] = clientv3.OpGet(key)
	}
	return ops
}

func (t txn) answer(resp *clientv3.TxnResponse, unsure bool) answer {
	a := answer{
		committed: resp.Succeeded, unsure: unsure, revision: resp.Header.Revision,
		there: map[string]*mvccpb.KeyValue{}, fence: t.fence,
	}
	if resp.Succeeded {
		return a
	}
	for _, r := range resp.Responses {
		for _, kv := range r.GetResponseRange().GetKvs() {
			a.there[string(kv.Key)] = kv
		}
	}
	if unsure && t.audit != nil && a.holds(t.audit.key, t.audit.value) {
		a.committed, a.revision = true, a.there[t.audit.key].ModRevision
	}
	return a
}

// check refuses what cannot be written and what etcd would refuse.
func (t txn) check() error {
	if t.err != nil {
		return fmt.Errorf("%s: %w", t.doing, t.err)
	}
	if n := max(len(t.cmps), len(t.then)+len(t.leased), len(t.reads)); n > maxOps {
		return coordinator.Invalidf("%s: it takes %d operations, and one transaction can have %d; change fewer tokens at once", t.doing, n, maxOps)
	}
	return nil
}

func (t txn) gaveUp(unsure bool, err error) error {
	if unsure {
		return fmt.Errorf("%s: %w: %w", t.doing, coordinator.ErrAmbiguous, err)
	}
	return fmt.Errorf("%s: %w", t.doing, err)
}

// refused says why a transaction was not committed, after the caller has made
// sure that it was not by an earlier sending.
func (s *Store) refused(t txn, a answer) error {
	if !a.fenceBroken() {
		return fmt.Errorf("%s: %w", t.doing, coordinator.ErrConflict)
	}
	s.stepDown(a.fence.epoch)
	return fmt.Errorf("%s: %w", t.doing, coordinator.ErrFenced)
}

func (a answer) fenceBroken() bool {
	if a.fence == (fence{}) {
		return false
	}
	kv := a.there[a.fence.key]
	return kv == nil || kv.CreateRevision != int64(a.fence.epoch)
}

// fenceOf finds the election key of an epoch. Our own are known; one that is
// not among the candidates any more is over for ever.
func (s *Store) fenceOf(ctx context.Context, epoch coordinator.Epoch) (fence, error) {
	if r := s.leading.Load(); r != nil && r.epoch == epoch {
		return fence{key: r.key, epoch: epoch}, nil
	}
	if err := s.ready(ctx); err != nil {
		return fence{}, err
	}
	resp, err := insist(ctx, s, "looking for the election key", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, s.keys.candidates(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	})
	if err != nil {
		return fence{}, err
	}
	for _, kv := range resp.Kvs {
		if kv.CreateRevision == int64(epoch) {
			return fence{key: string(kv.Key), epoch: epoch}, nil
		}
	}
	return fence{}, coordinator.ErrFenced
}

// fenced begins a transaction that compares an epoch.
func (s *Store) fenced(ctx context.Context, epoch coordinator.Epoch, doing string) (txn, error) {
	t := txn{doing: doing}
	f, err := s.fenceOf(ctx, epoch)
	if err != nil {
		return t, fmt.Errorf("%s: %w", doing, err)
	}
	t.fenceBy(f)
	return t, nil
}
