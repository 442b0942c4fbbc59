package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"freshet/coordinator"
	"freshet/store/seal"
)

// codec turns records into what is stored, and back. What is secret it seals
// with the keyring, if there is one; what is not sealed it reads all the same,
// so that a cluster can begin to seal at any time.
type codec struct {
	keys
	*formats
	ring *seal.Keyring // nil: nothing is sealed
}

// isSecret reports whether the fields of a record are sealed.
func isSecret(record coordinator.Record) bool {
	switch record.(type) {
	case coordinator.Credentials, coordinator.Grant, coordinator.Token, coordinator.Input, coordinator.Salvage, coordinator.FingerprintKey:
		return true
	}
	return false
}

// secrets are the prefixes of all records that isSecret names.
func (k keys) secrets() []string {
	return []string{k.fingerprint(), k.root + "credentials/", k.root + "grants/", k.root + "inputs/", k.root + "salvage/", k.root + "tokens/"}
}

// plain returns the stored form of a record that holds no secret.
func (c codec) plain(record coordinator.Record) []byte {
	value := encodeRecord(record)
	value[0] = c.written()
	return value
}

// encode returns the stored form of a record.
func (c codec) encode(record coordinator.Record) ([]byte, error) {
	value := c.plain(record)
	if c.ring == nil || !isSecret(record) {
		return value, nil
	}
	return c.seal(c.of(record), value)
}

// seal returns a stored form that is not sealed in its sealed form. What the
// keyring returns begins with the id of the key, which is the second byte of the header.
func (c codec) seal(key string, value []byte) ([]byte, error) {
	sealed, err := c.ring.Seal(value[header:], about(key, value[0]))
	if err != nil {
		return nil, fmt.Errorf("sealing %q: %w", key, err)
	}
	return append([]byte{value[0]}, sealed...), nil
}

// open returns a stored form that is sealed in the form that is not.
func (c codec) open(key string, value []byte) ([]byte, error) {
	if c.ring == nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, &seal.UnknownKeyError{ID: value[1]})
	}
	fields, err := c.ring.Open(value[1:], about(key, value[0]))
	if _, unknown := errors.AsType[*seal.UnknownKeyError](err); unknown {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{value[0], unsealed}, fields...), nil
}

// about is what a record is sealed about: its etcd key and its format, so that
// it opens nowhere else and as nothing else.
func about(key string, format byte) []byte { return append([]byte(key), format) }

// decode completes an identified record with what is stored for it.
func (c codec) decode(record coordinator.Record, value []byte, revision int64) (coordinator.Record, error) {
	if err := c.reads(value); err != nil {
		return nil, err
	}
	if isSealed(value) {
		opened, err := c.open(c.of(record), value)
		if err != nil {
			return nil, err
		}
		value = opened
	}
	return decodeRecord(record, value, revision)
}

// isSealed reports whether a stored form is one that must be opened first.
func isSealed(value []byte) bool { return len(value) >= header && value[1] != unsealed }

// unopened counts the records left out because their key is not here, so that
// all are listed again when it comes.
type unopened struct {
	count atomic.Int64
	said  atomic.Int64 // when people were told last, in Unix seconds
}

// leftOut tells people of a record whose key is not here, once every ten
// seconds: after a rotation that passed this node by there may be many.
func (s *Store) leftOut(ctx context.Context, err error) {
	s.unopened.count.Add(1)
	said, now := s.unopened.said.Load(), time.Now().Unix()
	if now-said < int64(sayEvery/time.Second) || !s.unopened.said.CompareAndSwap(said, now) {
		return
	}
	s.log.ErrorContext(ctx, "records are sealed with a key this node does not have and are left out", "err", err)
}

// newKeys returns a channel that is closed when seal keys come or go.
func (c codec) newKeys() <-chan struct{} {
	if c.ring == nil {
		return nil
	}
	return c.ring.Changed()
}

// awaitKeys waits until seal keys may have come.
func (s *Store) awaitKeys(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sayEvery)
	defer cancel()
	select {
	case <-s.codec.newKeys():
	case <-ctx.Done():
	}
}

// awaitsKey reports whether err may pass when a seal key arrives.
func awaitsKey(err error) bool {
	_, unknown := errors.AsType[*seal.UnknownKeyError](err)
	return unknown
}
