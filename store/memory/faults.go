package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"freshet/coordinator"
)

// Op names an operation of a Store for its faults.
type Op string

// The operations that can be made to fail.
const (
	OpRead           Op = "read"
	OpOpen           Op = "open"
	OpPublish        Op = "publish"
	OpSalvage        Op = "salvage"
	OpDropSalvage    Op = "drop_salvage"
	OpVoid           Op = "void"
	OpAsk            Op = "ask"
	OpNote           Op = "note"
	OpPutInput       Op = "put_input"
	OpTakeInput      Op = "take_input"
	OpBeat           Op = "beat"
	OpPutApp         Op = "put_app"
	OpDeleteApp      Op = "delete_app"
	OpPutClient      Op = "put_client"
	OpDeleteClient   Op = "delete_client"
	OpPutPaused      Op = "put_paused"
	OpPutBar         Op = "put_bar"
	OpDeleteBar      Op = "delete_bar"
	OpPutAppliedFile Op = "put_applied_file"
	OpLiftBars       Op = "lift_bars"
	OpAudit          Op = "audit"
	OpTrimAudit      Op = "trim_audit"
)

// fault is what happens to one call.
type fault struct {
	err     error // returned; nil: the answer is lost and the call goes on
	persist bool
	held    *Held
}

// FailNext makes the next n calls of op return err, after having been committed
// (if their compares hold) or not. Faults of one operation happen in the order
// they were set.
func (s *Store) FailNext(op Op, n int, persist bool, err error) {
	for range n {
		s.addFault(op, fault{err: err, persist: persist})
	}
}

// LoseAnswer makes the next call of op lose the answer to what it sends first,
// which is committed or not. The call then sends the same transaction again,
// and finds out. In a partition the first send still arrives if it persists.
func (s *Store) LoseAnswer(op Op, persist bool) {
	s.addFault(op, fault{persist: persist})
}

// HoldNext holds the next call of op on its way to the cluster until Deliver.
func (s *Store) HoldNext(op Op) *Held {
	h := &Held{cluster: s.cluster, arrived: make(chan struct{}), answered: make(chan struct{})}
	s.addFault(op, fault{held: h})
	return h
}

// Held is a transaction on its way. A call whose context ends meanwhile returns
// ErrAmbiguous, and its transaction may be committed all the same, later.
type Held struct {
	cluster  *Cluster
	t        transaction // set before arrived is closed
	arrived  chan struct{}
	answered chan struct{}
	once     sync.Once
}

// Sent is closed when the call has sent its transaction.
func (h *Held) Sent() <-chan struct{} { return h.arrived }

// Deliver waits for the transaction to be sent, commits it if its compares hold
// now, and lets the call go on if it still waits. It returns what the cluster
// says to the transaction, nil for a commit.
func (h *Held) Deliver() error {
	<-h.arrived
	var err error
	h.once.Do(func() {
		_, err = h.cluster.commit(h.t, false)
		close(h.answered)
	})
	return err
}

func (s *Store) addFault(op Op, f fault) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.faults[op] = append(s.faults[op], f)
}

func (s *Store) nextFault(op Op) (fault, bool) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	faults := s.faults[op]
	if len(faults) == 0 {
		return fault{}, false
	}
	s.faults[op] = faults[1:]
	return faults[0], true
}

// suffer lets a fault happen to a transaction. It reports whether the call has
// its answer; if not, the transaction is to be sent again.
func (s *Store) suffer(ctx context.Context, f fault, t transaction) (answered bool, err error) {
	if f.held != nil {
		f.held.t = t
		close(f.held.arrived)
		select {
		case <-f.held.answered:
			return false, nil
		case <-ctx.Done():
			return true, fmt.Errorf("%w: %w", coordinator.ErrAmbiguous, ctx.Err())
		}
	}
	if f.persist {
		_, _ = s.cluster.commit(t, false)
	}
	return f.err != nil, f.err
}

// Partition cuts the node off: calls wait, watches are silent, sessions are not
// renewed.
func (s *Store) Partition() { s.setCut(true) }

// Heal ends a partition.
func (s *Store) Heal() { s.setCut(false) }

func (s *Store) setCut(cut bool) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.cluster.expireLocked()
	s.cut = cut
	s.cluster.wakeLocked()
}

// LoseSession makes the cluster drop all the node's sessions: its candidacy or
// leadership, and its registration. The node is told at once, or it notices by
// its own clock or by a fenced write.
func (s *Store) LoseSession(told bool) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	for _, held := range slices.Clone(c.sessions) {
		if held.store == s {
			held.deaf = !told
			c.endLocked(held)
		}
	}
	c.wakeLocked()
}

// DeleteElectionKey removes the node's election key as an operator's mistake
// would; its session lives on. It reports whether there was one.
func (s *Store) DeleteElectionKey() bool {
	return s.cluster.deleteElectionKey(func(e *entry) bool { return e.session.store == s })
}

// DeleteElectionKey removes the election key of an epoch and reports whether there was one.
func (c *Cluster) DeleteElectionKey(epoch coordinator.Epoch) bool {
	return c.deleteElectionKey(func(e *entry) bool { return e.create == int64(epoch) })
}

func (c *Cluster) deleteElectionKey(chosen func(*entry) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked()
	for id, e := range c.keys[kindElection] {
		if chosen(e) {
			c.updateLocked(func(t *tx) { t.delete(key{kindElection, id}) })
			return true
		}
	}
	return false
}
