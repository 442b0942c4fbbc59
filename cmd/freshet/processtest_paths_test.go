//go:build unix

package main

import (
	"testing"

	"freshet/faulttest"
)

// paths are the ways from each node to the etcd members, where a test disturbs
// them: :: node → a proxy for each member, in their order.
type paths map[string][]*faulttest.Proxy

// disturbed makes every node reach etcd by proxies of its own.
func disturbed(r *rig) { r.paths = paths{} }

// endpointsOf is where a node finds etcd.
func (r *rig) endpointsOf(t *testing.T, name string) []string {
	t.Helper()
	if r.paths == nil {
		return r.etcd.endpoints()
	}
	var urls []string
	if r.paths[name] == nil {
		for _, m := range r.etcd.members {
			p, err := faulttest.NewProxy(t.Context(), m.client)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			r.paths[name] = append(r.paths[name], p)
		}
	}
	for _, p := range r.paths[name] {
		urls = append(urls, "http://"+p.Address())
	}
	return urls
}

// each does something to every way of a node.
func (p paths) each(name string, do func(*faulttest.Proxy)) {
	for _, one := range p[name] {
		do(one)
	}
}
