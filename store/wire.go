package store

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"freshet/coordinator"
)

// wire writes the fields of a record or reads them. Every record is described
// once, by a function that names its fields to a wire, so that writing and
// reading cannot differ. The bytes are those of Protocol Buffers: fields are
// tagged with a number and a type, zero values are left out, and a field of a
// newer build is kept where the record may be written again (see newer), else
// skipped.
type wire struct {
	reading bool
	out     []byte  // when writing
	in      []field // when reading
	err     error   // first mistake found when reading
}

// field is one field as read.
type field struct {
	number number
	kind   protowire.Type
	value  uint64
	bytes  []byte
	raw    []byte // tag and value
}

type number = protowire.Number

// parseFields splits an encoded message. It never panics, whatever it is given.
func parseFields(b []byte) ([]field, error) {
	fields := make([]field, 0, min(16, len(b)/2))
	for len(b) > 0 {
		n, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return nil, protowire.ParseError(tag)
		}
		f := field{number: n, kind: kind}
		size := f.consume(b[tag:])
		if size < 0 {
			return nil, protowire.ParseError(size)
		}
		f.raw, b = b[:tag+size], b[tag+size:]
		fields = append(fields, f)
	}
	return fields, nil
}

// consume reads the field's value and returns how many bytes it took.
func (f *field) consume(b []byte) (size int) {
	switch f.kind {
	case protowire.VarintType:
		f.value, size = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		f.value, size = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		f.bytes, size = protowire.ConsumeBytes(b)
	default:
		size = protowire.ConsumeFieldValue(f.number, f.kind, b)
	}
	return size
}

// each yields the fields of a number; one of another type is a mistake.
func (w *wire) each(n number, kind protowire.Type) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for _, f := range w.in {
			switch {
			case f.number != n:
				continue
			case f.kind != kind:
				w.fail(fmt.Errorf("field %d has wire type %d, want %d", n, f.kind, kind))
				return
			case !yield(f):
				return
			}
		}
	}
}

func (w *wire) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *wire) putNumber(n number, v uint64) {
	w.out = protowire.AppendTag(w.out, n, protowire.VarintType)
	w.out = protowire.AppendVarint(w.out, v)
}

func (w *wire) putBytes(n number, b []byte) {
	w.out = protowire.AppendTag(w.out, n, protowire.BytesType)
	w.out = protowire.AppendBytes(w.out, b)
}

func text[T ~string](w *wire, n number, p *T) {
	if !w.reading {
		if *p != "" {
			w.out = protowire.AppendTag(w.out, n, protowire.BytesType)
			w.out = protowire.AppendString(w.out, string(*p))
		}
		return
	}
	for f := range w.each(n, protowire.BytesType) {
		*p = T(f.bytes)
	}
}

func integer[T ~int | ~int64](w *wire, n number, p *T) {
	if !w.reading {
		if *p != 0 {
			w.putNumber(n, protowire.EncodeZigZag(int64(*p)))
		}
		return
	}
	for f := range w.each(n, protowire.VarintType) {
		*p = T(protowire.DecodeZigZag(f.value))
	}
}

func (w *wire) flag(n number, p *bool) {
	if !w.reading {
		if *p {
			w.putNumber(n, 1)
		}
		return
	}
	for f := range w.each(n, protowire.VarintType) {
		*p = f.value != 0
	}
}

func (w *wire) float(n number, p *float64) {
	if !w.reading {
		if *p != 0 {
			w.out = protowire.AppendTag(w.out, n, protowire.Fixed64Type)
			w.out = protowire.AppendFixed64(w.out, math.Float64bits(*p))
		}
		return
	}
	for f := range w.each(n, protowire.Fixed64Type) {
		*p = math.Float64frombits(f.value)
	}
}

// ownNumbers begin the fields that say, outside of etcd, which record it is.
const ownNumbers number = 101

// newer keeps the fields above the last one that this build knows, as they are:
// a node of an older build that changes a record must not lose what a newer one
// has written into it. Within a part of a record they are not kept.
func (w *wire) newer(last number, p *coordinator.Secret) {
	if !w.reading {
		w.out = append(w.out, p.Reveal()...)
		return
	}
	var kept []byte
	for _, f := range w.in {
		if f.number > last && f.number < ownNumbers {
			kept = append(kept, f.raw...)
		}
	}
	if len(kept) > 0 {
		*p = coordinator.NewSecret(string(kept))
	}
}

// secret reveals a secret to what is stored, and only there.
func (w *wire) secret(n number, p *coordinator.Secret) {
	if !w.reading {
		if !p.IsZero() {
			w.putBytes(n, []byte(p.Reveal()))
		}
		return
	}
	for f := range w.each(n, protowire.BytesType) {
		*p = coordinator.NewSecret(string(f.bytes))
	}
}

func (w *wire) digest(n number, p *coordinator.Digest) {
	if !w.reading {
		if *p != (coordinator.Digest{}) {
			w.putBytes(n, p[:])
		}
		return
	}
	for f := range w.each(n, protowire.BytesType) {
		if copy(p[:], f.bytes) != len(p) || len(f.bytes) != len(p) {
			w.fail(fmt.Errorf("field %d is a digest of %d bytes, want %d", n, len(f.bytes), len(p)))
		}
	}
}

// instant keeps a time to the nanosecond, in UTC, for any year. The zero time is
// left out; any other is there, if with nothing in it.
func (w *wire) instant(n number, p *time.Time) {
	if !w.reading {
		if !p.IsZero() {
			inner := wire{}
			instantFields(&inner, p)
			w.putBytes(n, inner.out)
		}
		return
	}
	for f := range w.each(n, protowire.BytesType) {
		w.readPart(f.bytes, func(inner *wire) { instantFields(inner, p) })
	}
}

func instantFields(w *wire, p *time.Time) {
	var seconds, nanos int64
	if !w.reading {
		seconds, nanos = p.Unix(), int64(p.Nanosecond())
	}
	integer(w, 1, &seconds)
	integer(w, 2, &nanos)
	if w.reading {
		*p = time.Unix(seconds, nanos).UTC()
	}
}

// part is a message within the message, left out where nothing is in it.
func part[T any](w *wire, n number, p *T, fields func(*wire, *T)) {
	if !w.reading {
		inner := wire{}
		fields(&inner, p)
		if len(inner.out) > 0 {
			w.putBytes(n, inner.out)
		}
		return
	}
	for f := range w.each(n, protowire.BytesType) {
		w.readPart(f.bytes, func(inner *wire) { fields(inner, p) })
	}
}

func (w *wire) readPart(b []byte, read func(*wire)) {
	in, err := parseFields(b)
	if err != nil {
		w.fail(err)
		return
	}
	inner := wire{reading: true, in: in}
	read(&inner)
	if inner.err != nil {
		w.fail(inner.err)
	}
}

// list is a message for each element, in order.
func list[T any](w *wire, n number, p *[]T, fields func(*wire, *T)) {
	if !w.reading {
		for i := range *p {
			inner := wire{}
			fields(&inner, &(*p)[i])
			w.putBytes(n, inner.out)
		}
		return
	}
	for f := range w.each(n, protowire.BytesType) {
		var v T
		w.readPart(f.bytes, func(inner *wire) { fields(inner, &v) })
		*p = append(*p, v)
	}
}

// dict is a message for each entry, sorted by key: field 1 is the key, and the
// fields of the value follow.
func dict[K ~string, V any](w *wire, n number, p *map[K]V, fields func(*wire, *V)) {
	entry := func(w *wire, k *K, v *V) {
		text(w, 1, k)
		fields(w, v)
	}
	if !w.reading {
		for _, k := range slices.Sorted(maps.Keys(*p)) {
			inner, v := wire{}, (*p)[k]
			entry(&inner, &k, &v)
			w.putBytes(n, inner.out)
		}
		return
	}
	for f := range w.each(n, protowire.BytesType) {
		var k K
		var v V
		w.readPart(f.bytes, func(inner *wire) { entry(inner, &k, &v) })
		if *p == nil {
			*p = map[K]V{}
		}
		(*p)[k] = v
	}
}

// The values of maps that are no messages of their own.

func textValue(w *wire, p *string)               { text(w, 2, p) }
func integerValue(w *wire, p *int64)             { integer(w, 2, p) }
func secretValue(w *wire, p *coordinator.Secret) { w.secret(2, p) }
func textsValue(w *wire, p *[]string) {
	list(w, 2, p, func(w *wire, s *string) { text(w, 1, s) })
}
