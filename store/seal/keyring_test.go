package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/store/seal"
)

func TestOpensOnlyWhatItSealedAboutTheSame(t *testing.T) {
	t.Parallel()
	k, other := generate(t), generate(t)
	sealed := must(k.Seal([]byte("the secret"), []byte("here")))(t)
	if sealed[0] != k.ID() || bytes.Contains(sealed, []byte("the secret")) {
		t.Errorf("Seal = %q", sealed)
	}
	if got := must(k.Open(sealed, []byte("here")))(t); string(got) != "the secret" {
		t.Errorf("Open = %q", got)
	}
	if again := must(k.Seal([]byte("the secret"), []byte("here")))(t); bytes.Equal(again, sealed) {
		t.Error("sealing twice gave the same bytes")
	}
	altered := append([]byte{}, sealed...)
	altered[len(altered)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"about another place": func() ([]byte, error) { return k.Open(sealed, []byte("there")) },
		"altered":             func() ([]byte, error) { return k.Open(altered, []byte("here")) },
		"cut short":           func() ([]byte, error) { return k.Open(sealed[:5], []byte("here")) },
		"empty":               func() ([]byte, error) { return k.Open(nil, []byte("here")) },
		"by another's key":    func() ([]byte, error) { return other.Open(sealed, []byte("here")) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrMismatch) {
			t.Errorf("%s: Open = %q, %v, want ErrMismatch", name, got, err)
		}
	}
}

func TestNewKeySealsFromItsTimeOnAndTheOldOneStillOpens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := generate(t)
		old := must(k.Seal([]byte("old"), nil))(t)
		if id := must(k.Rotate(time.Now().Add(time.Minute)))(t); id != 2 || k.ID() != 1 {
			t.Fatalf("Rotate = %d, and key %d seals", id, k.ID())
		}
		time.Sleep(time.Minute)
		if k.ID() != 2 {
			t.Errorf("after its time key %d seals, want 2", k.ID())
		}
		if sealed := must(k.Seal(nil, nil))(t); sealed[0] != 2 {
			t.Errorf("sealed with key %d", sealed[0])
		}
		must(k.Open(old, nil))(t)

		if err := k.Drop(2); err == nil {
			t.Error("the key that seals was dropped")
		}
		if err := k.Drop(1); err != nil {
			t.Error(err)
		}
		unknown := new(seal.UnknownKeyError)
		if _, err := k.Open(old, nil); !errors.As(err, &unknown) || unknown.ID != 1 {
			t.Errorf("Open with a dropped key: %v", err)
		}
		if id := must(k.Rotate(time.Now()))(t); id != 3 {
			t.Errorf("the id after a drop is %d, want one never used", id)
		}
	})
}

func TestIDsComeBackOnlyAfterAllOthers(t *testing.T) {
	t.Parallel()
	k := generate(t)
	for want := 2; want <= 255; want++ {
		if id := must(k.Rotate(time.Now()))(t); int(id) != want {
			t.Fatalf("key %d, want %d", id, want)
		}
		if err := k.Drop(uint8(want - 1)); err != nil {
			t.Fatal(err)
		}
	}
	if id := must(k.Rotate(time.Now()))(t); id != 1 {
		t.Errorf("after 255 comes %d", id)
	}
}

func TestKeyringIsNeverPrinted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.keys")
	k := must(seal.Create(file))(t)
	secret := keyValue(t, file)
	for _, text := range []string{
		fmt.Sprint(k), fmt.Sprintf("%+v %#v %q %x %d", k, k, k, k, k), fmt.Sprintf("%+v", struct{ K *seal.Keyring }{k}),
		fmt.Sprintf("%+v", k.Keys()), slog.AnyValue(k).String(),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("printed: %s", text)
		}
	}
	if got := fmt.Sprintf("%v", k); got != "[seal keys 1]" {
		t.Errorf("printed as %s", got)
	}
}

func generate(t *testing.T) *seal.Keyring {
	t.Helper()
	return must(seal.Generate())(t)
}

// must returns what a call returned that may not fail.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
