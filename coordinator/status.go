package coordinator

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// ClusterStatus is the cluster as one node sees it.
type ClusterStatus struct {
	Node            string // that answers
	Refresher       string // node that was elected last; empty: none yet
	Epoch           Epoch
	Nodes           int
	Apps            int
	Tokens          int
	States          map[Status]int
	Paused          bool
	Revision        int64         // this node has applied
	OutageTolerance time.Duration // until the first living token would die if refreshing stopped now; -1: none lives
	Skew            time.Duration // by how much the refresher's clock runs ahead of ours
	Room            Room          // of the store
	Health          Health
}

// Status returns the cluster as this node sees it.
func (n *Node) Status() ClusterStatus {
	s := ClusterStatus{
		Node: n.name, States: map[Status]int{}, OutageTolerance: -1, Revision: n.cache.applied.Load(),
		Skew: time.Duration(n.skew.ahead.Load()), Room: n.Room(), Health: n.Health(),
	}
	n.cache.reading(func(r *records) {
		s.Refresher, s.Epoch = r.elected.Node, r.elected.Epoch
		s.Nodes, s.Apps, s.Paused = len(r.nodes), len(r.apps), r.paused != nil
	})
	now := n.now()
	for _, v := range n.cache.views() {
		s.Tokens++
		s.States[v.Status(now)]++
		if lives := v.Lives(now, n.Margin()); lives > 0 && (s.OutageTolerance < 0 || lives < s.OutageTolerance) {
			s.OutageTolerance = lives
		}
	}
	return s
}

// Nodes returns the nodes that live, sorted by name.
func (n *Node) Nodes() []NodeInfo {
	var nodes []NodeInfo
	n.cache.reading(func(r *records) { nodes = slices.Collect(maps.Values(r.nodes)) })
	slices.SortFunc(nodes, func(a, b NodeInfo) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}
