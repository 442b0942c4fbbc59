package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/store/seal"
)

// canaries are the secrets of a cluster, by the kind of record that holds them.
func canaries() map[string]string {
	return map[string]string{
		"credentials": "canary-of-the-app-secret",
		"grants":      "canary-of-the-refresh-token",
		"tokens":      "canary-of-the-token",
		"salvage":     "canary-of-a-salvaged-token",
		"inputs":      "canary-of-a-pushed-token",
	}
}

// keepCanaries makes a cluster keep a secret in every kind of record, as the
// coordinator would, and returns the leader.
func keepCanaries(t *testing.T, s *Store) *leader {
	t.Helper()
	c := canaries()
	must(t, s.PutApp(soon(t), coordinator.AppChange{
		App: coordinator.App{
			Name: "shop", Provider: "wechat", Incarnation: 1,
			Credentials: map[string]coordinator.Secret{"secret": coordinator.NewSecret(c["credentials"])},
		},
		States: []coordinator.State{pendingState()},
		Grant:  &coordinator.Grant{App: "shop", Incarnation: 1, Generation: 1, Current: coordinator.NewSecret(c["grants"] + "-first")},
	}))
	l := elect(t, s)
	_, err := s.Open(soon(t), opening(look(t, s, l.Epoch), l.Epoch, "a1"))
	must(t, err)
	p := rotation(look(t, s, l.Epoch), l.Epoch)
	p.Tokens[0].Value = coordinator.NewSecret(c["tokens"])
	p.Grant.Current = coordinator.NewSecret(c["grants"])
	_, err = s.Publish(soon(t), p)
	must(t, err)
	must(t, s.Salvage(soon(t), coordinator.Salvage{
		App: "shop", Group: "g", Attempt: "a2", Incarnation: 1,
		Tokens: []coordinator.Token{{Name: shop, Value: coordinator.NewSecret(c["salvage"])}},
	}))
	must(t, s.PutInput(soon(t), coordinator.Input{
		Name: shop, ID: "p1", Value: coordinator.NewSecret(c["inputs"]), Expires: time.Now().Add(time.Hour),
	}, look(t, s, l.Epoch).States[0]))
	return l
}

// everything is all that is stored under a store's prefix.
func everything(t *testing.T, s *Store) []*mvccpb.KeyValue {
	t.Helper()
	resp, err := s.get(soon(t), s.keys.all(), clientv3.WithPrefix())
	must(t, err)
	return resp.Kvs
}

// keyIDs counts the secret records by the seal key in their header.
func keyIDs(t *testing.T, s *Store) map[byte]int {
	t.Helper()
	ids := map[byte]int{}
	for _, kv := range everything(t, s) {
		if record, ok := s.keys.identify(string(kv.Key)); ok && isSecret(record) {
			ids[kv.Value[1]]++
		}
	}
	return ids
}

// secretRecords is how many secret records keepCanaries makes.
const secretRecords = 6

func TestNoSecretIsReadableInEtcdOrTheLog(t *testing.T) {
	t.Parallel()
	log := &heard{}
	s := open(t, sealedBy(newRing(t)), func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	l := keepCanaries(t, s)
	secrets := canaries()
	secrets["sys/fingerprint"] = fingerprintKey(t, s)
	for _, kv := range everything(t, s) {
		for kind, secret := range secrets {
			if strings.Contains(string(kv.Key)+string(kv.Value), secret) {
				t.Errorf("the secret of %s can be read at %q", kind, kv.Key)
			}
		}
	}
	l.stop()
	for kind, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the secret of %s is in the log", kind)
		}
	}
	if ids := keyIDs(t, s); ids[1] != secretRecords || len(ids) != 1 {
		t.Errorf("seal keys of the secret records: %v, want %d with key 1", ids, secretRecords)
	}
}

// fingerprintKey reads the key as a node learns of it.
func fingerprintKey(t *testing.T, s *Store) string {
	t.Helper()
	batch, _, err := s.list(soon(t))
	must(t, err)
	for _, e := range batch.Events {
		if f, ok := e.Record.(coordinator.FingerprintKey); ok {
			return f.Key.Reveal()
		}
	}
	t.Fatal("there is no fingerprint key")
	return ""
}

func TestSealedRecordOpensUnderItsOwnKeyOnly(t *testing.T) {
	t.Parallel()
	s, c := open(t, sealedBy(newRing(t))), raw(t)
	keepCanaries(t, s)
	moved := shop
	moved.Token = "jsapi_ticket"
	value := at(t, c, s.keys.token(shop)).Kvs[0].Value
	if _, err := s.codec.decode(coordinator.Token{Name: shop}, value, 1); err != nil {
		t.Errorf("under its own key: %v", err)
	}
	if r, err := s.codec.decode(coordinator.Token{Name: moved}, value, 1); !errors.Is(err, seal.ErrMismatch) {
		t.Errorf("copied to another key it was read as %+v, %v", r, err)
	}
	// A node leaves it out.
	must(t, second(c.Put(soon(t), s.keys.token(moved), string(value))))
	batch, _, err := s.list(soon(t))
	must(t, err)
	for _, e := range batch.Events {
		if token, ok := e.Record.(coordinator.Token); ok && token.Name == moved {
			t.Errorf("a value copied to another key is served: %+v", token)
		}
	}
	// Its format is sealed as well.
	if _, err := s.codec.ring.Open(value[1:], []byte(s.keys.token(shop))); !errors.Is(err, seal.ErrMismatch) {
		t.Errorf("it opens as another format: %v", err)
	}
}

func TestUnsealedRecordsAreReadAndSealedWhenTheyAreWritten(t *testing.T) {
	t.Parallel()
	plain := open(t)
	before := keepCanaries(t, plain)
	before.stop()
	if ids := keyIDs(t, plain); ids[unsealed] != secretRecords {
		t.Fatalf("without a keyring: %v", ids)
	}
	s := open(t, sealedBy(newRing(t)))
	l := elect(t, s)
	now := look(t, s, l.Epoch)
	if now.Grant == nil || now.Grant.Current.Reveal() != canaries()["grants"] {
		t.Fatalf("the unsealed grant was read as %+v", now.Grant)
	}
	_, err := s.Open(soon(t), opening(now, l.Epoch, "a3"))
	must(t, err)
	must(t, second(s.Publish(soon(t), publication(look(t, s, l.Epoch), l.Epoch))))
	if ids := keyIDs(t, s); ids[1] != 1 {
		t.Errorf("after the token was written: %v, want it sealed with key 1", ids)
	}
}

func TestNodeWithoutTheKeySaysSoAndServesWhenItComes(t *testing.T) {
	t.Parallel()
	newest, behind := twoFiles(t)
	must(t, second(newest.Rotate(time.Now())))
	keepCanaries(t, open(t, sealedBy(newest)))

	log := &heard{}
	node := open(t, sealedBy(behind.ring), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	_, err := node.Read(soon(t), coordinator.Query{App: "shop", Group: "g", Tokens: []string{shop.Token}, Lineage: []string{"shop"}})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "seal key 2") || !strings.Contains(err.Error(), "newest key file") {
		t.Errorf("reading without the key: %v", err)
	}
	changes := follow(t, node)
	if batch := await(t, "the snapshot", changes); tokenIn(batch) || !batch.LeftOut {
		t.Fatalf("without the key: a token was read %t, records are said to be left out %t", tokenIn(batch), batch.LeftOut)
	}
	if n := strings.Count(log.String(), "seal key 2"); n != 1 {
		t.Errorf("it was said %d times, want once:\n%s", n, log.String())
	}
	behind.update(t)
	awaitBatch(t, "the token", changes, func(b coordinator.Batch) bool { return tokenIn(b) && !b.LeftOut })
}

func TestNodeWithoutAnyKeyFileSaysWhatToDo(t *testing.T) {
	t.Parallel()
	keepCanaries(t, open(t, sealedBy(newRing(t))))
	_, err := open(t).Read(soon(t), coordinator.Query{App: "shop", Group: "g", Tokens: []string{shop.Token}})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "seal key 1") || !strings.Contains(err.Error(), "seal.file") {
		t.Errorf("reading sealed records without a keyring: %v", err)
	}
}

func TestNodeWithoutTheKeyDoesNotLeadUntilItComes(t *testing.T) {
	t.Parallel()
	newest, behind := twoFiles(t)
	must(t, second(newest.Rotate(time.Now())))
	keepCanaries(t, open(t, sealedBy(newest))).stop()

	log := &heard{}
	node := open(t, sealedBy(behind.ring), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	elected, _ := campaign(t, node, false)
	eventually(t, "nothing is said about the missing key", func() bool {
		return strings.Contains(log.String(), "not standing for election")
	})
	select {
	case <-elected:
		t.Error("it leads")
	default:
	}
	behind.update(t)
	await(t, "its election", elected)
}

// Two nodes with a file each, as machines have. The new key seals at one of them
// at once; what was sealed before is sealed anew when both have it.
func TestRotationSealsEverythingAnewOnceAllNodesHaveTheKey(t *testing.T) {
	t.Parallel()
	newest, behind := twoFiles(t)
	log := &heard{}
	first := open(t, sealedBy(newest), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	other := open(t, sealedBy(behind.ring))
	first.resealEvery = 50 * time.Millisecond
	for i, s := range []*Store{first, other} {
		run(t, func(ctx context.Context) {
			_ = s.Join(ctx, func() coordinator.NodeInfo { return coordinator.NodeInfo{Name: string(rune('a' + i)), Instance: "i"} })
		})
		awaitNodes(t, first, i+1)
	}
	l := keepCanaries(t, first)
	changes := follow(t, other)
	leaseBefore := at(t, raw(t), first.keys.token(shop)).Kvs[0].Lease
	now := look(t, first, l.Epoch)

	if _, err := newest.Rotate(time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is said about the node that lacks the key", func() bool {
		return strings.Contains(log.String(), "lacks_it=b")
	})
	if ids := keyIDs(t, first); ids[1] != secretRecords {
		t.Errorf("before all nodes have the key: %v, want %d with key 1", ids, secretRecords)
	}
	behind.update(t)
	eventually(t, "not all records were sealed anew", func() bool { return keyIDs(t, first)[2] == secretRecords })
	// Nothing else has changed, and the other node reads it.
	then := look(t, first, l.Epoch)
	if then.Lineage[0].Incarnation != now.Lineage[0].Incarnation || then.Tokens[0].Value.Reveal() != canaries()["tokens"] ||
		then.Grant.Current.Reveal() != canaries()["grants"] {
		t.Errorf("sealed anew, it says something else: %+v", then)
	}
	if lease := at(t, raw(t), first.keys.token(shop)).Kvs[0].Lease; lease != leaseBefore || lease == 0 {
		t.Errorf("the lease of the token is %x, was %x", lease, leaseBefore)
	}
	awaitBatch(t, "the token sealed anew", changes, func(b coordinator.Batch) bool {
		return slices.ContainsFunc(b.Events, func(e coordinator.Event) bool {
			token, ok := e.Record.(coordinator.Token)
			return ok && token.Revision == then.Tokens[0].Revision
		})
	})
	seals, err := other.Seals(soon(t))
	must(t, err)
	if seals.Primary != 2 || seals.Records[2] != secretRecords || seals.Records[1] != 0 {
		t.Errorf("Seals = %+v", seals)
	}
}

func TestResealingLeavesOpenAttemptsAndNewerWritesAlone(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	s := open(t, sealedBy(ring))
	l := keepCanaries(t, s)
	f := fence{key: s.leading.Load().key, epoch: l.Epoch}
	must(t, second(ring.Rotate(time.Now())))
	kv := at(t, raw(t), s.keys.credentials("shop")).Kvs[0]
	must(t, second(s.Open(soon(t), opening(look(t, s, l.Epoch), l.Epoch, "a9"))))
	if done, err := s.reseal(soon(t), f, kv); done || err != nil {
		t.Errorf("with an attempt open: %v, %v, want it left", done, err)
	}
	now := look(t, s, l.Epoch)
	must(t, s.Void(soon(t), *now.Intent))
	must(t, second(raw(t).Put(soon(t), s.keys.credentials("shop"), string(kv.Value))))
	if done, err := s.reseal(soon(t), f, kv); done || err != nil {
		t.Errorf("written meanwhile: %v, %v, want it left", done, err)
	}
	kv = at(t, raw(t), s.keys.credentials("shop")).Kvs[0]
	if done, err := s.reseal(soon(t), fence{key: f.key, epoch: 1}, kv); done || !errors.Is(err, coordinator.ErrFenced) {
		t.Errorf("under another epoch: %v, %v, want ErrFenced", done, err)
	}
	if done, err := s.reseal(soon(t), f, kv); !done || err != nil {
		t.Errorf("with nothing in its way: %v, %v", done, err)
	}
}

// awaitNodes waits until so many nodes are registered with the seal keys they have.
func awaitNodes(t *testing.T, s *Store, n int) {
	t.Helper()
	c := raw(t)
	eventually(t, "the nodes do not register", func() bool {
		resp, err := c.Get(soon(t), s.keys.nodes(), clientv3.WithPrefix())
		must(t, err)
		return len(resp.Kvs) == n
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, wrong string, so func() bool) {
	t.Helper()
	for ctx := soon(t); !so(); {
		if !sleep(ctx, 20*time.Millisecond) {
			t.Fatal(wrong)
		}
	}
}

func tokenIn(b coordinator.Batch) bool {
	return slices.ContainsFunc(b.Events, func(e coordinator.Event) bool {
		_, ok := e.Record.(coordinator.Token)
		return ok && !e.Deleted
	})
}

// awaitBatch waits for a batch among signs of life, which never end.
func awaitBatch(t *testing.T, what string, ch <-chan coordinator.Batch, found func(coordinator.Batch) bool) {
	t.Helper()
	ctx := soon(t)
	for {
		select {
		case b := <-ch:
			if found(b) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		}
	}
}

// copied is the key file of a node on another machine.
type copied struct {
	ring     *seal.Keyring
	from, to string
}

// twoFiles are the key files of two machines, the same so far.
func twoFiles(t *testing.T) (*seal.Keyring, copied) {
	t.Helper()
	dir := t.TempDir()
	c := copied{from: filepath.Join(dir, "a.keys"), to: filepath.Join(dir, "b.keys")}
	newest, err := seal.Create(c.from)
	must(t, err)
	c.copy(t)
	c.ring, err = seal.Load(c.to)
	must(t, err)
	return newest, c
}

func (c copied) copy(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile(c.from)
	must(t, err)
	must(t, os.WriteFile(c.to, content, 0o600))
}

// update copies the newest file, which the node then notices.
func (c copied) update(t *testing.T) {
	t.Helper()
	c.copy(t)
	must(t, second(c.ring.Reload()))
}
