package schedule

import (
	"container/heap"
	"time"
)

// Queue holds things by the instant they are due. Each key stands in it at most
// once. The zero Queue is empty. It is not safe for concurrent use.
type Queue[K comparable] struct {
	items heapOf[K]
	index map[K]*item[K]
}

type item[K comparable] struct {
	key K
	at  time.Time
	pos int
}

// Len returns how many keys it holds.
func (q *Queue[K]) Len() int { return len(q.items) }

// Set puts key at an instant, moving it if it stands elsewhere.
func (q *Queue[K]) Set(key K, at time.Time) {
	if it, ok := q.index[key]; ok {
		it.at = at
		heap.Fix(&q.items, it.pos)
		return
	}
	if q.index == nil {
		q.index = map[K]*item[K]{}
	}
	it := &item[K]{key: key, at: at}
	q.index[key] = it
	heap.Push(&q.items, it)
}

// Remove takes key out.
func (q *Queue[K]) Remove(key K) {
	if it, ok := q.index[key]; ok {
		heap.Remove(&q.items, it.pos)
		delete(q.index, key)
	}
}

// Next returns when the earliest key is due; ok is false for an empty queue.
func (q *Queue[K]) Next() (at time.Time, ok bool) {
	if len(q.items) == 0 {
		return time.Time{}, false
	}
	return q.items[0].at, true
}

// Pop takes out the earliest key if it is due at now.
func (q *Queue[K]) Pop(now time.Time) (key K, ok bool) {
	if len(q.items) == 0 || q.items[0].at.After(now) {
		return key, false
	}
	it := heap.Pop(&q.items).(*item[K]) //nolint:forcetypeassert // the heap holds nothing else
	delete(q.index, it.key)
	return it.key, true
}

type heapOf[K comparable] []*item[K]

func (h heapOf[K]) Len() int           { return len(h) }
func (h heapOf[K]) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h heapOf[K]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *heapOf[K]) Push(x any) {
	it := x.(*item[K]) //nolint:forcetypeassert // only Queue pushes
	it.pos = len(*h)
	*h = append(*h, it)
}

func (h *heapOf[K]) Pop() any {
	last := len(*h) - 1
	it := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return it
}
