// Package seal seals secrets at rest: records in etcd, and files of a node. It
// knows neither of them. Its keys are AES-256-GCM keys of Tink, kept in one key
// file that every node of a cluster has the same copy of.
//
// A sealed text names its key by a small id, and opens only about what it was
// sealed about, so that nobody can move it to another place. A key file can be
// replaced at any time: nodes read it again by themselves.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealer is what a Keyring does for those who keep secrets.
type Sealer interface {
	// Seal returns plain sealed; the first byte of it is the id of the key.
	// Only with the same about can it be opened.
	Seal(plain, about []byte) ([]byte, error)
	// Open returns what Seal was given.
	Open(sealed, about []byte) ([]byte, error)
}

var _ Sealer = (*Keyring)(nil)

// Key is what may be shown of a key.
type Key struct {
	ID       uint8     `json:"id"`         // 1 to 255
	Created  time.Time `json:"created"`    // UTC
	SealFrom time.Time `json:"seal_from"`  // when it begins to seal; it opens at once
	Primary  bool      `json:"is_primary"` // it is the one that seals now
}

// ErrMismatch means that a sealed text is not what was sealed about this: it was
// altered, comes from elsewhere, or its key's id is that of another key here.
var ErrMismatch = errors.New("it does not open")

// UnknownKeyError means that a text is sealed with a key that is not here. It may
// be tomorrow: the key file is read again when it changes.
type UnknownKeyError struct {
	ID   uint8
	File string // the key file; "" for a keyring without one
}

func (e *UnknownKeyError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("it is sealed with seal key %d, which this node does not have; give this node the cluster's key file (seal.file)", e.ID)
	}
	return fmt.Sprintf("it is sealed with seal key %d, which is not in %q; put the cluster's newest key file there (it is read again by itself)", e.ID, e.File)
}

// Keyring seals with its primary key and opens with any of its keys. It is safe
// for concurrent use.
type Keyring struct {
	file    string
	current atomic.Pointer[ring]

	reading sync.Mutex // guards what follows
	seen    stamp      // of the file, when it was last read
	asked   time.Time  // when an unknown key last made us read it
	changed chan struct{}
}

// ring is the keys of one moment, oldest first. It is never changed.
type ring struct {
	keys []key
	last uint8 // the id given out last, also if its key was dropped
}

// key is one key. Its secret is in the two of Tink, which do not print it.
type key struct {
	id       uint8
	created  time.Time
	sealFrom time.Time
	handle   *keyset.Handle
	aead     tink.AEAD
}

// Generate returns a keyring with one new key and without a file.
func Generate() (*Keyring, error) {
	r, err := (&ring{}).with(time.Now())
	if err != nil {
		return nil, err
	}
	return newKeyring("", r), nil
}

func newKeyring(file string, r *ring) *Keyring {
	k := &Keyring{file: file, changed: make(chan struct{})}
	k.current.Store(r)
	return k
}

// Seal seals plain with the primary key. It fails only if the system has no
// random numbers or plain is tens of gigabytes long.
func (k *Keyring) Seal(plain, about []byte) ([]byte, error) {
	primary := k.current.Load().primary(time.Now())
	sealed, err := primary.aead.Encrypt(plain, about)
	if err != nil {
		return nil, fmt.Errorf("sealing with seal key %d: %w", primary.id, err)
	}
	return append([]byte{primary.id}, sealed...), nil
}

// Open opens what was sealed about the same. Besides ErrMismatch it fails with
// an UnknownKeyError, after having looked whether the key has come into the file.
func (k *Keyring) Open(sealed, about []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrMismatch)
	}
	id := sealed[0]
	found, ok := k.current.Load().find(id)
	if !ok {
		if found, ok = k.findNew(id); !ok {
			return nil, &UnknownKeyError{ID: id, File: k.file}
		}
	}
	plain, err := found.aead.Decrypt(sealed[1:], about)
	if err != nil {
		// Tink's own error says no more.
		return nil, fmt.Errorf("%w with seal key %d: it was altered or moved, or this node's key file is another cluster's", ErrMismatch, id)
	}
	return plain, nil
}

// ID returns the id of the primary key: the newest whose time to seal has come.
func (k *Keyring) ID() uint8 { return k.current.Load().primary(time.Now()).id }

// Keys lists the keys, oldest first.
func (k *Keyring) Keys() []Key { return k.current.Load().list(time.Now()) }

// Changed returns a channel that is closed when keys come or go. Ask again for
// the next change.
func (k *Keyring) Changed() <-chan struct{} {
	k.reading.Lock()
	defer k.reading.Unlock()
	return k.changed
}

// Format prints the ids of the keys whatever the verb.
func (k *Keyring) Format(f fmt.State, _ rune) {
	ids := make([]string, 0, 1)
	for _, key := range k.Keys() {
		ids = append(ids, fmt.Sprint(key.ID))
	}
	_, _ = fmt.Fprintf(f, "[seal keys %s]", strings.Join(ids, ", "))
}

// primary is the newest key whose time to seal has come. The oldest one always
// seals: a clock that is wrong must not leave us without a key.
func (r *ring) primary(now time.Time) key {
	for _, key := range slices.Backward(r.keys) {
		if !key.sealFrom.After(now) {
			return key
		}
	}
	return r.keys[0]
}

func (r *ring) find(id uint8) (key, bool) {
	for _, key := range r.keys {
		if key.id == id {
			return key, true
		}
	}
	return key{}, false
}

func (r *ring) list(now time.Time) []Key {
	primary := r.primary(now).id
	keys := make([]Key, len(r.keys))
	for i, key := range r.keys {
		keys[i] = Key{ID: key.id, Created: key.created, SealFrom: key.sealFrom, Primary: key.id == primary}
	}
	return keys
}

// with returns the ring with one more key, which seals from an instant on.
func (r *ring) with(sealFrom time.Time) (*ring, error) {
	id, err := r.nextID()
	if err != nil {
		return nil, err
	}
	// No prefix: the id stands in its place.
	handle, err := keyset.NewHandle(aead.AES256GCMNoPrefixKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a seal key: %w", err)
	}
	made, err := newKey(handle)
	if err != nil {
		return nil, fmt.Errorf("making a seal key: %w", err)
	}
	made.id, made.created, made.sealFrom = id, time.Now().UTC().Truncate(time.Second), sealFrom.UTC().Truncate(time.Second)
	return &ring{keys: append(slices.Clip(r.keys), made), last: id}, nil
}

// nextID gives out 1 to 255 in turn, so that the id of a key that was dropped
// comes back as late as possible: something may still be sealed with it.
func (r *ring) nextID() (uint8, error) {
	for id := r.last + 1; id != r.last; id++ {
		if _, taken := r.find(id); id != 0 && !taken {
			return id, nil
		}
	}
	return 0, errors.New("there are 255 seal keys already; drop those that nothing is sealed with")
}

// newKey refuses keys of other kinds: we would read them, an older node might not.
func newKey(handle *keyset.Handle) (key, error) {
	const kind = "type.googleapis.com/google.crypto.tink.AesGcmKey"
	info := handle.KeysetInfo().GetKeyInfo()
	if len(info) != 1 || info[0].GetTypeUrl() != kind {
		return key{}, errors.New("it is no AES-GCM key")
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return key{}, err
	}
	return key{handle: handle, aead: primitive}, nil
}

// reveal returns the secret of a key as Tink writes it; only the key file gets it.
func (k key) reveal() ([]byte, error) {
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(&out)); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// conceal reads what reveal returned.
func conceal(secret []byte) (key, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(secret)))
	if err != nil {
		return key{}, err
	}
	return newKey(handle)
}
