package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/store/storetest"
)

// spoolDir starts one process after the other on a directory.
type spoolDir struct {
	dir  string
	seal Sealer
	disk disk
	last *Spool
}

func newSpoolDir(t *testing.T) *spoolDir {
	t.Helper()
	return &spoolDir{dir: filepath.Join(t.TempDir(), "spool"), seal: newSealKey(t), disk: realDisk{}}
}

func (d *spoolDir) Start(t *testing.T) coordinator.Spool { return d.start(t) }

func (d *spoolDir) start(t *testing.T) *Spool {
	t.Helper()
	if d.last != nil {
		_ = d.last.Close() // as its process ended
	}
	s, err := newSpool(d.dir, d.seal, slog.New(slog.DiscardHandler), d.disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d.last = s
	return s
}

func (d *spoolDir) files(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSpoolContract(t *testing.T) {
	storetest.RunSpool(t, func(t *testing.T) storetest.Disk {
		t.Parallel()
		return newSpoolDir(t)
	})
}

func spooled(attempt string) coordinator.Salvage {
	return coordinator.Salvage{
		App: "crm", Group: "access_token", Attempt: attempt, Incarnation: 1, IntentRevision: 9, Generation: 4,
		Bases: map[string]int64{"access_token": 7}, Refresh: coordinator.NewSecret("CANARY-refresh-" + attempt),
		Tokens: []coordinator.Token{{Value: coordinator.NewSecret("CANARY-value-" + attempt)}}, Began: time.Unix(1_800_000_000, 0),
	}
}

// TestResultsSurviveACrashAtAnyStep crashes the machine before each operation on
// its disk, and lets what was not synced be there afterwards or not.
func TestResultsSurviveACrashAtAnyStep(t *testing.T) {
	for _, reserve := range []bool{true, false} {
		for survives := range 4 {
			names, contents := survives&1 != 0, survives&2 != 0
			for steps := 0; ; steps++ {
				if !crashAfter(t, steps, reserve, names, contents) {
					break
				}
			}
		}
	}
}

// crashAfter reports whether there was a crash.
func crashAfter(t *testing.T, steps int, reserve, names, contents bool) bool {
	t.Helper()
	d, frail := newSpoolDir(t), newFrailDisk()
	d.disk = frail
	s := d.start(t)
	frail.left = steps

	var err error
	if reserve {
		err = s.Reserve("a")
	}
	reserved := reserve && err == nil
	if reserved {
		err = s.Calling("a")
	}
	called := reserved && err == nil
	if err == nil {
		err = s.Keep(spooled("a"))
	}
	kept := err == nil
	if kept {
		err = s.Keep(spooled("a"))
	}
	if err == nil {
		err = s.Drop("a")
	}
	crashed := errors.Is(err, errCrashed)
	tried := kept && (!crashed || frail.names[s.fileOf("a")] == nil) // the name was removed, at least for processes

	frail.restart(names, contents)
	when := fmt.Sprintf("crash after %d steps, reserved %v, unsynced names %v, contents %v", steps, reserve, names, contents)
	if f := frail.names[s.fileOf("a")]; reserved && !tried && (f == nil || len(f.data) < 64) {
		t.Errorf("%s: what was reserved is gone", when)
	}
	s = d.start(t)
	if uncalled, err := s.Uncalled(); err != nil || (called && len(uncalled) != 0) {
		t.Errorf("%s: a call that was noted is forgotten: %q, %v", when, uncalled, err)
	}
	results, err := s.Kept()
	switch {
	case kept && !tried && (err != nil || len(results) != 1 || !results[0].Refresh.Equal(spooled("a").Refresh)):
		t.Errorf("%s: a result that was kept is lost: %d, %v", when, len(results), err)
	case !crashed && len(results) != 0:
		t.Errorf("%s: a result that was dropped is back", when)
	case err != nil:
		t.Errorf("%s: %v", when, err)
	}
	return crashed
}

// A power cut in the midst of a write leaves a part of it.
func TestTornResultsAreSetAside(t *testing.T) {
	d := newSpoolDir(t)
	if err := d.start(t).Keep(spooled("a")); err != nil {
		t.Fatal(err)
	}
	file := d.last.fileOf("a")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		for _, rest := range []int{0, reservation} { // the file ends, or what was reserved follows
			torn := append(bytes.Clone(whole[:cut]), make([]byte, rest)...)
			if rest > 0 && bytes.Equal(torn[:len(whole)], whole) {
				continue // the last bytes were zeros
			}
			d.damage(t, file, torn, cut == 0)
		}
	}
}

// damage checks what becomes of a damaged file.
func (d *spoolDir) damage(t *testing.T, file string, content []byte, blank bool) {
	t.Helper()
	_ = os.Remove(file + badEnd)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := d.start(t).Kept()
	if len(results) != 0 || (err == nil) != blank {
		t.Fatalf("%d bytes: got %d results, %v", len(content), len(results), err)
	}
	aside, gone := os.ReadFile(file + badEnd)
	if blank != (gone != nil) || (!blank && !bytes.Equal(aside, content)) {
		t.Fatalf("%d bytes: they were not set aside as they were: %v", len(content), gone)
	}
}

// A file that was moved to another attempt's name is not that attempt's result.
func TestResultsOfAnotherAttemptAreRefused(t *testing.T) {
	d := newSpoolDir(t)
	s := d.start(t)
	if err := s.Keep(spooled("a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.fileOf("a"), s.fileOf("b")); err != nil {
		t.Fatal(err)
	}
	if results, err := d.start(t).Kept(); err == nil || len(results) != 0 {
		t.Errorf("got %d results, %v", len(results), err)
	}
}

// A seal key that was away, and came back, opens what was set aside meanwhile.
func TestResultsSetAsideAreTriedAgain(t *testing.T) {
	d := newSpoolDir(t)
	right := d.seal
	if err := d.start(t).Keep(spooled("a")); err != nil {
		t.Fatal(err)
	}
	d.seal = newSealKey(t)
	for range 2 {
		s := d.start(t)
		_, err := s.Kept()
		if err == nil || !strings.Contains(err.Error(), s.fileOf("a")+badEnd) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("the error does not name the file: %v", err)
		}
	}
	d.seal = right
	s := d.start(t)
	if results, err := s.Kept(); err != nil || len(results) != 1 {
		t.Errorf("got %d results, %v", len(results), err)
	}
	if err := s.Drop("a"); err != nil || len(d.files(t)) != 1 {
		t.Errorf("%v, files %q", err, d.files(t))
	}
}

func TestSpoolShowsNoSecretAndIsForThisUserOnly(t *testing.T) {
	d := newSpoolDir(t)
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.start(t).Keep(spooled("a")); err != nil {
		t.Fatal(err)
	}
	for _, file := range append(d.files(t), d.dir) {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", file, info.Mode(), err)
		}
		if content, _ := os.ReadFile(file); bytes.Contains(content, []byte("CANARY")) {
			t.Errorf("%s holds a secret that is not sealed", file)
		}
	}
	if _, err := NewSpool(d.dir, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "seal.file") {
		t.Errorf("a spool without a seal key: %v", err)
	}
}

func TestOneProcessUsesASpool(t *testing.T) {
	d := newSpoolDir(t)
	s := d.start(t)
	if _, err := NewSpool(d.dir, d.seal, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second process: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.last = nil
	d.start(t)
}

// What cannot be kept after the upstream has answered must be known before it is asked.
func TestFullDiskIsFoundBeforeTheCall(t *testing.T) {
	d := newSpoolDir(t)
	small := &smallDisk{room: reservation + 1000}
	d.disk = small
	s := d.start(t)
	if err := s.Reserve("a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reserve("b"); !errors.Is(err, errFull) {
		t.Errorf("reserving on a full disk: %v", err)
	}
	if err := s.Keep(spooled("a")); err != nil {
		t.Errorf("keeping what was reserved: %v", err)
	}
	large := spooled("c")
	large.Refresh = coordinator.NewSecret(strings.Repeat("x", 2*reservation))
	if err := s.Keep(large); !errors.Is(err, errFull) {
		t.Errorf("keeping what is larger than the disk: %v", err)
	}
	results, err := d.start(t).Kept()
	if err != nil || len(results) != 1 || results[0].Attempt != "a" {
		t.Errorf("got %d results, %v", len(results), err)
	}
}

var errFull = errors.New("no space left on device")

// smallDisk is the machine's, with room for so many bytes.
type smallDisk struct {
	realDisk

	room int
}

type smallFile struct {
	diskFile

	disk *smallDisk
	size int
}

func (d *smallDisk) open(name string, flag int) (diskFile, error) {
	f, err := d.realDisk.open(name, flag)
	return &smallFile{diskFile: f, disk: d}, err
}

func (f *smallFile) WriteAt(p []byte, at int64) (int, error) {
	more := max(0, int(at)+len(p)-f.size)
	if more > f.disk.room {
		return 0, errFull
	}
	f.disk.room -= more
	f.size += more
	return f.diskFile.WriteAt(p, at)
}
