package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ready checks, before anything else is done, that the servers and what is kept
// in them can be used. It waits for etcd for as long as ctx lives.
func (s *Store) ready(ctx context.Context) error {
	if s.checked.Load() {
		return nil
	}
	_, err := insist(ctx, s, "looking at the cluster", func(ctx context.Context) (struct{}, error) {
		if err := s.checkServers(ctx); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, s.checkSchema(ctx)
	})
	if err != nil {
		return err
	}
	s.checked.Store(true)
	return nil
}

// checkSchema writes down which format this cluster's records have, if nobody
// did, and refuses to work with a newer one.
func (s *Store) checkSchema(ctx context.Context) error {
	key := s.keys.schema()
	resp, err := request(ctx, s.main, txnTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
			Then(clientv3.OpPut(key, string(encode(schema{Format: format}, schemaFields)))).
			Else(clientv3.OpGet(key)).
			Commit()
	})
	if err != nil || resp.Succeeded {
		return err
	}
	var there schema
	kvs := resp.Responses[0].GetResponseRange().Kvs
	if err := decode(kvs[0].Value, &there, schemaFields); err != nil {
		return fmt.Errorf("reading %q: %w", key, err)
	}
	if there.Format > format {
		return fmt.Errorf("%w: its records have format %d, and this build reads formats up to %d; upgrade this node",
			ErrUnsupported, there.Format, format)
	}
	return nil
}

// danger is a bug of etcd that breaks a promise of ours.
type danger struct {
	major, minor, patch int // first good version of this line
	what                string
}

// dangers returns what is known of each line of versions, newest line first; a
// version below the oldest line has its bug as well.
func dangers() []danger {
	return []danger{
		{3, 7, 1, "a watch can read keys its user may not"},
		{3, 6, 9, "a member that was paused can answer reads from the past as if they were current, and nested transactions evade permissions"},
	}
}

// checkServers asks every endpoint for its version, and refuses those that are
// known to be dangerous. One answer is enough to go on: a member that is down
// must not keep us from the others.
func (s *Store) checkServers(ctx context.Context) error {
	client, err := s.main.get(ctx)
	if err != nil {
		return err
	}
	endpoints := client.Endpoints()
	if len(endpoints) == 0 {
		endpoints = []string{""} // the one inside this process
	}
	errs, versions := make([]error, len(endpoints)), make([]string, len(endpoints))
	var wg sync.WaitGroup
	for i, endpoint := range endpoints {
		wg.Go(func() { versions[i], errs[i] = s.versionOf(ctx, endpoint) })
	}
	wg.Wait()
	answered := false
	for i, version := range versions {
		if errs[i] != nil {
			err = errs[i]
			continue
		}
		answered = true
		if bug := dangerOf(version); bug != "" && !s.config.AllowDangerousServers {
			return fmt.Errorf("%w: etcd at %q has version %s, which has a known bug: %s; upgrade it, or allow dangerous servers",
				ErrUnsupported, endpoints[i], version, bug)
		}
	}
	if answered {
		return nil
	}
	return err
}

func (s *Store) versionOf(ctx context.Context, endpoint string) (string, error) {
	resp, err := request(ctx, s.main, requestTimeout, func(ctx context.Context, c *clientv3.Client) (*clientv3.StatusResponse, error) {
		return c.Status(ctx, endpoint)
	})
	if err != nil {
		return "", err
	}
	return resp.Version, nil
}

// dangerOf names the known bug of a version of etcd, or returns "".
func dangerOf(version string) string {
	v := numbers(version)
	known := dangers()
	for i, d := range known {
		line := [3]int{d.major, d.minor, 0}
		last := i == len(known)-1
		if !last && compare(v, line) < 0 {
			continue // of an older line
		}
		if compare(v, [3]int{d.major, d.minor, d.patch}) < 0 {
			return d.what
		}
		return ""
	}
	return ""
}

// numbers reads "3.6.9-rc.1" as 3, 6, 9; what cannot be read counts as 0.
func numbers(version string) (v [3]int) {
	version, _, _ = strings.Cut(version, "-")
	for i, text := range strings.SplitN(version, ".", 3) {
		v[i], _ = strconv.Atoi(text)
	}
	return v
}

func compare(a, b [3]int) int {
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}
