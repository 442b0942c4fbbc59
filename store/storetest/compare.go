package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"freshet/coordinator"
)

// options compare records: secrets by their text, empty like nil.
func options() cmp.Options {
	return cmp.Options{
		cmp.Transformer("Reveal", coordinator.Secret.Reveal),
		cmpopts.EquateEmpty(),
	}
}

func diff(want, got any) string { return cmp.Diff(want, got, options()) }

func diffRecords(want, got []coordinator.Record) string { return diff(want, got) }

// identify returns what identifies a record, as text.
func identify(r coordinator.Record) string {
	switch r := r.(type) {
	case coordinator.App:
		return "app " + r.Name
	case coordinator.Credentials:
		return "credentials " + r.App
	case coordinator.State:
		return "state " + r.Name.String()
	case coordinator.Token:
		return "token " + r.Name.String()
	case coordinator.Grant:
		return "grant " + r.App
	case coordinator.Intent:
		return "intent " + r.App + "/" + r.Group
	case coordinator.Salvage:
		return "salvage " + r.App + "/" + r.Group + "/" + r.Attempt
	case coordinator.Request:
		return "request " + r.Name.String()
	case coordinator.Input:
		return "input " + r.Name.String()
	case coordinator.Budget:
		return "budget " + r.App + "/" + r.Window
	case coordinator.Client:
		return "client " + r.Name
	case coordinator.NodeInfo:
		return "node " + r.Name
	case coordinator.AppliedFile:
		return "applied " + r.File
	}
	return strings.ToLower(fmt.Sprintf("%T", r))
}

// revisionOf returns the revision a record says it was read at.
func revisionOf(r coordinator.Record) int64 {
	switch r := r.(type) {
	case coordinator.App:
		return r.Revision
	case coordinator.Credentials:
		return r.Revision
	case coordinator.State:
		return r.Revision
	case coordinator.Token:
		return r.Revision
	case coordinator.Grant:
		return r.Revision
	case coordinator.Intent:
		return r.Revision
	case coordinator.Salvage:
		return r.Revision
	case coordinator.Request:
		return r.Revision
	case coordinator.Input:
		return r.Revision
	case coordinator.Budget:
		return r.Revision
	case coordinator.Client:
		return r.Revision
	case coordinator.NodeInfo:
		return r.Revision
	case coordinator.Heartbeat:
		return r.Revision
	case coordinator.Elected:
		return r.Revision
	case coordinator.Paused:
		return r.Revision
	case coordinator.Bar:
		return r.Revision
	case coordinator.FingerprintKey:
		return r.Revision
	case coordinator.AppliedFile:
		return r.Revision
	}
	return 0
}

// background reports whether a record is written by elections, beats and nodes
// beside what a test does.
func background(r coordinator.Record) bool {
	switch r.(type) {
	case coordinator.Heartbeat, coordinator.Elected, coordinator.FingerprintKey, coordinator.NodeInfo:
		return true
	}
	return false
}

// records returns all records but those in the background, in a fixed order.
func (w *world) records() []coordinator.Record {
	w.Helper()
	return foreground(snapshot(w.T, w.store))
}

// snapshot returns all records, in a fixed order.
func snapshot(t *testing.T, store coordinator.Store) []coordinator.Record {
	t.Helper()
	for batch, err := range store.Watch(soon(t)) {
		if err != nil {
			t.Fatalf("watching: %v", err)
		}
		if !batch.Snapshot {
			t.Fatal("a watch does not begin with a snapshot")
		}
		return sorted(batch)
	}
	t.Fatal("a watch ended by itself")
	return nil
}

func sorted(b coordinator.Batch) []coordinator.Record {
	var records []coordinator.Record
	for _, e := range b.Events {
		records = append(records, e.Record)
	}
	slices.SortFunc(records, func(a, b coordinator.Record) int { return strings.Compare(identify(a), identify(b)) })
	return records
}

func foreground(records []coordinator.Record) []coordinator.Record {
	return slices.DeleteFunc(slices.Clone(records), background)
}

// find returns the record of a kind with this identity; the zero record if there is none.
func find[R coordinator.Record](records []coordinator.Record, like R) (found R, ok bool) {
	for _, r := range records {
		if identify(r) == identify(like) {
			return r.(R), true
		}
	}
	return found, false
}
