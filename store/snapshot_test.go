package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
)

func somewhere() Place {
	return Place{Prefix: "/p", Endpoints: []string{"http://a:2379", "http://b:2379"}}
}

func newTestSnapshot(t testing.TB, d disk) *Snapshot {
	t.Helper()
	s, err := newSnapshot(filepath.Join(t.TempDir(), "data", "snapshot.sealed"), somewhere(), newSealKey(t), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// savedAt is a snapshot with one record of each kind, whose every field is set.
func savedAt(revision int64) coordinator.Saved {
	s := coordinator.Saved{Revision: revision, Heard: time.Unix(1_800_000_000, 1).UTC(), Ahead: time.Second}
	for _, record := range samples() {
		switch r := record.(type) {
		case coordinator.App:
			r.Revision = 3
			s.Records = append(s.Records, r)
		case coordinator.State:
			r.Revision = 4
			s.Records = append(s.Records, r)
		case coordinator.Token:
			r.Revision = 5
			s.Records = append(s.Records, r)
		case coordinator.Client:
			r.Revision = 6
			s.Records = append(s.Records, r)
		case coordinator.FingerprintKey, coordinator.Paused:
			s.Records = append(s.Records, r)
		}
	}
	return s
}

// byKind makes the order of records that of a snapshot.
func byKind(s coordinator.Saved) map[string]coordinator.Record {
	records := map[string]coordinator.Record{}
	for _, r := range s.Records {
		records[reflect.TypeOf(r).Name()] = r
	}
	return records
}

func TestSnapshotReadsAsWritten(t *testing.T) {
	s := newTestSnapshot(t, realDisk{})
	if saved, err := s.Load(); err != nil || !saved.Heard.IsZero() {
		t.Errorf("there is none, and Load returns %+v, %v", saved, err)
	}
	for revision := range int64(2) {
		want := savedAt(revision)
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
		got, err := s.Load()
		if err != nil {
			t.Fatal(err)
		}
		if diff := differ(byKind(want), byKind(got)); diff != "" || len(got.Records) != 6 {
			t.Errorf("%d records (-saved +loaded):\n%s", len(got.Records), diff)
		}
		if got.Revision != revision || !got.Heard.Equal(want.Heard) || got.Ahead != want.Ahead {
			t.Errorf("got %+v", got)
		}
	}
	info, err := os.Stat(s.file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if dir, err := os.Stat(filepath.Dir(s.file)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("mode of the directory %v, %v", dir.Mode(), err)
	}
}

func TestSnapshotShowsNoSecretAndTakesNoCredential(t *testing.T) {
	s, saved := newTestSnapshot(t, realDisk{}), savedAt(1)
	saved.Records = append(saved.Records, coordinator.Token{Value: coordinator.NewSecret("CANARY")})
	if err := s.Save(saved); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(s.file)
	if err != nil || bytes.Contains(content, []byte("CANARY")) || bytes.Contains(content, []byte("shop")) {
		t.Errorf("the file is not sealed, %v", err)
	}
	for _, r := range []coordinator.Record{coordinator.Credentials{}, coordinator.Grant{}} {
		if err := s.Save(coordinator.Saved{Records: []coordinator.Record{r}}); err == nil {
			t.Errorf("it takes %T", r)
		}
	}
	if _, err := NewSnapshot(s.file, somewhere(), nil); err == nil || !strings.Contains(err.Error(), "seal.file") {
		t.Errorf("without a seal key: %v", err)
	}
}

func TestSnapshotThatCannotBeUsedIsSaid(t *testing.T) {
	s := newTestSnapshot(t, realDisk{})
	if err := s.Save(savedAt(1)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, b byte) []byte {
		c := bytes.Clone(whole)
		c[at] = b
		return c
	}
	for name, test := range map[string]struct {
		content []byte
		change  func(*Snapshot)
		says    string
	}{
		"empty":           {content: nil, says: "cut short"},
		"cut":             {content: whole[:len(whole)-1], says: "cut short"},
		"no snapshot":     {content: []byte("node: n1\nlisten: {}\n"), says: "not a file of this kind"},
		"older format":    {content: changed(3, 0), says: "format 0"},
		"newer format":    {content: changed(3, 9), says: "format 9"},
		"altered":         {content: changed(len(whole)-1, whole[len(whole)-1]^1), says: "cannot be read"},
		"another key":     {content: whole, change: func(s *Snapshot) { s.seal = newSealKey(t) }, says: "cannot be read"},
		"another prefix":  {content: whole, change: func(s *Snapshot) { s.cluster.Prefix = "/q" }, says: "cannot be read"},
		"another cluster": {content: whole, change: func(s *Snapshot) { s.cluster.Endpoints = []string{"http://c:2379"} }, says: "another cluster"},
	} {
		changed := &Snapshot{file: s.file, cluster: s.cluster, seal: s.seal, disk: s.disk}
		if test.change != nil {
			test.change(changed)
		}
		if err := os.WriteFile(s.file, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		saved, err := changed.Load()
		if err == nil || len(saved.Records) != 0 || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), s.file) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %d records, %v, want one that says %q", name, len(saved.Records), err, test.says)
		}
	}
	s.cluster.Endpoints = []string{"http://c:2379", "http://b:2379"} // a member was replaced
	if err := os.WriteFile(s.file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err != nil {
		t.Error(err)
	}
}

// At any moment there is a whole snapshot: the former one or the new one.
func TestSnapshotSurvivesACrashAtAnyStep(t *testing.T) {
	for survives := range 4 {
		names, contents := survives&1 != 0, survives&2 != 0
		for steps, crashed := 0, true; crashed; steps++ {
			frail := newFrailDisk()
			s := newTestSnapshot(t, frail)
			if err := s.Save(savedAt(1)); err != nil {
				t.Fatal(err)
			}
			frail.left = steps
			err := s.Save(savedAt(2))
			crashed = errors.Is(err, errCrashed)
			frail.restart(names, contents)
			got, loading := s.Load()
			if loading != nil || got.Revision < 1 || (err == nil && got.Revision != 2) {
				t.Errorf("crash after %d steps, unsynced names %v, contents %v: revision %d, %v", steps, names, contents, got.Revision, loading)
			}
		}
	}
}

// manyTokens is what a node of a large cluster saves.
func manyTokens(n int) coordinator.Saved {
	saved := coordinator.Saved{Heard: time.Now()}
	for i := range n {
		name := coordinator.Name{App: fmt.Sprintf("authorizer-%06d", i), Token: "access_token"}
		saved.Records = append(saved.Records,
			coordinator.App{Name: name.App, Parent: "component", Tokens: map[string]coordinator.TokenSettings{"access_token": {}}, Labels: map[string]string{"team": "retail"}, Owner: "api:import", Incarnation: 1},
			coordinator.State{Name: name, Incarnation: 1, Version: 9, Status: coordinator.StatusFresh, Issued: saved.Heard, Expires: saved.Heard, Due: saved.Heard, Attempt: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
			coordinator.Token{Name: name, Value: coordinator.NewSecret(strings.Repeat("v", 160)), Version: 9, Issued: saved.Heard, Expires: saved.Heard, Traceparent: strings.Repeat("0", 55)},
		)
	}
	return saved
}

func BenchmarkSnapshot(b *testing.B) {
	saved := manyTokens(100_000)
	s := newTestSnapshot(b, realDisk{})
	b.Run("Save", func(b *testing.B) {
		for b.Loop() {
			if err := s.Save(saved); err != nil {
				b.Fatal(err)
			}
		}
		if info, err := os.Stat(s.file); err == nil {
			b.ReportMetric(float64(info.Size())/1e6, "MB")
		}
	})
	b.Run("Load", func(b *testing.B) {
		for b.Loop() {
			if got, err := s.Load(); err != nil || len(got.Records) != len(saved.Records)+1 {
				b.Fatal(len(got.Records), err)
			}
		}
	})
}
