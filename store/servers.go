package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// danger is a bug of etcd that breaks a promise of ours, and the first good
// release of each line that had it. Lines that are not named never had it.
type danger struct {
	what string
	good [][3]int // oldest line first; what is older than that has the bug as well
}

// dangers returns what is known, the worst first.
func dangers() []danger {
	return []danger{
		{"a member that was paused can answer reads from the past as if they were current (etcd issue 20418)", [][3]int{{3, 5, 28}, {3, 6, 9}}},
		{"nested transactions evade permissions (CVE-2026-33343)", [][3]int{{3, 5, 28}, {3, 6, 9}}},
		{"a watch shows a user keys that it may not read (CVE-2026-73499)", [][3]int{{3, 5, 33}, {3, 6, 14}, {3, 7, 1}}},
	}
}

// dangerOf names the worst known bug of a version of etcd, or returns "".
func dangerOf(version string) string {
	v := numbers(version)
	for _, d := range dangers() {
		if d.in(v) {
			return d.what
		}
	}
	return ""
}

func (d danger) in(v [3]int) bool {
	for _, good := range d.good {
		if v[0] == good[0] && v[1] == good[1] {
			return v[2] < good[2]
		}
	}
	oldest := d.good[0]
	return v[0] < oldest[0] || v[0] == oldest[0] && v[1] < oldest[1]
}

// numbers reads "3.6.9-rc.1" as 3, 6, 9; what cannot be read counts as 0.
func numbers(version string) (v [3]int) {
	version, _, _ = strings.Cut(version, "-")
	for i, text := range strings.SplitN(version, ".", 3) {
		v[i], _ = strconv.Atoi(text)
	}
	return v
}

// member is what one endpoint says of itself.
type member struct {
	endpoint string
	*clientv3.StatusResponse
	err error // it did not answer
}

// survey asks every endpoint at once; the error is set if none answered.
func (s *Store) survey(ctx context.Context) ([]member, error) {
	client, err := s.main.get(ctx)
	if err != nil {
		return nil, err
	}
	endpoints := client.Endpoints()
	if len(endpoints) == 0 {
		endpoints = []string{""} // the one inside this process
	}
	members := make([]member, len(endpoints))
	var wg sync.WaitGroup
	for i, endpoint := range endpoints {
		wg.Go(func() {
			members[i].endpoint = endpoint
			members[i].StatusResponse, members[i].err = request(ctx, s.main, requestTimeout,
				func(ctx context.Context, c *clientv3.Client) (*clientv3.StatusResponse, error) {
					return c.Status(ctx, endpoint)
				})
		})
	}
	wg.Wait()
	var answered []member
	for _, m := range members {
		if m.err != nil {
			err = m.err
			continue
		}
		answered = append(answered, m)
	}
	if len(answered) > 0 {
		return answered, nil
	}
	return nil, err
}

// checkServers refuses endpoints that are known to be dangerous. One answer is
// enough to go on: a member that is down must not keep us from the others.
func (s *Store) checkServers(ctx context.Context) error {
	members, err := s.survey(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		if bug := dangerOf(m.Version); bug != "" && !s.config.AllowDangerousServers {
			return fmt.Errorf("%w: etcd at %q has version %s, which has a known bug: %s; upgrade it, or set etcd.allow_dangerous_servers",
				ErrUnsupported, m.endpoint, m.Version, bug)
		}
	}
	return nil
}

// warnOfDangers says which endpoints have become dangerous while we run, once
// for each of their versions: serving on with a bug is better than not serving.
func (s *Store) warnOfDangers(ctx context.Context, members []member) {
	for _, m := range members {
		bug := dangerOf(m.Version)
		if known, _ := s.warned.Swap(m.endpoint, m.Version); bug == "" || known == m.Version {
			continue
		}
		s.log.WarnContext(ctx, "etcd was replaced by a version with a known bug; upgrade it",
			"endpoint", m.endpoint, "version", m.Version, "bug", bug)
	}
}
