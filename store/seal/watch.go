package seal

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"
)

const (
	pollEvery  = 10 * time.Second
	unknownMin = time.Second // between two readings of the file for the sake of an unknown key
)

// stamp tells one content of a file from the next without reading it.
type stamp struct {
	modified time.Time
	size     int64
	info     fs.FileInfo // a file put in another's place may have its time and size
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{modified: info.ModTime(), size: info.Size(), info: info}
}

func (s stamp) same(t stamp) bool {
	return s.modified.Equal(t.modified) && s.size == t.size && os.SameFile(s.info, t.info)
}

// Run reads the key file again whenever it changes, until ctx ends, whose error
// it returns. A file that is gone or bad is told once and changes nothing: what
// keys we have stay.
func (k *Keyring) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for told := ""; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		changed, err := k.Reload()
		switch {
		case err != nil && err.Error() != told:
			told = err.Error()
			log.ErrorContext(ctx, "the changed key file cannot be used, going on with the keys read before", "err", err)
		case changed:
			log.InfoContext(ctx, "seal keys have changed", "file", k.file, "primary", k.ID(), "keys", len(k.Keys()))
		}
		if err == nil {
			told = ""
		}
	}
}

// Reload reads the key file if it has changed, and reports whether the keys have.
func (k *Keyring) Reload() (changed bool, err error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	return k.reload()
}

// reload needs the lock.
func (k *Keyring) reload() (changed bool, err error) {
	if k.file == "" {
		return false, nil
	}
	if info, err := os.Stat(k.file); err == nil && k.seen.info != nil && stampOf(info).same(k.seen) {
		return false, nil
	}
	r, seen, err := read(k.file)
	if err != nil {
		return false, err
	}
	k.seen = seen
	if sameKeys(r, k.current.Load()) {
		return false, nil
	}
	k.adopt(r)
	return true, nil
}

// adopt makes r the keys of this keyring; it needs the lock.
func (k *Keyring) adopt(r *ring) {
	k.current.Store(r)
	close(k.changed)
	k.changed = make(chan struct{})
}

// findNew looks whether a key has come into the file. Many records may ask for
// the same missing key at once, so the file is not looked at for each of them.
func (k *Keyring) findNew(id uint8) (key, bool) {
	k.reading.Lock()
	defer k.reading.Unlock()
	if now := time.Now(); now.Sub(k.asked) >= unknownMin {
		k.asked = now
		_, _ = k.reload() // Run tells what is wrong with the file
	}
	return k.current.Load().find(id)
}

func sameKeys(a, b *ring) bool {
	return slices.EqualFunc(a.list(time.Time{}), b.list(time.Time{}), func(x, y Key) bool {
		return x.ID == y.ID && x.Created.Equal(y.Created) && x.SealFrom.Equal(y.SealFrom)
	})
}
