package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"freshet/coordinator"
)

// Snapshot implements coordinator.Snapshot on one sealed file. Save and Load may
// be called concurrently.
type Snapshot struct {
	file    string
	cluster Place
	seal    Sealer
	disk    disk
	mu      sync.Mutex // one Save at a time
}

var _ coordinator.Snapshot = (*Snapshot)(nil)

// Place says which cluster a node is configured for, since while etcd is away
// nothing else can tell.
type Place struct {
	Prefix    string   // of every etcd key
	Endpoints []string // of etcd; a cluster that shares one of them is the same
}

const snapshotKind = "FSS"

// NewSnapshot returns the snapshot in a file, whose directory is made if need
// be. The error says in one sentence what to do.
func NewSnapshot(file string, cluster Place, seal Sealer) (*Snapshot, error) {
	return newSnapshot(file, cluster, seal, realDisk{})
}

func newSnapshot(file string, cluster Place, seal Sealer, d disk) (*Snapshot, error) {
	if seal == nil {
		return nil, errors.New("a snapshot holds secrets and needs a seal key: set seal.file")
	}
	if err := ensureDir(filepath.Dir(file)); err != nil {
		return nil, fmt.Errorf("the snapshot's directory cannot be made: %w; name a file that this user may write", err)
	}
	return &Snapshot{file: file, cluster: cluster, seal: seal, disk: d}, nil
}

// Save writes the snapshot, sealed: the former one is there until the new one
// is on the disk.
func (s *Snapshot) Save(saved coordinator.Saved) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := snapshotMessage{
		Endpoints: s.cluster.Endpoints, Revision: saved.Revision, Heard: saved.Heard, Ahead: saved.Ahead,
	}
	if err := m.take(saved.Records); err != nil {
		return err
	}
	content, err := pack(s.about(), s.seal, &m, snapshotFields)
	if err == nil {
		err = replace(s.disk, s.file, content)
	}
	if err != nil {
		return fmt.Errorf("writing the snapshot %s: %w", s.file, err)
	}
	return nil
}

// Load reads the snapshot. Where there is none it returns the zero Saved.
func (s *Snapshot) Load() (coordinator.Saved, error) {
	content, err := readFile(s.disk, s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return coordinator.Saved{}, nil
	}
	var m snapshotMessage
	if err == nil {
		err = unpack(s.about(), s.seal, content, &m, snapshotFields)
	}
	if err != nil {
		return coordinator.Saved{}, fmt.Errorf("the snapshot %s cannot be read: %w", s.file, err)
	}
	if !s.shares(m.Endpoints) {
		return coordinator.Saved{}, fmt.Errorf("the snapshot %s is of another cluster, at %q", s.file, m.Endpoints)
	}
	return coordinator.Saved{Records: m.records(), Revision: m.Revision, Heard: m.Heard, Ahead: m.Ahead}, nil
}

// about seals the prefix into the file: what was saved under another one does not open.
func (s *Snapshot) about() kept { return kept{snapshotKind, s.cluster.Prefix} }

// shares reports whether one of the endpoints is ours too: members come and go.
func (s *Snapshot) shares(endpoints []string) bool {
	return slices.ContainsFunc(endpoints, func(e string) bool { return slices.Contains(s.cluster.Endpoints, e) })
}

// snapshotMessage is what a snapshot's file holds.
type snapshotMessage struct {
	Endpoints []string
	Revision  int64
	Heard     time.Time
	Ahead     time.Duration

	Apps        []coordinator.App
	States      []coordinator.State
	Tokens      []coordinator.Token
	Clients     []coordinator.Client
	Paused      []coordinator.Paused // one or none
	Fingerprint coordinator.FingerprintKey
}

// take sorts records by kind.
func (m *snapshotMessage) take(records []coordinator.Record) error {
	for _, record := range records {
		switch r := record.(type) {
		case coordinator.App:
			m.Apps = append(m.Apps, r)
		case coordinator.State:
			m.States = append(m.States, r)
		case coordinator.Token:
			m.Tokens = append(m.Tokens, r)
		case coordinator.Client:
			m.Clients = append(m.Clients, r)
		case coordinator.Paused:
			m.Paused = append(m.Paused, r)
		case coordinator.FingerprintKey:
			m.Fingerprint = r
		default:
			return fmt.Errorf("a snapshot does not hold %T", record)
		}
	}
	return nil
}

func (m *snapshotMessage) records() []coordinator.Record {
	records := make([]coordinator.Record, 0, len(m.Apps)+len(m.States)+len(m.Tokens)+len(m.Clients)+2)
	records = appendAll(records, m.Apps)
	records = appendAll(records, m.States)
	records = appendAll(records, m.Tokens)
	records = appendAll(records, m.Clients)
	records = appendAll(records, m.Paused)
	return append(records, m.Fingerprint)
}

func appendAll[R coordinator.Record](records []coordinator.Record, more []R) []coordinator.Record {
	for _, r := range more {
		records = append(records, r)
	}
	return records
}

// snapshotFields are those of the file. What identifies a record, which in etcd
// is its key, has the numbers 101 to 103 here.
func snapshotFields(w *wire, m *snapshotMessage) {
	list(w, 1, &m.Endpoints, func(w *wire, s *string) { text(w, 1, s) })
	integer(w, 2, &m.Revision)
	w.instant(3, &m.Heard)
	integer(w, 4, &m.Ahead)
	part(w, 5, &m.Fingerprint, fingerprintFields)
	list(w, 6, &m.Paused, pausedFields)
	list(w, 7, &m.Apps, func(w *wire, a *coordinator.App) {
		text(w, 101, &a.Name)
		integer(w, 103, &a.Revision)
		appFields(w, a)
	})
	list(w, 8, &m.Clients, func(w *wire, c *coordinator.Client) {
		text(w, 101, &c.Name)
		integer(w, 103, &c.Revision)
		clientFields(w, c)
	})
	list(w, 9, &m.States, func(w *wire, s *coordinator.State) {
		text(w, 101, &s.Name.App)
		text(w, 102, &s.Name.Token)
		integer(w, 103, &s.Revision)
		stateFields(w, s)
	})
	list(w, 10, &m.Tokens, func(w *wire, t *coordinator.Token) {
		integer(w, 103, &t.Revision)
		salvagedFields(w, t)
	})
}
