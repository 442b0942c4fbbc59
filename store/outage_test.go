package store

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
)

func TestConfigIsChecked(t *testing.T) {
	for says, c := range map[string]Config{
		"no etcd endpoint":                   {},
		"write it like \"http://127":         {Endpoints: []string{"127.0.0.1:2379"}},
		"it needs a port":                    {Endpoints: []string{"http://etcd"}},
		"only scheme, host and port":         {Endpoints: []string{"http://user:hidden@etcd:2379"}},
		"an http endpoint would not use it":  {Endpoints: []string{"http://etcd:2379"}, TLS: &tls.Config{}},
		"whole seconds, at least 2s":         {Endpoints: []string{"http://etcd:2379"}, SessionTTL: time.Second},
		"write it like \"/freshet\"":         {Endpoints: []string{"http://etcd:2379"}, Prefix: "freshet"},
		"session TTL 2.5s: use whole second": {Endpoints: []string{"http://etcd:2379"}, SessionTTL: 2500 * time.Millisecond},
	} {
		_, err := New(c)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("got error %v, want one that says %q and no password", err, says)
		}
	}
}

func TestNewDoesNotWaitForEtcd(t *testing.T) {
	s, err := New(Config{Endpoints: []string{"http://" + unused(t)}, Username: "u", Password: coordinator.NewSecret("p")})
	must(t, err)
	must(t, s.Close())
	if _, err := s.Read(t.Context(), coordinator.Query{}); !errors.Is(err, errClosed) {
		t.Errorf("reading from a closed store: got error %v, want %v", err, errClosed)
	}
}

// unused is an address where nothing listens.
func unused(t *testing.T) string {
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

// heard collects what is logged.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

func TestAnOutageIsSaidOnceAndItsEndToo(t *testing.T) {
	t.Parallel()
	p, log := newProxy(t), &heard{}
	p.sever(true)
	s := open(t, over(p.endpoint()), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	s.config.Endpoints = []string{"http://" + unused(t)} // which only the diagnosis uses by now
	done := make(chan error, 3)
	for range cap(done) {
		run(t, func(ctx context.Context) { done <- s.PutPaused(ctx, nil, nil) })
	}
	changes := follow(t, s)
	for !strings.Contains(log.String(), "etcd does not answer") {
		if !sleep(soon(t), 10*time.Millisecond) {
			t.Fatal("nothing is said about etcd being away")
		}
	}
	p.sever(false)
	for range cap(done) {
		must(t, await(t, "the writes", done))
	}
	await(t, "the snapshot", changes)
	got := log.String()
	if n := strings.Count(got, "etcd does not answer"); n != 1 {
		t.Errorf("it was said %d times within ten seconds, want once:\n%s", n, got)
	}
	for _, want := range []string{"nothing listens there; check address and port", "etcd answers again"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log does not say %q:\n%s", want, got)
		}
	}
}

func TestADiagnosisSaysWhatToCheck(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ssh := greeter(t, "SSH-2.0-OpenSSH_9.9\r\n")
	mute := greeter(t, "")
	for name, test := range map[string]struct {
		endpoint, says string
	}{
		"an etcd":              {etcd(t).Endpoint(), "an etcd is there"},
		"nothing":              {"http://" + unused(t), "nothing listens there"},
		"another HTTP server":  {plain.URL, "something that is not etcd answers there (HTTP 404)"},
		"no TLS":               {"https://" + plain.Listener.Addr().String(), "does not speak TLS"},
		"TLS":                  {"http://" + secure.Listener.Addr().String(), "it speaks TLS; write the endpoint with https"},
		"unknown authority":    {secure.URL, "certificate is not trusted"},
		"another protocol":     {"http://" + ssh, "something that is not etcd"},
		"a port that hangs up": {"http://" + mute, "closed at once"},
		"no such name":         {"http://etcd.invalid:2379", "cannot be resolved"},
	} {
		if got := probe(soon(t), test.endpoint, nil); !strings.Contains(got, test.says) {
			t.Errorf("%s: got %q, want it to say %q", name, got, test.says)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if got := probe(ctx, etcd(t).Endpoint(), nil); !strings.Contains(got, "no answer") {
		t.Errorf("too slow: got %q", got)
	}
}

// greeter says something to everybody who connects, and hangs up.
func greeter(t *testing.T, hello string) (address string) {
	l := listen(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(hello))
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func TestDangerousServersAreNamed(t *testing.T) {
	for version, dangerous := range map[string]bool{
		"3.4.44": true, "3.5.0": true, "3.5.32": true, "3.5.33": false, "3.6.0": true, "3.6.13": true, "3.6.14": false,
		"3.7.0": true, "3.7.0-rc.1": true, "3.7.1": false, "3.7.3": false, "3.8.0": false, "4.0.0": false, "": true,
	} {
		if got := dangerOf(version) != ""; got != dangerous {
			t.Errorf("version %q: dangerous is %v, want %v", version, got, dangerous)
		}
	}
}

func TestTheBugOfADangerousServerIsNamedByItsLine(t *testing.T) {
	for version, bug := range map[string]string{
		"3.5.27": "20418", "3.6.8": "20418", "3.3.0": "20418", "3.5.28": "CVE-2026-73499", "3.6.9": "CVE-2026-73499", "3.7.0": "CVE-2026-73499",
	} {
		if got := dangerOf(version); !strings.Contains(got, bug) {
			t.Errorf("version %s: the danger is %q, want %s", version, got, bug)
		}
	}
}

// old makes servers tell an old version.
type old struct{ clientv3.Maintenance }

func (o old) Status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	resp, err := o.Maintenance.Status(ctx, endpoint)
	if err == nil {
		resp.Version = "3.6.4"
	}
	return resp, err
}

func TestADangerousServerIsRefusedUnlessAllowed(t *testing.T) {
	aged := spoilt(func(c *clientv3.Client) { c.Maintenance = old{c.Maintenance} })
	err := open(t, aged).PutPaused(soon(t), nil, nil)
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "3.6.4") || !strings.Contains(err.Error(), "paused") {
		t.Errorf("got error %v, want one that names the version and its bug", err)
	}
	allowed := open(t, aged, func(c *Config) { c.AllowDangerousServers = true })
	must(t, allowed.PutPaused(soon(t), nil, nil))
}

func TestTheSchemaIsWrittenOnce(t *testing.T) {
	one, two := open(t), open(t)
	for _, s := range []*Store{one, two} {
		must(t, s.PutPaused(soon(t), nil, nil))
	}
	kvs := at(t, raw(t), one.keys.schema()).Kvs
	if len(kvs) != 1 || kvs[0].Version != 1 {
		t.Errorf("got %v, want the schema written once", kvs)
	}
}
