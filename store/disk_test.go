package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// sealKey is a Sealer with one key.
type sealKey struct{ cipher.AEAD }

func newSealKey(t testing.TB) sealKey {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return sealKey{aead}
}

func (k sealKey) Seal(plain, about []byte) ([]byte, error) {
	return k.AEAD.Seal(nil, nil, plain, about), nil
}

func (k sealKey) Open(sealed, about []byte) ([]byte, error) {
	return k.AEAD.Open(nil, nil, sealed, about)
}

var errCrashed = errors.New("the machine has lost its power")

// frailDisk loses at a crash what was not synced. It crashes by itself after a
// number of operations.
type frailDisk struct {
	mu    sync.Mutex
	names map[string]*frailFile // as processes see them
	safe  map[string]*frailFile // as they would be found after a crash
	left  int                   // operations until the crash; negative: it does not crash
}

type frailFile struct {
	disk       *frailDisk
	data, safe []byte
}

func newFrailDisk() *frailDisk {
	return &frailDisk{names: map[string]*frailFile{}, safe: map[string]*frailFile{}, left: -1}
}

// restart is the crash and what is found after it: names and contents that were
// not synced may have reached the disk all the same, each or both.
func (d *frailDisk) restart(names, contents bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = -1
	if names {
		d.safe = maps.Clone(d.names)
	}
	d.names = map[string]*frailFile{}
	for name, f := range d.safe {
		data := f.safe
		if contents {
			data = f.data
		}
		d.names[name] = &frailFile{disk: d, data: slices.Clone(data), safe: slices.Clone(data)}
	}
	d.safe = maps.Clone(d.names)
}

// do counts an operation and does it, unless the machine has crashed.
func (d *frailDisk) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 {
		return errCrashed
	}
	d.left--
	return f()
}

func (d *frailDisk) open(name string, flag int) (diskFile, error) {
	var opened *frailFile
	err := d.do(func() error {
		there, ok := d.names[name]
		switch {
		case ok && flag&os.O_EXCL != 0:
			return fs.ErrExist
		case !ok && flag&os.O_CREATE == 0:
			return fs.ErrNotExist
		case !ok:
			there = &frailFile{disk: d}
			d.names[name] = there
		case flag&os.O_TRUNC != 0:
			there.data = nil
		}
		opened = there
		return nil
	})
	return opened, err
}

func (d *frailDisk) rename(from, to string) error {
	return d.do(func() error {
		d.names[to] = d.names[from]
		delete(d.names, from)
		return nil
	})
}

func (d *frailDisk) remove(name string) error {
	return d.do(func() error {
		if _, ok := d.names[name]; !ok {
			return fs.ErrNotExist
		}
		delete(d.names, name)
		return nil
	})
}

func (d *frailDisk) list(string) (names []string, err error) {
	err = d.do(func() error {
		for name := range d.names {
			names = append(names, filepath.Base(name))
		}
		return nil
	})
	return names, err
}

func (d *frailDisk) syncDir(string) error {
	return d.do(func() error {
		d.safe = maps.Clone(d.names)
		return nil
	})
}

func (f *frailFile) ReadAt(p []byte, at int64) (n int, err error) {
	err = f.disk.do(func() error {
		if n = copy(p, f.data[min(int(at), len(f.data)):]); n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *frailFile) WriteAt(p []byte, at int64) (int, error) {
	return len(p), f.disk.do(func() error {
		data := make([]byte, max(len(f.data), int(at)+len(p)))
		copy(data, f.data)
		copy(data[at:], p)
		f.data = data
		return nil
	})
}

func (f *frailFile) Sync() error {
	return f.disk.do(func() error {
		f.safe = slices.Clone(f.data)
		return nil
	})
}

func (f *frailFile) Close() error { return nil }
