package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"freshet/store/seal"
)

func TestKeyFileIsReadableByItsOwnerOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.keys")
	k := must(seal.Create(file))(t)
	must(k.Rotate(time.Now()))(t)
	if mode := must(os.Stat(file))(t).Mode().Perm(); mode != 0o600 {
		t.Errorf("its mode is %#o", mode)
	}
	check(t, os.Chmod(file, 0o640))
	if _, err := seal.Load(file); err == nil || !strings.Contains(err.Error(), "chmod 600 "+file) {
		t.Errorf("a file that its group can read: %v", err)
	}
}

func TestCreateTouchesNoFileThatIsThere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.keys")
	must(seal.Create(file))(t)
	before := must(os.ReadFile(file))(t)
	if _, err := seal.Create(file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("Create over a file: %v", err)
	}
	if !bytes.Equal(before, must(os.ReadFile(file))(t)) {
		t.Error("the file was changed")
	}
	if _, err := os.Stat(file + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a draft was left: %v", err)
	}
}

func TestBadKeyFileGetsOneSentenceWithoutItsContents(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.keys")
	must(seal.Create(file))(t)
	good := string(must(os.ReadFile(file))(t))
	secret := keyValue(t, file)
	for name, content := range map[string]string{
		"empty":          "",
		"foreign":        "-----BEGIN PRIVATE KEY-----\n" + secret,
		"cut short":      good[:len(good)-20],
		"of tomorrow":    strings.Replace(good, `"freshet_seal_keys": 1`, `"freshet_seal_keys": 2`, 1),
		"unknown field":  strings.Replace(good, `"last_id"`, `"lost_id"`, 1),
		"id 0":           strings.Replace(good, `"id": 1`, `"id": 0`, 1),
		"id 256":         strings.Replace(good, `"id": 1`, `"id": 256`, 1),
		"no keys":        `{"freshet_seal_keys": 1, "last_id": 1, "keys": []}`,
		"broken key":     strings.Replace(good, secret, secret[:20]+"!"+secret[21:], 1),
		"another kind":   `{"freshet_seal_keys": 1, "last_id": 1, "keys": [{"id": 1, "tink": ` + chachaKey(t) + `}]}`,
		"something more": good + good,
	} {
		check(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := seal.Load(file)
		if err == nil || !strings.Contains(err.Error(), "is not a whole key file of Freshet") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), secret[:12]) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
	if _, err := seal.Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := seal.Load(file + ".gone"); err == nil || !strings.Contains(err.Error(), "freshet seal init") {
		t.Errorf("no file: %v", err)
	}
}

// chachaKey is a good key of a kind that is not ours.
func chachaKey(t *testing.T) string {
	t.Helper()
	handle := must(keyset.NewHandle(aead.ChaCha20Poly1305KeyTemplate()))(t)
	var out bytes.Buffer
	check(t, insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)))
	return out.String()
}

// Every rotation either adds its key or fails; none is lost to another one.
func TestRotationsAtATimeLoseNoKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.keys")
	must(seal.Create(file))(t)
	var added sync.Map
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			k, err := seal.Load(file)
			if err != nil {
				t.Error(err)
				return
			}
			if id, err := k.Rotate(time.Now()); err == nil {
				if _, twice := added.LoadOrStore(id, true); twice {
					t.Errorf("key %d was added twice", id)
				}
			}
		})
	}
	wg.Wait()
	there := map[uint8]bool{}
	for _, key := range must(seal.Load(file))(t).Keys() {
		there[key.ID] = true
	}
	added.Range(func(id, _ any) bool {
		if !there[id.(uint8)] {
			t.Errorf("key %d was lost", id)
		}
		return true
	})
}

func TestRotatingThroughALinkKeepsTheLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.keys"), filepath.Join(dir, "seal.keys")
	must(seal.Create(file))(t)
	check(t, os.Symlink(file, link))
	must(must(seal.Load(link))(t).Rotate(time.Now()))(t)
	if n := len(must(seal.Load(file))(t).Keys()); n != 2 {
		t.Errorf("the file behind the link has %d keys, want 2", n)
	}
}

func TestRotatedKeyFileIsReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.keys")
	must(seal.Create(file))(t)
	synctest.Test(t, func(t *testing.T) {
		operator, node := must(seal.Load(file))(t), must(seal.Load(file))(t)
		var log bytes.Buffer
		go func() { _ = node.Run(t.Context(), slog.New(slog.NewTextHandler(&log, nil))) }()
		changed := node.Changed()
		must(operator.Rotate(time.Now()))(t)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if node.ID() != 2 {
			t.Errorf("after the poll key %d seals, want 2", node.ID())
		}
		select {
		case <-changed:
		default:
			t.Error("nobody was told")
		}

		// A bad file is told once, and the keys stay.
		check(t, os.WriteFile(file, []byte("nonsense"), 0o600))
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "cannot be used"); n != 1 || node.ID() != 2 {
			t.Errorf("told %d times, key %d seals:\n%s", n, node.ID(), log.String())
		}
	})
}

func TestUnknownKeyIsLookedForInTheFileAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seal.keys")
	operator := must(seal.Create(file))(t)
	node := must(seal.Load(file))(t)
	must(operator.Rotate(time.Now()))(t)
	sealed := must(operator.Seal([]byte("new"), nil))(t)
	if got := must(node.Open(sealed, nil))(t); string(got) != "new" {
		t.Errorf("Open = %q", got)
	}
}

// keyValue is the key material in a key file of one key.
func keyValue(t *testing.T, file string) string {
	t.Helper()
	var f struct {
		Keys []struct {
			Tink struct {
				Key []struct{ KeyData struct{ Value string } }
			}
		}
	}
	check(t, json.Unmarshal(must(os.ReadFile(file))(t), &f))
	return f.Keys[0].Tink.Key[0].KeyData.Value
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
