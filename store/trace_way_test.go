package store

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// way is the way of one node to etcd, on which its transactions can be held.
type way struct {
	mu    sync.Mutex
	holds []*hold
	deaf  chan struct{} // until it is closed no watch hears anything; nil: all hear
}

// hold keeps all transactions of a kind from being answered until it is lifted.
// The first of them is on its way all the while: etcd takes it only when deliver
// is called, or it has taken it and the answer comes when the hold is lifted.
type hold struct {
	chosen func(sending) bool
	taken  bool          // the first one is committed, and only its answer is late
	err    error         // of those that are held
	left   int           // how many it holds before it lifts itself; 0: it does not
	sent   chan struct{} // closed when the first has been sent
	lifted chan struct{}

	mu    sync.Mutex
	times int
	first func(context.Context) (*clientv3.TxnResponse, error)
}

func (w *way) add(h *hold) *hold {
	h.sent, h.lifted = make(chan struct{}), make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds = append(w.holds, h)
	return h
}

// hold holds what is chosen on its way to etcd.
func (w *way) hold(chosen func(sending) bool) *hold {
	return w.add(&hold{chosen: chosen, err: errNoAnswer})
}

// late lets etcd take the first that is chosen, and holds its answer.
func (w *way) late(chosen func(sending) bool) *hold {
	return w.add(&hold{chosen: chosen, err: errNoAnswer, taken: true})
}

// deny answers the next that is chosen with an error after which nobody tries again.
func (w *way) deny(chosen func(sending) bool) *hold {
	return w.add(&hold{chosen: chosen, err: status.Error(codes.PermissionDenied, "not now"), left: 1})
}

// deafen lets no watch hear anything any more.
func (w *way) deafen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = make(chan struct{})
}

// open undoes everything.
func (w *way) open() {
	w.mu.Lock()
	holds, deaf := w.holds, w.deaf
	w.deaf = nil
	w.mu.Unlock()
	for _, h := range holds {
		h.lift()
	}
	if deaf != nil {
		close(deaf)
	}
}

// of returns the hold that a transaction meets; nil: none.
func (w *way) of(s sending) *hold {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.holds {
		select {
		case <-h.lifted:
		default:
			if h.chosen(s) {
				return h
			}
		}
	}
	return nil
}

// suffer holds one transaction.
func (h *hold) suffer(ctx context.Context, commit func(context.Context) (*clientv3.TxnResponse, error)) (*clientv3.TxnResponse, error) {
	h.mu.Lock()
	h.times++
	first := h.times == 1
	if first {
		h.first = commit
	}
	if h.left > 0 && h.times == h.left {
		h.liftLocked()
	}
	h.mu.Unlock()
	if !first {
		return nil, h.err
	}
	if !h.taken {
		close(h.sent)
		return nil, h.err
	}
	resp, err := commit(ctx)
	close(h.sent)
	select {
	case <-h.lifted:
		return resp, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tries is how many transactions were held so far.
func (h *hold) tries() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.times
}

// lift lets everything pass from now on. What was on its way is lost.
func (h *hold) lift() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.liftLocked()
}

func (h *hold) liftLocked() {
	select {
	case <-h.lifted:
	default:
		close(h.lifted)
	}
}

// deliver lets etcd take what is on its way, and lifts the hold. It reports whether
// it was committed.
func (h *hold) deliver() (committed bool, err error) {
	<-h.sent
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resp, err := h.first(ctx)
	h.lift()
	return err == nil && resp.Succeeded, err
}

// spoil puts the way before a client.
func (w *way) spoil(c *clientv3.Client) {
	c.KV, c.Watcher = wayKV{c.KV, w}, wayWatcher{c.Watcher, w}
}

type wayKV struct {
	clientv3.KV
	way *way
}

func (kv wayKV) Txn(ctx context.Context) clientv3.Txn { return &wayTxn{kv: kv, ctx: ctx} }

type wayTxn struct {
	kv         wayKV
	ctx        context.Context //nolint:containedctx // of one transaction, as the client's own
	cmps       []clientv3.Cmp
	then, elze []clientv3.Op
}

func (t *wayTxn) If(cs ...clientv3.Cmp) clientv3.Txn {
	t.cmps = cs
	return t
}

func (t *wayTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	t.then = ops
	return t
}

func (t *wayTxn) Else(ops ...clientv3.Op) clientv3.Txn {
	t.elze = ops
	return t
}

func (t *wayTxn) Commit() (*clientv3.TxnResponse, error) {
	commit := func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return t.kv.KV.Txn(ctx).If(t.cmps...).Then(t.then...).Else(t.elze...).Commit()
	}
	if h := t.kv.way.of(sending{t.cmps, t.then}); h != nil {
		return h.suffer(t.ctx, commit)
	}
	return commit(t.ctx)
}

type wayWatcher struct {
	clientv3.Watcher
	way *way
}

// Watch passes on what is heard, once the way is not deaf.
func (w wayWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	heard, passed := w.Watcher.Watch(ctx, key, opts...), make(chan clientv3.WatchResponse)
	go func() {
		defer close(passed)
		for resp := range heard {
			w.way.mu.Lock()
			deaf := w.way.deaf
			w.way.mu.Unlock()
			if deaf != nil {
				select {
				case <-deaf:
				case <-ctx.Done():
				}
			}
			select {
			case passed <- resp:
			case <-ctx.Done():
			}
		}
	}()
	return passed
}

// sending is a transaction, by what it compares and does.
type sending struct {
	cmps []clientv3.Cmp
	then []clientv3.Op
}

// touches reports whether it puts, or deletes, a key of a section.
func (s sending) touches(section string, put bool) bool {
	for _, op := range s.then {
		if bytes.Contains(op.KeyBytes(), []byte(section)) && (put && op.IsPut() || !put && op.IsDelete()) {
			return true
		}
	}
	return false
}

// fenced reports whether it compares an election key.
func (s sending) fenced() bool {
	return slices.ContainsFunc(s.cmps, func(c clientv3.Cmp) bool { return bytes.Contains(c.KeyBytes(), []byte("/sys/election/")) })
}

func opens(s sending) bool     { return s.touches("/intents/", true) }
func publishes(s sending) bool { return s.touches("/tokens/", true) }
func saves(s sending) bool     { return publishes(s) && !s.fenced() } // without leadership
func beats(s sending) bool     { return s.touches("/sys/heartbeat", true) }
func voids(s sending) bool     { return len(s.then) == 1 && s.touches("/intents/", false) }

// looks are the reads of a fetch group.
func looks(s sending) bool { return len(s.then) > 2 && s.then[0].IsGet() }

func everyTxn(sending) bool { return true }
