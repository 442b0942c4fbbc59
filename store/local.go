package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Sealer seals what must not lie open on a disk.
type Sealer interface {
	// Seal returns plain sealed, so that it can be opened only about the same.
	Seal(plain, about []byte) ([]byte, error)
	// Open returns what Seal was given.
	Open(sealed, about []byte) ([]byte, error)
}

// disk is what we need of a file system. A test puts one in its place that
// loses, at a crash, whatever was not synced.
type disk interface {
	open(name string, flag int) (diskFile, error) // mode 0600
	rename(from, to string) error
	remove(name string) error
	list(dir string) ([]string, error) // names without the directory
	syncDir(dir string) error
}

type diskFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// realDisk is the machine's.
type realDisk struct{}

func (realDisk) open(name string, flag int) (diskFile, error) {
	return os.OpenFile(name, flag, 0o600) //nolint:gosec // the operator's configuration names the directory
}

func (realDisk) rename(from, to string) error { return os.Rename(from, to) }
func (realDisk) remove(name string) error     { return os.Remove(name) }

func (realDisk) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

func (realDisk) syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's configuration names it
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ensureDir makes a directory for this user only, with those above it, where there is none.
func ensureDir(dir string) error { return os.MkdirAll(dir, 0o700) }

// makeDir is ensureDir for a directory that is ours alone, also where it is there already.
func makeDir(dir string) error {
	if err := ensureDir(dir); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a directory is entered by its execute bit
}

// unfinished ends the names of files that are being written.
const unfinished = ".new"

// replace writes a file whole or not at all, whatever happens meanwhile. The
// content is synced before the name points to it: the other way round a crash
// could leave the name on an empty file. The directory is synced last, or the
// old file might come back.
func replace(d disk, name string, content []byte) (err error) {
	made := name + unfinished
	defer func() {
		if err != nil {
			_ = d.remove(made) // it is of no use, and the first error counts
		}
	}()
	f, err := d.open(made, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = d.rename(made, name); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(name))
}

// readFile returns what a file holds.
func readFile(d disk, name string) ([]byte, error) {
	f, err := d.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	return content, errors.Join(err, f.Close())
}

// A file of ours is
//
//	kind (3 bytes) | format (1 byte) | length of what follows (8 bytes) | sealed message
//
// and what stands behind it is room that was not needed. Nothing but the kind,
// the format and the length can be read without the seal key, and nothing can
// be changed: the format and what the file is about are sealed into it.
const (
	localFormat = 1
	localHeader = 12
)

var errCutShort = errors.New("it is cut short")

// kept is a sort of file, and which one of them it is about.
type kept struct {
	kind  string // 3 letters
	about string
}

func (k kept) sealedAbout() []byte {
	return fmt.Appendf(nil, "freshet %s %d %s", k.kind, localFormat, k.about)
}

// pack returns a file's content.
func pack[T any](k kept, s Sealer, v *T, fields func(*wire, *T)) ([]byte, error) {
	w := wire{}
	fields(&w, v)
	sealed, err := s.Seal(w.out, k.sealedAbout())
	if err != nil {
		return nil, fmt.Errorf("sealing it: %w", err)
	}
	content := make([]byte, 0, localHeader+len(sealed))
	content = append(append(content, k.kind...), localFormat)
	content = binary.BigEndian.AppendUint64(content, uint64(len(sealed)))
	return append(content, sealed...), nil
}

// unpack reads a file's content. It never panics, whatever the file holds.
func unpack[T any](k kept, s Sealer, content []byte, v *T, fields func(*wire, *T)) error {
	switch {
	case len(content) < localHeader:
		return errCutShort
	case string(content[:3]) != k.kind:
		return errors.New("it is not a file of this kind, or was written in part only")
	case content[3] != localFormat:
		return fmt.Errorf("it has format %d, and this build reads format %d", content[3], localFormat)
	}
	length, content := binary.BigEndian.Uint64(content[4:localHeader]), content[localHeader:]
	if uint64(len(content)) < length {
		return errCutShort
	}
	plain, err := s.Open(content[:length], k.sealedAbout())
	if err != nil {
		return err
	}
	in, err := parseFields(plain)
	if err != nil {
		return err
	}
	w := wire{reading: true, in: in}
	fields(&w, v)
	return w.err
}

// blank reports whether nothing was ever written to a reserved file.
func blank(content []byte) bool {
	return len(bytes.TrimLeft(content, "\x00")) == 0
}

// isUnfinished reports whether a file was being written when its process ended.
func isUnfinished(name string) bool { return strings.HasSuffix(name, unfinished) }
