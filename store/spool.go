package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"

	"freshet/coordinator"
)

// Spool implements coordinator.Spool on a directory: one sealed file for each
// attempt. It is safe for concurrent use; one process at a time uses a directory.
//
// What makes a result survive a crash is the order of the syncs. Reserve writes
// the file full of zeros, syncs it and then its directory: from then on name and
// blocks are there, and a full disk has shown itself before the upstream was
// asked. Calling writes one byte into it and syncs: zeros alone show that no call
// was made. Keep writes into these blocks and syncs the file; the directory has
// not changed. A crash in between leaves that byte alone, which promises nothing,
// or a part of the result, which does not open (see unpack). Drop removes the
// name and syncs the directory; where a crash brings the file back, its attempt
// is found settled. A result that is kept is never written over in place.
//
// On a file system that writes elsewhere what is written again (btrfs, ZFS) a
// reservation is no more than a good sign.
type Spool struct {
	dir  string
	seal Sealer
	log  *slog.Logger
	disk disk
	lock *fileutil.LockedFile

	mu       sync.Mutex
	reserved map[string]diskFile // :: attempt → its blank file, open, so that descriptors are reserved too
	left     []string            // files that former processes left
}

var _ coordinator.Spool = (*Spool)(nil)

const (
	// reservation is the room for one result: some tokens and a refresh token,
	// of a few kilobytes each at the most. More finds room while there is some.
	reservation = 64 << 10

	resultKind = "FSR"
	resultEnd  = ".result"
	badEnd     = ".bad" // could not be read; kept for people, and tried again at each start

	calling = 'C' // the first byte of a reservation whose call was begun; a result begins with resultKind
)

// NewSpool opens the spool in dir, which is made if need be. The error says in
// one sentence what to do.
func NewSpool(dir string, seal Sealer, log *slog.Logger) (*Spool, error) {
	return newSpool(dir, seal, log, realDisk{})
}

func newSpool(dir string, seal Sealer, log *slog.Logger, d disk) (*Spool, error) {
	if seal == nil {
		return nil, errors.New("a spool holds secrets and needs a seal key: set seal.file")
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("the spool cannot be made: %w; name a directory that this user may write to", err)
	}
	lock, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), os.O_WRONLY|os.O_CREATE, 0o600)
	switch {
	case errors.Is(err, fileutil.ErrLocked):
		return nil, fmt.Errorf("the spool %s is in use by another process: give each node a directory of its own", dir)
	case err != nil:
		return nil, fmt.Errorf("the spool %s cannot be locked: %w", dir, err)
	}
	s := &Spool{dir: dir, seal: seal, log: log, disk: d, lock: lock, reserved: map[string]diskFile{}}
	if err := s.find(); err != nil {
		return nil, errors.Join(fmt.Errorf("the spool %s cannot be read: %w", dir, err), lock.Close())
	}
	if len(s.left) > 0 {
		log.Info("a former process left results or reservations in the spool", "files", len(s.left))
	}
	return s, nil
}

// find notes what former processes left.
func (s *Spool) find() error {
	names, err := s.disk.list(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch {
		case isUnfinished(name):
			err = errors.Join(err, s.disk.remove(s.path(name))) // Keep did not return
		case strings.HasSuffix(strings.TrimSuffix(name, badEnd), resultEnd):
			s.left = append(s.left, name)
		}
	}
	return err
}

// Close ends the use of the directory. What is reserved or kept stays.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.reserved {
		errs = append(errs, f.Close())
	}
	clear(s.reserved)
	return errors.Join(append(errs, s.lock.Close())...)
}

func (s *Spool) path(name string) string { return filepath.Join(s.dir, name) }

// fileOf names the file of an attempt.
func (s *Spool) fileOf(attempt string) string { return s.path(url.PathEscape(attempt) + resultEnd) }

// Reserve makes room on the disk for the result of an attempt.
func (s *Spool) Reserve(attempt string) error {
	s.mu.Lock()
	_, mine := s.reserved[attempt]
	s.mu.Unlock()
	if mine {
		return nil
	}
	f, err := s.disk.open(s.fileOf(attempt), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if errors.Is(err, fs.ErrExist) {
		return nil // its result is there already
	}
	if err == nil {
		err = s.fillUp(f)
		if err != nil {
			err = errors.Join(err, f.Close(), s.disk.remove(s.fileOf(attempt)))
		}
	}
	if err != nil {
		return fmt.Errorf("reserving room in the spool %s: %w; make room there, so that no refresh token is lost", s.dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved[attempt] = f
	return nil
}

func (s *Spool) fillUp(f diskFile) error {
	if _, err := f.WriteAt(make([]byte, reservation), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return s.disk.syncDir(s.dir)
}

// Calling notes in an attempt's reservation that its call is made next.
func (s *Spool) Calling(attempt string) error {
	s.mu.Lock()
	f := s.reserved[attempt]
	s.mu.Unlock()
	if f == nil {
		return fmt.Errorf("noting a call in the spool %s: nothing is reserved for attempt %s", s.dir, attempt)
	}
	_, err := f.WriteAt([]byte{calling}, 0)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("noting a call in the spool %s: %w", s.dir, err)
	}
	return nil
}

// Keep saves a result, sealed.
func (s *Spool) Keep(result coordinator.Salvage) error {
	content, err := pack(resultAbout(result.Attempt), s.seal, &result, spooledFields)
	if err != nil {
		return fmt.Errorf("keeping a result: %w", err)
	}
	if f := s.take(result.Attempt); f != nil {
		err = writeReserved(f, content)
	} else {
		err = replace(s.disk, s.fileOf(result.Attempt), content)
	}
	if err != nil {
		return fmt.Errorf("keeping a result in the spool %s: %w", s.dir, err)
	}
	return nil
}

// take returns the file that is reserved for an attempt, once.
func (s *Spool) take(attempt string) diskFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.reserved[attempt]
	delete(s.reserved, attempt)
	return f
}

func writeReserved(f diskFile, content []byte) error {
	_, err := f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Drop forgets what is reserved or kept for an attempt.
func (s *Spool) Drop(attempt string) error {
	var errs []error
	if f := s.take(attempt); f != nil {
		errs = append(errs, f.Close())
	}
	dropped := false
	for _, name := range []string{s.fileOf(attempt), s.fileOf(attempt) + badEnd} {
		switch err := s.disk.remove(name); {
		case err == nil:
			dropped = true
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	if dropped {
		errs = append(errs, s.disk.syncDir(s.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("dropping a result from the spool %s: %w", s.dir, err)
	}
	return nil
}

// Kept returns the results that former processes left, oldest first. A file
// that cannot be read is set aside, reported in the error, and tried again by
// the next process: it may hold the only copy of a refresh token, and be sealed
// with a key that comes back.
func (s *Spool) Kept() ([]coordinator.Salvage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var results []coordinator.Salvage
	var errs []error
	var left []string
	for _, name := range s.left {
		result, stays, err := s.read(name)
		if err != nil {
			errs = append(errs, err)
		}
		if result != nil {
			results = append(results, *result)
		}
		if stays {
			left = append(left, name)
		}
	}
	s.left = left
	slices.SortFunc(results, func(a, b coordinator.Salvage) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Attempt, b.Attempt))
	})
	return results, errors.Join(errs...)
}

// read returns what a former process left in a file; stays reports whether it is to be read again.
func (s *Spool) read(name string) (result *coordinator.Salvage, stays bool, err error) {
	content, err := readFile(s.disk, s.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist): // dropped
		return nil, false, nil
	case err != nil:
		return nil, true, fmt.Errorf("reading the spool: %w", err)
	case blank(content):
		return nil, true, nil // see Uncalled
	case content[0] == calling && blank(content[1:]):
		return nil, false, s.disk.remove(s.path(name))
	}
	attempt, err := attemptOf(name)
	if err == nil {
		result = &coordinator.Salvage{}
		err = unpack(resultAbout(attempt), s.seal, content, result, spooledFields)
	}
	if err == nil {
		return result, true, nil
	}
	aside := strings.TrimSuffix(name, badEnd) + badEnd
	err = fmt.Errorf("the result in %s cannot be read: %w; keep this file, it may hold the only copy of a refresh token", s.path(aside), err)
	if aside != name {
		err = errors.Join(err, s.disk.rename(s.path(name), s.path(aside)), s.disk.syncDir(s.dir))
	}
	return nil, false, err
}

// Uncalled returns the attempts for which former processes made room, and no call.
func (s *Spool) Uncalled() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var attempts []string
	var errs []error
	for _, name := range s.left {
		content, err := readFile(s.disk, s.path(name))
		switch {
		case errors.Is(err, fs.ErrNotExist): // dropped
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("reading the spool: %w", err))
			continue
		case !blank(content):
			continue
		}
		if attempt, err := attemptOf(name); err == nil {
			attempts = append(attempts, attempt)
		}
	}
	return attempts, errors.Join(errs...)
}

// attemptOf is the attempt whose file has a name.
func attemptOf(name string) (string, error) {
	return url.PathUnescape(strings.TrimSuffix(strings.TrimSuffix(name, badEnd), resultEnd))
}

func resultAbout(attempt string) kept { return kept{resultKind, attempt} }

// spooledFields are those of a result that is not kept under its own name.
func spooledFields(w *wire, s *coordinator.Salvage) {
	text(w, 101, &s.App)
	text(w, 102, &s.Group)
	text(w, 103, &s.Attempt)
	salvageFields(w, s)
}
