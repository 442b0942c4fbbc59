package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/store/devetcd"
)

// servedConfig is a node on an etcd of the test.
func servedConfig(t *testing.T, endpoint string) config {
	t.Helper()
	c := defaultConfig()
	c.Node = "n1"
	c.Etcd.Endpoints, c.Etcd.SessionTTL = []string{endpoint}, 2*time.Second
	c.Listen.API, c.Listen.Ops = "127.0.0.1:0", "127.0.0.1:0"
	c.Auth.BootstrapKey = coordinator.NewSecret("bootstrap-bootstrap")
	return c
}

// testEtcd runs an etcd for the length of a test and returns its address.
func testEtcd(t *testing.T) string {
	t.Helper()
	etcd, err := devetcd.Start(t.Context(), devetcd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.Close() })
	return etcd.Endpoint()
}

func TestASecondNodeOfTheSameNameEndsWithAClearSentence(t *testing.T) {
	t.Parallel() // it mostly waits
	endpoint := testEtcd(t)
	ctx, stop := context.WithCancel(t.Context())
	var first sync.WaitGroup
	defer first.Wait()
	defer stop()
	joined := make(chan struct{})
	first.Go(func() {
		err := serve(ctx, servedConfig(t, endpoint), nil, slog.New(slog.DiscardHandler), func(ctx context.Context, m machine) error {
			untilMember(ctx, m.node)
			close(joined)
			return nil
		})
		if err != nil {
			t.Errorf("the first node ended with %v", err)
		}
	})
	<-joined

	err := serve(t.Context(), servedConfig(t, endpoint), nil, slog.New(slog.DiscardHandler))
	if exitCode(err) != exitNameTaken || !strings.Contains(err.Error(), `another live node is named "n1": give each node a name of its own`) {
		t.Errorf("exit code %d, error %v", exitCode(err), err)
	}
}

// untilMember waits until a node sees itself in the cluster.
func untilMember(ctx context.Context, node *coordinator.Node) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for len(node.Nodes()) == 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func TestServeEndsWellWithoutEtcd(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var log bytes.Buffer
	err := serve(ctx, servedConfig(t, "http://127.0.0.1:1"), nil, newLogger(&log, logConfig{Level: "info", Format: "json"}),
		func(_ context.Context, m machine) error {
			if m.node.Health().Ready() {
				t.Error("a node that never heard from etcd is ready")
			}
			stop()
			return nil
		})
	if err != nil {
		t.Errorf("serve ended with %v", err)
	}
	if !strings.Contains(log.String(), `"msg":"stopped"`) {
		t.Errorf("the log does not say that it stopped:\n%s", log.String())
	}
}

func TestARenewedCertificateIsTakenUpWithoutARestart(t *testing.T) {
	folder := t.TempDir()
	files := tlsFiles{Cert: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	writePair(t, files, "first", time.Now().Add(-time.Hour))
	pair := &reloadedPair{files: files}
	if name := subject(t, pair); name != "first" {
		t.Fatalf("certificate of %q, want first", name)
	}

	writePair(t, files, "second", time.Now())
	pair.looked = time.Now().Add(-pairLookEvery)
	if name := subject(t, pair); name != "second" {
		t.Errorf("certificate of %q, want second", name)
	}

	if err := os.WriteFile(files.Cert, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair.looked = time.Now().Add(-pairLookEvery)
	if name := subject(t, pair); name != "second" {
		t.Errorf("certificate of %q while the file is half written, want second", name)
	}
}

func TestTheAPISpeaksTLSWhereItHasACertificate(t *testing.T) {
	folder := t.TempDir()
	files := tlsFiles{Cert: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	writePair(t, files, "localhost", time.Now())
	c := servedConfig(t, "http://127.0.0.1:1")
	c.Listen.TLS = files

	ctx, stop := context.WithCancel(t.Context())
	err := serve(ctx, c, nil, slog.New(slog.DiscardHandler), func(ctx context.Context, m machine) error {
		defer stop()
		key := map[string]string{"FRESHET_KEY": "bootstrap-bootstrap"}
		address := "https://" + m.listeners.api.Addr().String()
		got := runFreshet(ctx, key, "get", "shop", "--addr", address, "--ca", files.Cert)
		if !strings.Contains(got.err, "try again, or another node") {
			t.Errorf("over TLS: exit code %d, %q", got.code, got.err)
		}
		got = runFreshet(ctx, key, "get", "shop", "--addr", address)
		if !strings.Contains(got.err, "not of a known authority: name it with --ca") {
			t.Errorf("without the authority: exit code %d, %q", got.code, got.err)
		}
		return nil
	})
	if err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

func subject(t *testing.T, pair *reloadedPair) string {
	t.Helper()
	got, err := pair.get(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Leaf.Subject.CommonName
}

// writePair writes a certificate that is its own authority, and its key.
func writePair(t *testing.T, files tlsFiles, name string, changed time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
}
