package coordinator

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Recognize finds the token that a value is, or was not long ago: the one held,
// and of those it replaced the last few whose granted life is not over, if this
// node has shown them. It takes no lock that who follows the store holds, and
// keeps no value, only what its HMAC is.
func (n *Node) Recognize(value Secret) (name Name, version int64, ok bool) {
	if value.IsZero() {
		return Name{}, 0, false
	}
	found, ok := n.cache.values.find(value)
	if !ok || !n.now().Before(found.expires) {
		return Name{}, 0, false
	}
	return found.name, found.version, true
}

// values finds tokens by the values they have and had. Only who holds
// Node.following writes it.
type values struct {
	key   atomic.Pointer[FingerprintKey]
	known sync.Map // :: valueSum → *knownValue
}

// knownValue is whose value a value is, and until when.
type knownValue struct {
	name    Name
	version int64
	expires time.Time
}

func (s *values) find(value Secret) (*knownValue, bool) {
	key := s.key.Load()
	if key == nil {
		return nil, false
	}
	found, ok := s.known.Load(key.sum(value))
	if !ok {
		return nil, false
	}
	return found.(*knownValue), true //nolint:forcetypeassert // known holds nothing else
}

// useKey makes values be found by a key. Those known by another one are found
// no more until they are shown again, which every change of the key brings about.
func (s *values) useKey(key FingerprintKey) {
	if held := s.key.Load(); key.Key.IsZero() || held != nil && held.Key.Equal(key.Key) {
		return
	}
	s.key.Store(&key)
}

// follow takes over what a view shows in the place of the one before. A token
// that is gone, and a new life of its app, end what former values opened.
func (s *values) follow(cell *cell, old, next *View, t *touched) {
	if next == nil || old != nil && old.State.Incarnation != next.State.Incarnation {
		s.forget(cell, 0)
	}
	if next == nil || next.Token == nil || s.key.Load() == nil {
		return
	}
	if t.all || old == nil || old.Token != next.Token || len(cell.known) == 0 {
		s.note(cell, next.Token, t.now.at)
	}
}

// note makes a value known as its token's newest.
func (s *values) note(cell *cell, token *Token, now time.Time) {
	sum := s.key.Load().sum(token.Value)
	s.known.Store(sum, &knownValue{name: token.Name, version: token.Version, expires: token.Expires})
	cell.known = slices.DeleteFunc(cell.known, func(known valueSum) bool { return known == sum || s.over(known, now) })
	cell.known = slices.Insert(cell.known, 0, sum)
	s.forget(cell, formerValues)
}

// over drops a value whose life is over, and reports whether it did.
func (s *values) over(sum valueSum, now time.Time) bool {
	found, ok := s.known.Load(sum)
	if ok && now.Before(found.(*knownValue).expires) { //nolint:forcetypeassert // known holds nothing else
		return false
	}
	s.known.Delete(sum)
	return true
}

// forget drops all but the newest values of a token.
func (s *values) forget(cell *cell, keep int) {
	for i := keep; i < len(cell.known); i++ {
		s.known.Delete(cell.known[i])
	}
	cell.known = cell.known[:min(keep, len(cell.known))]
}
