package httpapi

import (
	"container/list"
	"sync"
)

// recent is a map that keeps the entries used last, at most so many.
type recent[K comparable, V any] struct {
	most int

	mu      sync.Mutex
	entries map[K]*list.Element // of entry[K, V]
	order   *list.List          // used last in front
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, entries: map[K]*list.Element{}, order: list.New()}
}

// get returns an entry.
func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.entries[key]
	if !ok {
		return value, false
	}
	r.order.MoveToFront(found)
	return found.Value.(entry[K, V]).value, true // order holds nothing else
}

// put sets an entry.
func (r *recent[K, V]) put(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.putLocked(key, value)
}

func (r *recent[K, V]) putLocked(key K, value V) {
	if found, ok := r.entries[key]; ok {
		r.order.Remove(found)
	}
	r.entries[key] = r.order.PushFront(entry[K, V]{key, value})
	if r.order.Len() <= r.most {
		return
	}
	oldest := r.order.Remove(r.order.Back()).(entry[K, V]) // order holds nothing else
	delete(r.entries, oldest.key)
}

// getOr returns an entry, made if there is none.
func (r *recent[K, V]) getOr(key K, build func() V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found, ok := r.entries[key]; ok {
		r.order.MoveToFront(found)
		return found.Value.(entry[K, V]).value // order holds nothing else
	}
	value := build()
	r.putLocked(key, value)
	return value
}
