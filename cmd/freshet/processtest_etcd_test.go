//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"freshet/coordinator"
	"freshet/store"
)

// etcds is a cluster of etcd processes on loopback.
type etcds struct {
	members []*etcdMember
}

// etcdMember is one of them. Its data outlives its process.
type etcdMember struct {
	*process
	name         string
	client, peer string // host:port
	data         string
}

func (m *etcdMember) url() string { return "http://" + m.client }

// startEtcds starts a cluster and waits until every member serves.
func startEtcds(t *testing.T, size int) *etcds {
	t.Helper()
	for range 3 {
		e := newEtcds(t, size)
		for _, m := range e.members {
			e.start(t, m)
		}
		if e.serve(t) {
			return e
		}
	}
	t.Fatal("the etcd cluster found its ports in use, time and again")
	return nil
}

func newEtcds(t *testing.T, size int) *etcds {
	t.Helper()
	e := &etcds{}
	for i := range size {
		e.members = append(e.members, &etcdMember{
			name: fmt.Sprintf("e%d", i+1), client: freeAddress(t), peer: freeAddress(t), data: t.TempDir(),
		})
	}
	return e
}

// serve waits until all members serve; false if somebody else took a port.
func (e *etcds) serve(t *testing.T) bool {
	t.Helper()
	inUse := false
	for _, m := range e.members {
		eventually(t, 30*time.Second, func() error {
			inUse = inUse || strings.Contains(m.output(), "address already in use")
			if inUse {
				return nil
			}
			return healthy(t.Context(), m)
		})
	}
	if inUse {
		for _, m := range e.members {
			m.kill()
		}
	}
	return !inUse
}

// start starts a member, for the first time or again.
func (e *etcds) start(t *testing.T, m *etcdMember) {
	t.Helper()
	var peers []string
	for _, other := range e.members {
		peers = append(peers, other.name+"=http://"+other.peer)
	}
	program := cmp.Or(os.Getenv("FRESHET_TEST_ETCD"), "etcd")
	m.process = startProcess(t, "etcd "+m.name, program, nil,
		"--name="+m.name, "--data-dir="+m.data,
		"--listen-client-urls="+m.url(), "--advertise-client-urls="+m.url(),
		"--listen-peer-urls=http://"+m.peer, "--initial-advertise-peer-urls=http://"+m.peer,
		"--initial-cluster="+strings.Join(peers, ","),
		"--heartbeat-interval=50", "--election-timeout=500", "--unsafe-no-fsync", "--log-level=warn")
}

func healthy(ctx context.Context, m *etcdMember) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url()+"/health", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s is not healthy: %s", m.name, body)
	}
	return err
}

func (e *etcds) endpoints() []string {
	var urls []string
	for _, m := range e.members {
		urls = append(urls, m.url())
	}
	return urls
}

var errNoLeader = errors.New("etcd has no leader")

// leader returns the member that leads, and the others.
func (e *etcds) leader(t *testing.T) (leader *etcdMember, others []*etcdMember) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: e.endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	eventually(t, 10*time.Second, func() error {
		leader, others = nil, nil
		for _, m := range e.members {
			status, err := c.Status(t.Context(), m.url())
			if err != nil {
				return err
			}
			if status.Leader == status.Header.MemberId {
				leader = m
				continue
			}
			others = append(others, m)
		}
		if leader == nil {
			return errNoLeader
		}
		return nil
	})
	return leader, others
}

// heir returns the epoch that the leadership after one will have if the candidate
// next in line lives; 0 if nobody stands.
func (e *etcds) heir(t *testing.T, after coordinator.Epoch) coordinator.Epoch {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: e.endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
	defer cancel()
	line, err := c.Get(ctx, store.DefaultPrefix+"/v1/sys/election/", clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		t.Fatal(err)
	}
	for _, candidate := range line.Kvs {
		if epoch := coordinator.Epoch(candidate.CreateRevision); epoch > after {
			return epoch
		}
	}
	return 0
}
