//go:build failpoint && unix

package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/coordinator/provider/oauth2"
	"freshet/coordinator/provider/wechat"
	"freshet/store"
	"freshet/store/seal"
)

// crashNode is the variable that makes this test binary one node: a nodeConfig in JSON.
const crashNode = "TEST_CRASH_NODE"

// TestMain runs the tests, unless this process was started as a node.
func TestMain(m *testing.M) {
	config := os.Getenv(crashNode)
	if config == "" {
		os.Exit(m.Run())
	}
	var c nodeConfig
	err := json.Unmarshal([]byte(config), &c)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = c.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Times of the nodes: as short as they may be, so that a crash is over soon.
const (
	sessionTTL     = 2 * time.Second
	callTimeout    = time.Second
	takeoverMargin = 300 * time.Millisecond
)

// nodeConfig is a node on a disk.
type nodeConfig struct {
	Name, Etcd, Prefix string
	Disk               string // folder of its spool
	Seal               string // file
	Follower           bool
}

// open builds the node.
func (c nodeConfig) open(log *slog.Logger) (*coordinator.Node, func() error, error) {
	keys, err := seal.Load(c.Seal)
	if err != nil {
		return nil, nil, err
	}
	spool, err := store.NewSpool(c.Disk, keys, log)
	if err != nil {
		return nil, nil, err
	}
	kept, err := store.New(store.Config{Endpoints: []string{c.Etcd}, Prefix: c.Prefix, SessionTTL: sessionTTL, Logger: log})
	if err != nil {
		return nil, nil, errors.Join(err, spool.Close())
	}
	node, err := coordinator.New(coordinator.Config{
		Name: c.Name, Follower: c.Follower, Store: kept, Spool: spool, Logger: log.With("node", c.Name),
		Providers:      map[string]coordinator.Provider{"wechat": wechat.New(wechat.Config{}), "oauth2": oauth2.New(oauth2.Config{})},
		TakeoverMargin: takeoverMargin, Heartbeat: sessionTTL / 4,
	})
	shut := func() error { return errors.Join(kept.Close(), spool.Close()) }
	if err != nil {
		return nil, nil, errors.Join(err, shut())
	}
	return node, shut, nil
}

func (c nodeConfig) run(ctx context.Context) error {
	node, shut, err := c.open(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return errors.Join(node.Run(ctx), shut())
}

// victim is a node in a process of its own, to be killed.
type victim struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start runs the node in a process that meets failpoints.
func (c nodeConfig) start(t *testing.T, failpoints string) *victim {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), crashNode+"="+string(config), "FRESHET_FAILPOINT="+failpoints)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{cmd: cmd, log: out.Name(), ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(v.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-v.ended
		if t.Failed() {
			said, _ := os.ReadFile(v.log)
			t.Logf("%s with %q said:\n%s", c.Name, failpoints, said)
		}
	})
	return v
}

// dies waits until the process was killed.
func (v *victim) dies(t *testing.T) {
	t.Helper()
	select {
	case <-v.ended:
		if status, ok := v.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("a node ended by itself: %s", v.cmd.ProcessState)
		}
	case <-time.After(patience):
		t.Fatal("a node did not come to its failpoint")
	}
}

// stands waits until the process was stopped.
func (v *victim) stands(t *testing.T) {
	t.Helper()
	soon(t, "a node does not stop", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.cmd.Process.Pid))
		_, rest, _ := strings.Cut(string(stat), ") ")
		return err == nil && strings.HasPrefix(rest, "T")
	})
}

// follows waits until the process has ended what it did as the leader it was.
func (v *victim) follows(t *testing.T) {
	t.Helper()
	soon(t, "a node does not step down", func() bool {
		said, err := os.ReadFile(v.log)
		return err == nil && strings.Contains(string(said), "msg=following")
	})
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func soon(t *testing.T, wrong string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); {
		if time.Since(began) > patience {
			t.Fatal(wrong)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(wrong)
		}
	}
}
