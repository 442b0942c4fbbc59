package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

const (
	resealEvery = 30 * time.Second // between two looks at what is left to seal anew
	resealMax   = 10 * time.Minute // as long as looking does not help
)

// canOpen makes sure that this node has the cluster's seal keys before it stands
// for election: a refresher without them would lead and could not refresh.
func (s *Store) canOpen(ctx context.Context) error {
	resp, err := insist(ctx, s, "looking at the seal keys", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, s.keys.fingerprint())
	})
	if err != nil || len(resp.Kvs) == 0 {
		return err
	}
	_, _, err = recordOf[coordinator.FingerprintKey](s.codec, resp.Kvs[0])
	return err
}

// keepSealed seals anew, for as long as we lead, what is sealed with another
// than the primary key or not at all. Nobody waits for it: a record is sealed
// with the primary key whenever it is written.
func (s *Store) keepSealed(ctx context.Context, f fence) {
	if s.codec.ring == nil {
		return
	}
	wait, done := s.resealEvery, uint8(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.codec.newKeys():
			wait = s.resealEvery // other nodes need time to read them as well
			if !sleep(ctx, wait) {
				return
			}
		case <-time.After(wait): // the time of a new key to seal may have come
		}
		id := s.codec.ring.ID()
		if id == done {
			continue
		}
		left, err := s.resealAll(ctx, f, id)
		if err == nil && left == 0 {
			wait, done = s.resealEvery, id
		} else {
			wait = min(2*wait, resealMax)
		}
	}
}

// resealAll goes over all secret records once and returns how many are left to
// be sealed with the key of this id.
func (s *Store) resealAll(ctx context.Context, f fence, id uint8) (left int, err error) {
	if lacks, err := s.lacksKey(ctx, id); err != nil || lacks != "" {
		if lacks != "" {
			s.log.InfoContext(ctx, "records are not sealed anew yet: a node has not read the new seal key", "seal_key", id, "lacks_it", lacks)
		}
		return 1, err
	}
	done := 0
	err = s.eachSecret(ctx, func(kv *mvccpb.KeyValue) error {
		if isSealed(kv.Value) && kv.Value[1] == id {
			return nil
		}
		switch ok, err := s.reseal(ctx, f, kv); {
		case errors.Is(err, coordinator.ErrFenced), ctx.Err() != nil:
			return err
		case err != nil:
			left++
			s.log.WarnContext(ctx, "a record cannot be sealed anew", "key", string(kv.Key), "err", err)
		case ok:
			done++
		default:
			left++
		}
		return nil
	})
	if done > 0 {
		s.log.InfoContext(ctx, "records were sealed anew", "seal_key", id, "records", done, "left", left)
	}
	return left, err
}

// lacksKey names a node that does not have a seal key; "" if all do. It could
// not read what is sealed with it.
func (s *Store) lacksKey(ctx context.Context, id uint8) (string, error) {
	resp, err := insist(ctx, s, "reading what seal keys nodes have", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.get(ctx, s.keys.nodes(), clientv3.WithPrefix())
	})
	if err != nil {
		return "", err
	}
	for _, kv := range resp.Kvs {
		n, _, err := recordOf[coordinator.NodeInfo](s.codec, kv)
		if err != nil {
			return "", err
		}
		if !slices.Contains(n.SealKeys, int(id)) {
			return n.Name, nil
		}
	}
	return "", nil
}

// reseal seals one record with the primary key, if we lead, nothing happened to
// it, and no attempt of its app is open: to change what an attempt compares
// would make it read all again.
func (s *Store) reseal(ctx context.Context, f fence, kv *mvccpb.KeyValue) (done bool, err error) {
	key, value := string(kv.Key), kv.Value
	if err := s.codec.reads(value); err != nil {
		return false, err
	}
	if isSealed(value) {
		if value, err = s.codec.open(key, value); err != nil {
			return false, err
		}
	}
	record, ok := s.keys.identify(key)
	if !ok || !isSecret(record) {
		return true, nil // not of this build: left as it is
	}
	if _, err := decodeRecord(record, value, kv.ModRevision); err != nil {
		return false, err
	}
	sealed, err := s.codec.seal(key, value)
	if err != nil {
		return false, err
	}
	t := txn{doing: fmt.Sprintf("sealing %q anew", key)}
	t.fenceBy(f)
	t.mod(key, kv.ModRevision)
	if app := appOf(record); app != "" {
		t.cmps = append(t.cmps, clientv3.Compare(clientv3.ModRevision(s.keys.intentsOf(app)).WithPrefix(), "=", 0))
	}
	t.then = append(t.then, clientv3.OpPut(key, string(sealed), clientv3.WithIgnoreLease())) // it keeps the lease it has
	a, err := s.commit(ctx, t)
	if err != nil || a.committed {
		return a.committed, err
	}
	if err := s.refused(t, a); errors.Is(err, coordinator.ErrFenced) {
		return false, err
	}
	return false, nil
}

// appOf names the app a secret record belongs to.
func appOf(record coordinator.Record) string {
	switch r := record.(type) {
	case coordinator.Credentials:
		return r.App
	case coordinator.Grant:
		return r.App
	case coordinator.Token:
		return r.Name.App
	case coordinator.Input:
		return r.Name.App
	case coordinator.Salvage:
		return r.App
	}
	return ""
}

// eachSecret calls do for every record that isSecret names, until it fails.
func (s *Store) eachSecret(ctx context.Context, do func(*mvccpb.KeyValue) error) error {
	for _, prefix := range s.keys.secrets() {
		next, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
		for next != "" {
			page, err := s.page(ctx, next, end, 0)
			if err != nil {
				return err
			}
			next = ""
			for _, kv := range page.Kvs {
				if err := do(kv); err != nil {
					return err
				}
				if page.More {
					next = string(kv.Key) + "\x00"
				}
			}
		}
	}
	return nil
}

// Seals counts the secret records in etcd by the seal key they are sealed with.
func (s *Store) Seals(ctx context.Context) (coordinator.Seals, error) {
	seals := coordinator.Seals{Records: map[int]int{}}
	if s.codec.ring != nil {
		seals.Primary = int(s.codec.ring.ID())
		for _, key := range s.codec.ring.Keys() {
			seals.Records[int(key.ID)] = 0
		}
	}
	if err := s.ready(ctx); err != nil {
		return seals, err
	}
	err := s.eachSecret(ctx, func(kv *mvccpb.KeyValue) error {
		id := unsealed
		if isSealed(kv.Value) {
			id = int(kv.Value[1])
		}
		seals.Records[id]++
		return nil
	})
	return seals, err
}

// describe completes what a node says of itself with the formats it reads and
// the seal keys it has.
func (s *Store) describe(info coordinator.NodeInfo) coordinator.NodeInfo {
	info.SchemaMin, info.SchemaMax = s.codec.oldest, s.codec.newest
	if s.codec.ring == nil {
		return info
	}
	info.SealKeys = nil
	for _, key := range s.codec.ring.Keys() {
		info.SealKeys = append(info.SealKeys, int(key.ID))
	}
	return info
}
