package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	fileVersion = 1
	fileMode    = 0o600
	fileMax     = 1 << 20 // 255 keys need a tenth of it
)

// keyFile is what a key file holds.
type keyFile struct {
	Version int        `json:"freshet_seal_keys"`
	Last    uint8      `json:"last_id"`
	Keys    []keyEntry `json:"keys"` // oldest first
}

type keyEntry struct {
	ID       uint8           `json:"id"`
	Created  time.Time       `json:"created"`
	SealFrom time.Time       `json:"seal_from"`
	Tink     json.RawMessage `json:"tink"` // a keyset of one key
}

// Create makes a key file with one new key, readable by its owner only. It
// refuses to touch a file that is there.
func Create(file string) (*Keyring, error) {
	made, err := Generate()
	if err != nil {
		return nil, err
	}
	_, err = replace(file, func(file string) (*ring, error) {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("%q is there already; to add a key to it, rotate it", file), err)
		}
		return made.current.Load(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("making a key file: %w", err)
	}
	return Load(file)
}

// Load reads a key file. Its errors are sentences for whoever runs the node, and
// hold nothing of the file's contents.
func Load(file string) (*Keyring, error) {
	r, seen, err := read(file)
	if err != nil {
		return nil, err
	}
	k := newKeyring(file, r)
	k.seen = seen
	return k, nil
}

// Rotate adds a key to the file, which opens at once and seals from an instant
// on: by then every node must have read the file. The keys before it stay. It
// returns the id of the new key.
func (k *Keyring) Rotate(sealFrom time.Time) (uint8, error) {
	r, err := k.update(func(r *ring) (*ring, error) { return r.with(sealFrom) })
	if err != nil {
		return 0, fmt.Errorf("rotating seal keys: %w", err)
	}
	return r.last, nil
}

// Drop removes a key from the file. What is sealed with it is lost, unless the
// caller has made sure that nothing is. The key that seals cannot be dropped.
func (k *Keyring) Drop(id uint8) error {
	_, err := k.update(func(r *ring) (*ring, error) {
		now := time.Now()
		switch _, found := r.find(id); {
		case !found:
			return nil, fmt.Errorf("there is no seal key %d in %q", id, k.file)
		case r.primary(now).id == id:
			return nil, fmt.Errorf("seal key %d is the one that seals; rotate first, and drop it when nothing is sealed with it", id)
		}
		left := slices.DeleteFunc(slices.Clone(r.keys), func(key key) bool { return key.id == id })
		return &ring{keys: left, last: r.last}, nil
	})
	if err != nil {
		return fmt.Errorf("dropping a seal key: %w", err)
	}
	return nil
}

// update changes the keys, in the file if there is one.
func (k *Keyring) update(change func(*ring) (*ring, error)) (*ring, error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.file == "" {
		r, err := change(k.current.Load())
		if err != nil {
			return nil, err
		}
		k.adopt(r)
		return r, nil
	}
	r, err := replace(k.file, func(file string) (*ring, error) {
		there, _, err := read(file)
		if err != nil {
			return nil, err
		}
		return change(there)
	})
	if err != nil {
		return nil, err
	}
	k.adopt(r)
	return r, nil
}

// replace puts what change returns in the place of a file, whole or not at all.
// The new file is made before the old one is read, and its name is always the
// same, so that two changes at a time cannot lose each other's key.
func replace(file string, change func(file string) (*ring, error)) (r *ring, err error) {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target // or a link would be replaced and its target forgotten
	}
	draft := file + ".new"
	out, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // the operator says which file
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%q is there: another change of the keys is under way; if none is, remove it", draft)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = out.Close() // a second time, unless something failed
		if err != nil {
			err = errors.Join(err, os.Remove(draft))
		}
	}()
	if r, err = change(file); err != nil {
		return nil, err
	}
	if err = write(out, r); err != nil {
		return nil, err
	}
	return r, errors.Join(os.Rename(draft, file), syncDir(filepath.Dir(file)))
}

func write(out *os.File, r *ring) error {
	content := keyFile{Version: fileVersion, Last: r.last}
	for _, key := range r.keys {
		secret, err := key.reveal()
		if err != nil {
			return fmt.Errorf("encoding seal key %d: %w", key.id, err)
		}
		content.Keys = append(content.Keys, keyEntry{ID: key.id, Created: key.created, SealFrom: key.sealFrom, Tink: secret})
	}
	encoded, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding seal keys: %w", err)
	}
	_, err = out.Write(append(encoded, '\n'))
	return errors.Join(err, out.Sync(), out.Close())
}

// syncDir makes a rename in a directory outlive a crash of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // see replace
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// read reads a key file and what tells it from another.
func read(file string) (*ring, stamp, error) {
	in, err := os.Open(file) //nolint:gosec // the operator says which file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, stamp{}, fmt.Errorf("there is no key file %q; copy the cluster's there, or make the first one with \"freshet seal init\"", file)
	}
	if err != nil {
		return nil, stamp{}, fmt.Errorf("reading the key file: %w", err)
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	switch {
	case err != nil:
		return nil, stamp{}, fmt.Errorf("reading the key file: %w", err)
	case !info.Mode().IsRegular():
		return nil, stamp{}, fmt.Errorf("%q is no file; a key file is made with \"freshet seal init\"", file)
	case info.Mode().Perm()&0o077 != 0:
		return nil, stamp{}, fmt.Errorf("the key file %q can be read by others than its owner (its mode is %#o); run: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	content, err := io.ReadAll(io.LimitReader(in, fileMax))
	if err != nil {
		return nil, stamp{}, fmt.Errorf("reading the key file: %w", err)
	}
	r, ok := parse(content)
	if !ok {
		return nil, stamp{}, fmt.Errorf("%q is not a whole key file of Freshet; put the cluster's key file there, a copy from another node will do", file)
	}
	return r, stampOf(info), nil
}

// parse says no more than whether content is good: errors of decoders quote what
// they choke on.
func parse(content []byte) (*ring, bool) {
	var f keyFile
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&f) != nil || f.Version != fileVersion || len(f.Keys) == 0 || decoder.More() {
		return nil, false
	}
	r := &ring{last: f.Last}
	for _, entry := range f.Keys {
		key, err := conceal(entry.Tink)
		if _, twice := r.find(entry.ID); err != nil || twice || entry.ID == 0 {
			return nil, false
		}
		key.id, key.created, key.sealFrom = entry.ID, entry.Created, entry.SealFrom
		r.keys = append(r.keys, key)
	}
	return r, true
}
