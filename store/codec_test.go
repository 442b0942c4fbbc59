package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"freshet/coordinator"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

// samples is one record of each kind with every field that is stored set.
func samples() []coordinator.Record {
	at := func(s int64) time.Time { return time.Unix(1_800_000_000+s, 123_456_789).UTC() }
	name := coordinator.Name{App: "shop", Token: "access_token"}
	token := coordinator.Token{
		Name: name, Value: coordinator.NewSecret("value"), Type: "Bearer", Scope: "a b",
		Extra: map[string]string{"instance_url": "https://x", "b": ""}, Version: 7,
		Issued: at(1), Expires: at(2), Moved: true, Epoch: 11, Traceparent: "00-1-2-01",
	}
	return []coordinator.Record{
		coordinator.App{
			Name: "shop", Provider: "wechat", Parent: "mall", Upstream: "https://u", Options: map[string]string{"mode": "stable"},
			Tokens: map[string]coordinator.TokenSettings{
				"access_token": {},
				"graph":        {Window: coordinator.Window{Share: 0.25}, Options: map[string]string{"scope": "a"}},
			},
			Refresh: coordinator.RefreshSettings{
				Window: coordinator.Window{Length: time.Hour}, RetryMin: 1, RetryMax: 2, Timeout: 3, Budget: 500,
			},
			Labels: map[string]string{"team": "retail"}, Paused: true, Owner: "file:apps.yaml", Incarnation: 3,
		},
		coordinator.Credentials{App: "shop", Incarnation: 3, Fields: map[string]coordinator.Secret{"secret": coordinator.NewSecret("s"), "none": {}}},
		coordinator.State{
			Name: name, Incarnation: 3, Deleted: true, Version: 7, Status: coordinator.StatusFailing, Reason: "invalid_secret",
			Issued: at(1), Expires: at(2), Due: at(3), Failures: 4, Forced: at(4), Deaths: 2,
			Verdict: coordinator.Verdict{Version: 6, Answer: coordinator.AnswerAlive, At: at(5)}, Unresolved: at(7), Epoch: 11, Attempt: "a2",
			Outcomes: []coordinator.Outcome{
				{Attempt: "a2", Epoch: 11, Result: coordinator.ResultFailed, Version: 7, Began: at(6), Opened: 1, Fetched: 2, Message: "m", Before: []string{"p0"}},
				{Attempt: "a1"},
			},
		},
		token,
		coordinator.Grant{
			App: "shop", Incarnation: 3, Generation: 5, Current: coordinator.NewSecret("current"), Previous: coordinator.NewSecret("previous"),
			Rotated: at(1), Base: 4, IntentRevision: 99,
		},
		coordinator.Intent{
			App: "shop", Group: "access_token", Attempt: "a2", Previous: "a1", Epoch: 11, Node: "n1", Incarnation: 3,
			Bases: map[string]int64{"access_token": 7, "none": 0}, Timeout: 10 * time.Second, Reason: coordinator.ReasonForce,
			Began: at(1), Traceparent: "00-1-2-01", Generation: 5, Unresolved: at(-9),
		},
		coordinator.Salvage{
			App: "shop", Group: "access_token", Attempt: "a2", Incarnation: 3, IntentRevision: 99,
			Bases: map[string]int64{"access_token": 7}, Tokens: []coordinator.Token{token}, Began: at(1),
			Generation: 5, Refresh: coordinator.NewSecret("refresh"),
		},
		coordinator.Request{Name: name, Above: 7, Reason: coordinator.ReasonReport, Code: "40001", Node: "n2", At: at(1), Traceparent: "t"},
		coordinator.Input{
			Name: name, ID: "p1", Incarnation: 3, Value: coordinator.NewSecret("pushed"), Type: "Bearer", Scope: "a b",
			Extra: map[string]string{"instance_url": "https://x"}, Pushed: at(1), Expires: at(2), Wanted: 8, By: "orders", Node: "n2", Traceparent: "t", Before: []string{"p0", "p"},
		},
		coordinator.Budget{App: "shop", Window: "2026-11-22/token", Calls: 9, Forced: 2, Ends: at(1)},
		coordinator.Client{
			Name: "orders", Digest: coordinator.DigestOf(coordinator.NewSecret("key")),
			Can:  map[coordinator.Verb][]string{coordinator.VerbRead: {"shop/*", "**"}, coordinator.VerbView: nil},
			Note: "n", Owner: "o", Expires: at(1), Created: at(2),
		},
		coordinator.NodeInfo{
			Name: "n1", Instance: "i", Address: "a:1", Build: "b", Refresher: true, Started: at(1), Applied: 5, SchemaMin: 1, SchemaMax: 2, Hazards: map[string]int64{"replay": 2},
			SealKeys: []int{1, 3},
		},
		coordinator.Heartbeat{Epoch: 11, Node: "n1", At: at(1)},
		coordinator.Elected{Epoch: 11, Node: "n1", At: at(1)},
		coordinator.Paused{By: "me", At: at(1)},
		coordinator.FingerprintKey{Key: coordinator.NewSecret("k\x00\xff")},
		coordinator.AppliedFile{File: "/etc/freshet/apps.yaml", Hash: "h", At: at(1)},
		coordinator.Audit{
			ID: "01JFRESHET0000000000000001", At: at(1), By: "api:orders", Action: coordinator.ActionAppUpdated,
			Objects: []string{"shop", "crm"}, Changed: []string{"credentials.secret", "labels.team"}, Node: "n1", Traceparent: "t",
		},
	}
}

func differ(want, got any) string {
	return cmp.Diff(want, got, cmp.Transformer("Reveal", coordinator.Secret.Reveal))
}

func TestRecordsReadAsWritten(t *testing.T) {
	k := newKeys("/p")
	for _, r := range samples() {
		empty, ok := k.identify(k.of(r))
		if !ok {
			t.Errorf("%s identifies nothing", k.of(r))
			continue
		}
		got, err := decodeRecord(empty, encodeRecord(r), 0)
		if err != nil {
			t.Errorf("%s: %v", k.of(r), err)
		}
		if diff := differ(r, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", k.of(r), diff)
		}
	}
}

// The stored format is a promise to clusters that exist: what this test pins
// may grow by new fields, but never change.
func TestStoredFormatIsUnchanged(t *testing.T) {
	var b strings.Builder
	k := newKeys("/p")
	for _, r := range samples() {
		b.WriteString(k.of(r) + "\n" + hex.EncodeToString(encodeRecord(r)) + "\n")
	}
	file := filepath.Join("testdata", "records.golden")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("stored form of the samples (-golden +now):\n%s", diff)
	}
}

func TestTimesKeepEveryYearAndTellNoneFromTheEpoch(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 999, time.UTC), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)} {
		r, err := decodeRecord(coordinator.Paused{}, encodeRecord(coordinator.Paused{At: at}), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.(coordinator.Paused).At; !got.Equal(at) || got.IsZero() != at.IsZero() {
			t.Errorf("%v was read as %v", at, got)
		}
	}
}

func TestFieldsOfANewerBuildAreSkipped(t *testing.T) {
	value := encodeRecord(coordinator.Heartbeat{Epoch: 5, Node: "n"})
	value = protowire.AppendTag(value, 900, protowire.BytesType)
	value = protowire.AppendString(value, "new")
	value = protowire.AppendTag(value, 901, protowire.Fixed32Type)
	value = protowire.AppendFixed32(value, 1)
	got, err := decodeRecord(coordinator.Heartbeat{}, value, 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(coordinator.Heartbeat{Epoch: 5, Node: "n", Revision: 7}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	good := encodeRecord(coordinator.Heartbeat{Epoch: 5, Node: "n"})
	changed := func(i int, b byte) []byte {
		v := bytes.Clone(good)
		v[i] = b
		return v
	}
	for name, test := range map[string]struct {
		value       []byte
		unsupported bool
		says        string
	}{
		"nothing":         {nil, false, "cut short"},
		"newer format":    {changed(0, formatNewest+1), true, "upgrade this node"},
		"format 0":        {changed(0, 0), false, "it has format 0"},
		"unknown seal":    {changed(1, 9), true, "sealed with seal key 9"},
		"cut field":       {good[:len(good)-1], false, ""},
		"other wire type": {append(bytes.Clone(good[:2]), 0x0a, 1, 'x'), false, "wire type"},
	} {
		_, err := codec{formats: newFormats()}.decode(coordinator.Heartbeat{}, test.value, 0)
		if err == nil || errors.Is(err, ErrUnsupported) != test.unsupported || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got error %v, want one that says %q, unsupported %v", name, err, test.says, test.unsupported)
		}
	}
}

func FuzzDecode(f *testing.F) {
	k := newKeys("/p")
	var empties []coordinator.Record
	for i, r := range samples() {
		empty, _ := k.identify(k.of(r))
		empties = append(empties, empty)
		f.Add(byte(i), encodeRecord(r))
	}
	f.Fuzz(func(t *testing.T, kind byte, value []byte) {
		empty := empties[int(kind)%len(empties)]
		first, err := decodeRecord(empty, value, 3)
		if err != nil {
			return
		}
		again, err := decodeRecord(empty, encodeRecord(first), 3)
		if err != nil {
			t.Fatalf("what was read from %x cannot be read again: %v", value, err)
		}
		if !bytes.Equal(encodeRecord(first), encodeRecord(again)) {
			t.Errorf("what was read from %x changes when it is written: %+v, %+v", value, first, again)
		}
	})
}
