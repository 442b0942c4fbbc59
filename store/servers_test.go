package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/store/storetest"
)

// TestServersOfEveryLineKeepTheContract runs the contract, over TCP, against a
// real process of each line of etcd that we work with. The gate builds them.
func TestServersOfEveryLineKeepTheContract(t *testing.T) {
	for line, variable := range map[string]string{"3.5": "FRESHET_TEST_ETCD_35", "3.6": "FRESHET_TEST_ETCD_36", "3.7": "FRESHET_TEST_ETCD"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			program := os.Getenv(variable)
			if program == "" {
				t.Skipf("set %s to the path of an etcd %s to test against it; bash .ci/run builds one", variable, line)
			}
			endpoint := startServer(t, program)
			t.Run("isNotDangerous", func(t *testing.T) { serverIsGood(t, endpoint, line) })
			// These end before the others begin: a history that is compacted under a
			// watch comes back as a snapshot, which tells of no deletion.
			for name, test := range serverTests() {
				t.Run(name, func(t *testing.T) { test(t, endpoint) })
			}
			for _, test := range storetest.Tests() {
				t.Run(test.Name, func(t *testing.T) {
					t.Parallel()
					test.Run(t, harnessOn(t, endpoint))
				})
			}
		})
	}
}

// serverTests are what the contract cannot ask of a store without etcd.
func serverTests() map[string]func(*testing.T, string) {
	return map[string]func(*testing.T, string){
		"CompactionWhileAwayIsASnapshotAgain": compactionWhileAway,
		"ALeaseThatEndedIsReplaced":           leaseThatEnded,
		"QuotaIsTold":                         quotaIsTold,
	}
}

// harnessOn is a fresh cluster on a server that others use too.
func harnessOn(t *testing.T, endpoint string) *harness {
	h := &harness{T: t, raw: dialled(t, endpoint)}
	for i := range h.nodes {
		h.nodes[i] = open(t, dialling(endpoint), spoilt(h.sessions[i].listen))
	}
	return h
}

// dialling makes a store reach a server with clients that can be spoilt.
func dialling(endpoint string) func(*Config) {
	return func(c *Config) {
		dial := Config{Endpoints: []string{endpoint}, Logger: c.Logger}.dial
		c.Client = dial
	}
}

// startServer runs an etcd of its own and returns where it listens.
func startServer(t *testing.T, program string) (endpoint string) {
	t.Helper()
	for range 3 {
		endpoint, peer := "http://"+freeAddress(t), "http://"+freeAddress(t)
		stop := runServer(t, program, "--name=e1", "--data-dir="+filepath.Join(t.TempDir(), "data"),
			"--listen-client-urls="+endpoint, "--advertise-client-urls="+endpoint,
			"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=e1="+peer,
			"--heartbeat-interval=20", "--election-timeout=200", "--unsafe-no-fsync", "--log-level=error")
		if serverAnswers(t, endpoint) {
			return endpoint
		}
		stop() // somebody took its port
	}
	t.Fatalf("%s does not serve", program)
	return ""
}

// runServer starts a process that ends with the test, or by stop.
func runServer(t *testing.T, program string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed, and says so
	}
	t.Cleanup(stop)
	return stop
}

func serverAnswers(t *testing.T, endpoint string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/health", http.NoBody)
		must(t, err)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		sleep(ctx, 20*time.Millisecond)
	}
	return false
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func serverIsGood(t *testing.T, endpoint, line string) {
	status, err := dialled(t, endpoint).Status(soon(t), endpoint)
	must(t, err)
	if status.Version[:len(line)] != line || dangerOf(status.Version) != "" {
		t.Errorf("the server has version %s (danger %q), want a good one of line %s", status.Version, dangerOf(status.Version), line)
	}
}

// compactionWhileAway is TestLostHistoryIsASnapshotAgain on a given server.
func compactionWhileAway(t *testing.T, endpoint string) {
	c := dialled(t, endpoint)
	s := open(t, dialling(endpoint))
	f := follower{store: s, yield: func(coordinator.Batch, error) bool { return true }}
	f.last = note(t, s, c, "1")
	note(t, s, c, "2")
	must(t, second(c.Compact(soon(t), note(t, s, c, "3"))))
	if err := f.stream(soon(t)); !errors.Is(err, errHistoryLost) {
		t.Errorf("a watch whose history was compacted ended with %v, want %v", err, errHistoryLost)
	}
	if batch, _, err := s.list(soon(t)); err != nil || len(batch.Events) != 1 {
		t.Errorf("the list after it has %d records, error %v; want 1", len(batch.Events), err)
	}
}

// leaseThatEnded is a shared lease that is revoked behind the store's back.
func leaseThatEnded(t *testing.T, endpoint string) {
	c := dialled(t, endpoint)
	s := open(t, dialling(endpoint))
	id, err := s.lease(soon(t), time.Now().Add(time.Hour))
	must(t, err)
	must(t, second(c.Revoke(soon(t), id)))
	_, err = c.Txn(soon(t)).Then(clientv3.OpPut("/x", "y", clientv3.WithLease(id))).Commit()
	if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("a transaction that names a lease that ended was answered %v", err)
	}
	b := coordinator.Budget{App: "a", Window: fmt.Sprint(id), Ends: time.Now().Add(time.Hour)}
	tx := txn{doing: "writing a budget", leased: []leased{{key: s.keys.of(b), value: encodeRecord(b), expires: time.Now().Add(time.Hour)}}}
	a, err := s.commit(soon(t), tx)
	if err != nil || !a.committed {
		t.Errorf("a write under a lease that had ended: committed %v, error %v", a.committed, err)
	}
}

func quotaIsTold(t *testing.T, endpoint string) {
	room, err := open(t, dialling(endpoint), func(c *Config) { c.Quota = 1 << 31 }).Room(soon(t))
	if err != nil || room.Quota != 1<<31 || room.Bytes <= 0 || room.Full() {
		t.Errorf("got %+v, error %v; want a quota of 2 GiB that is hardly used", room, err)
	}
}
