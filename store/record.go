package store

import (
	"bytes"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"freshet/coordinator"
)

// A record is stored as
//
//	format (1 byte) | seal key id (1 byte) | fields
//
// Its identity is in the etcd key and its revision is etcd's; neither is
// repeated. A seal key id of 0 means that the fields are not sealed; see codec.
//
// What the cluster's format is, sys/schema says; see formats.
const (
	unsealed = 0
	header   = 2
)

// ErrUnsupported means that what is kept in etcd, or etcd itself, cannot be
// used by this build. Trying again does not help.
var ErrUnsupported = errors.New("this build cannot work with this cluster")

// encode returns the stored form of what fields describes, in the first format,
// which every build reads.
func encode[T any](record T, fields func(*wire, *T)) []byte {
	w := wire{out: make([]byte, header, 128)}
	w.out[0], w.out[1] = formatFirst, unsealed
	fields(&w, &record)
	return w.out
}

// decode reads the stored form, whose format was checked, into record. It never
// panics, whatever value holds.
func decode[T any](value []byte, record *T, fields func(*wire, *T)) error {
	switch {
	case len(value) < header:
		return errors.New("it is cut short")
	case value[1] != unsealed:
		return errors.New("it is sealed, and no record of this kind is") // codec opens those that are
	}
	in, err := parseFields(value[header:])
	if err != nil {
		return err
	}
	w := wire{reading: true, in: in}
	fields(&w, record)
	return w.err
}

// encodeRecord returns the stored form of any record in the first format, not
// sealed: codec.encode and codec.plain are for what is written.
func encodeRecord(record coordinator.Record) []byte {
	switch r := record.(type) {
	case coordinator.App:
		return encode(r, appFields)
	case coordinator.Credentials:
		return encode(r, credentialsFields)
	case coordinator.State:
		return encode(r, stateFields)
	case coordinator.Token:
		return encode(r, tokenFields)
	case coordinator.Grant:
		return encode(r, grantFields)
	case coordinator.Intent:
		return encode(r, intentFields)
	case coordinator.Salvage:
		return encode(r, salvageFields)
	case coordinator.Request:
		return encode(r, requestFields)
	case coordinator.Input:
		return encode(r, inputFields)
	case coordinator.Budget:
		return encode(r, budgetFields)
	case coordinator.Client:
		return encode(r, clientFields)
	default:
		return encodeClusterRecord(record)
	}
}

func encodeClusterRecord(record coordinator.Record) []byte {
	switch r := record.(type) {
	case coordinator.NodeInfo:
		return encode(r, nodeFields)
	case coordinator.Heartbeat:
		return encode(r, heartbeatFields)
	case coordinator.Elected:
		return encode(r, electedFields)
	case coordinator.Paused:
		return encode(r, pausedFields)
	case coordinator.Bar:
		return encode(r, barFields)
	case coordinator.FingerprintKey:
		return encode(r, fingerprintFields)
	case coordinator.AppliedFile:
		return encode(r, appliedFields)
	case coordinator.Audit:
		return encode(r, auditFields)
	}
	return nil // no other kind of record exists
}

// sameRecord reports whether two records say the same, at whatever revision and
// in whatever format.
func sameRecord(a, b coordinator.Record) bool { return bytes.Equal(encodeRecord(a), encodeRecord(b)) }

// decodeRecord completes an identified record with what is stored for it, not
// sealed and of a format that was checked.
func decodeRecord(record coordinator.Record, value []byte, revision int64) (coordinator.Record, error) {
	var err error
	switch r := record.(type) {
	case coordinator.App:
		r.Revision, err = revision, decode(value, &r, appFields)
		return r, err
	case coordinator.Credentials:
		r.Revision, err = revision, decode(value, &r, credentialsFields)
		return r, err
	case coordinator.State:
		r.Revision, err = revision, decode(value, &r, stateFields)
		return r, err
	case coordinator.Token:
		r.Revision, err = revision, decode(value, &r, tokenFields)
		return r, err
	case coordinator.Grant:
		r.Revision, err = revision, decode(value, &r, grantFields)
		return r, err
	case coordinator.Intent:
		r.Revision, err = revision, decode(value, &r, intentFields)
		return r, err
	case coordinator.Salvage:
		r.Revision, err = revision, decode(value, &r, salvageFields)
		return r, err
	case coordinator.Request:
		r.Revision, err = revision, decode(value, &r, requestFields)
		return r, err
	case coordinator.Input:
		r.Revision, err = revision, decode(value, &r, inputFields)
		return r, err
	case coordinator.Budget:
		r.Revision, err = revision, decode(value, &r, budgetFields)
		return r, err
	case coordinator.Client:
		r.Revision, err = revision, decode(value, &r, clientFields)
		return r, err
	default:
		return decodeClusterRecord(record, value, revision)
	}
}

func decodeClusterRecord(record coordinator.Record, value []byte, revision int64) (coordinator.Record, error) {
	var err error
	switch r := record.(type) {
	case coordinator.NodeInfo:
		r.Revision, err = revision, decode(value, &r, nodeFields)
		return r, err
	case coordinator.Heartbeat:
		r.Revision, err = revision, decode(value, &r, heartbeatFields)
		return r, err
	case coordinator.Elected:
		r.Revision, err = revision, decode(value, &r, electedFields)
		return r, err
	case coordinator.Paused:
		r.Revision, err = revision, decode(value, &r, pausedFields)
		return r, err
	case coordinator.Bar:
		r.Revision, err = revision, decode(value, &r, barFields)
		return r, err
	case coordinator.FingerprintKey:
		r.Revision, err = revision, decode(value, &r, fingerprintFields)
		return r, err
	case coordinator.AppliedFile:
		r.Revision, err = revision, decode(value, &r, appliedFields)
		return r, err
	case coordinator.Audit:
		r.Revision, err = revision, decode(value, &r, auditFields)
		return r, err
	}
	return nil, fmt.Errorf("%T is no record", record)
}

// recordOf reads the record of one key as the kind R; false where there is none.
func recordOf[R coordinator.Record](c codec, kv *mvccpb.KeyValue) (R, bool, error) {
	var none R
	if kv == nil {
		return none, false, nil
	}
	record, ok := c.identify(string(kv.Key))
	if !ok {
		return none, false, fmt.Errorf("reading %q: it is no record", kv.Key)
	}
	record, err := c.decode(record, kv.Value, kv.ModRevision)
	if err != nil {
		return none, false, fmt.Errorf("reading %q: %w", kv.Key, err)
	}
	r, ok := record.(R)
	if !ok {
		return none, false, fmt.Errorf("reading %q: it holds %T, want %T", kv.Key, record, none)
	}
	return r, true, nil
}
