package client

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A node that did not answer is left alone for a while: the first time about
// restMin, twice as long each time after, at most restMax.
const (
	restMin = time.Second
	restMax = 30 * time.Second
)

// nodes are the addresses of a cluster, and which of them answer.
type nodes struct {
	mu        sync.Mutex
	all       []nodeHealth
	preferred int // index of the one to ask first: it answered last, or comes after one that failed
}

type nodeHealth struct {
	address  string
	failures int       // in a row
	rests    time.Time // until then it is asked only if no other answers
}

func newNodes(addresses []string) *nodes {
	n := &nodes{}
	for _, address := range addresses {
		n.all = append(n.all, nodeHealth{address: address})
	}
	return n
}

// inOrder returns the indices of the nodes in the order in which to ask them:
// first the one that answered last, at the end those that rest.
func (n *nodes) inOrder() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	order := make([]int, 0, len(n.all))
	for i := range n.all {
		order = append(order, (n.preferred+i)%len(n.all))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(n.all[a].restLeft(now), n.all[b].restLeft(now))
	})
	return order
}

func (n *nodes) address(i int) string { return n.all[i].address }

// worked notes that a node answered.
func (n *nodes) worked(i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all[i].failures, n.all[i].rests = 0, time.Time{}
	n.preferred = i
}

// failed notes that a node did not answer, or said that another one should be asked.
func (n *nodes) failed(i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	node := &n.all[i]
	node.rests = time.Now().Add(jittered(backoff(node.failures)))
	node.failures++
	if n.preferred == i {
		n.preferred = (i + 1) % len(n.all)
	}
}

// restLeft is how long a node is still left alone.
func (h nodeHealth) restLeft(now time.Time) time.Duration { return max(0, h.rests.Sub(now)) }

// backoff returns how long to wait after so many failures before this one.
func backoff(failures int) time.Duration {
	return min(restMax, restMin<<min(failures, 10))
}

// jittered returns d or up to half of it less, so that many who lost the same
// node do not come back in one moment.
func jittered(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - rand.N(d/2+1)
}
