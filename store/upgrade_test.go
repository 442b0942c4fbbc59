package store

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"freshet/coordinator"
)

// asNewer is a record as a newer build writes it, with a field of its own.
func asNewer(record []byte) []byte {
	field := protowire.AppendTag(nil, 60, protowire.BytesType)
	return append(bytes.Clone(record), protowire.AppendBytes(field, []byte("of a newer build"))...)
}

// pin writes records that are not pinned yet; those that are never change.
var pin = flag.Bool("pin", false, "pin the stored form of records that are not pinned yet") //nolint:gochecknoglobals // a flag

// Every build reads what the first one wrote, for ever, and goes on to write it
// until the cluster's format is raised.
func TestRecordsOfFormat1AreReadForEver(t *testing.T) {
	k := newKeys("/p")
	next := codec{keys: k, formats: newFormats()}
	next.newest = formatNewest + 1
	must(t, next.adopt(1))
	for _, r := range samples() {
		name := strings.ReplaceAll(strings.TrimPrefix(k.of(r), k.root), "/", "_") + ".bin"
		file := filepath.Join("testdata", "format1", name)
		if _, err := os.Stat(file); *pin && os.IsNotExist(err) {
			must(t, os.WriteFile(file, encodeRecord(r), 0o644))
		}
		value, err := os.ReadFile(file)
		must(t, err)
		empty, _ := k.identify(k.of(r))
		got, err := next.decode(empty, value, 0)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if again := next.plain(got); !bytes.Equal(again, value) {
			t.Errorf("%s is read as %+v, which is written as %x, want %x", file, got, again, value)
		}
	}
}

func TestFieldsOfANewerBuildAreKept(t *testing.T) {
	k := newKeys("/p")
	for _, r := range samples() {
		switch r.(type) {
		case coordinator.App, coordinator.State, coordinator.Grant, coordinator.Budget:
		default:
			continue // it is never written from what was read
		}
		stored := asNewer(encodeRecord(r))
		empty, _ := k.identify(k.of(r))
		read, err := decodeRecord(empty, stored, 0)
		must(t, err)
		if again := encodeRecord(read); !bytes.Equal(again, stored) {
			t.Errorf("%s is written as %x, want as it was read: %x", k.of(r), again, stored)
		}
	}
}

// A node of this build and one of the next work on one state, in turn.
func TestNodesOfTwoBuildsChangeOneState(t *testing.T) {
	b := newBench(t)
	key := b.s.keys.state(shop)
	newer := func() {
		kvs := at(t, b.raw, key).Kvs
		must(t, second(b.raw.Put(soon(t), key, string(asNewer(kvs[0].Value)))))
	}
	newer()
	state := b.look().States[0]
	state.Failures++
	must(t, b.s.Note(soon(t), coordinator.Note{Epoch: b.epoch, State: state}))
	if value := at(t, b.raw, key).Kvs[0].Value; !bytes.HasSuffix(value, []byte("of a newer build")) {
		t.Errorf("what the newer build has written is gone: %x", value)
	}
	if got := b.look().States[0]; got.Failures != state.Failures {
		t.Errorf("%d failures are noted, want %d", got.Failures, state.Failures)
	}
}
