package coordinator

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Recognize finds the tokens that a value is, or was not long ago: of each the one
// held, and of those it replaced the last few whose granted life is not over, if
// this node has shown them. Tokens that hold the value come before those that held
// it; several may where one mirrors another. It takes no lock that who follows the
// store holds, and keeps no value, only what its HMAC is.
func (n *Node) Recognize(value Secret) []Name {
	if value.IsZero() {
		return nil
	}
	var names []Name
	held := map[Name]bool{}
	for _, owner := range n.cache.values.find(value) {
		if !n.now().Before(owner.expires) {
			continue
		}
		v, shown := n.cache.view(owner.name)
		held[owner.name] = shown && v.Token != nil && v.Token.Version == owner.version
		names = append(names, owner.name)
	}
	slices.SortFunc(names, func(a, b Name) int {
		if held[a] != held[b] {
			return map[bool]int{true: -1, false: 1}[held[a]]
		}
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(a.Token, b.Token))
	})
	return names
}

// values finds tokens by the values they have and had. Only who holds
// Node.following writes it.
type values struct {
	key   atomic.Pointer[FingerprintKey]
	known sync.Map // :: valueSum → owners
}

// owners are the tokens that have or had one value, each once. They are never
// changed, but replaced by others.
type owners []owner

// owner is a token that has or had a value, and until when.
type owner struct {
	name    Name
	version int64
	expires time.Time
}

func (s *values) find(value Secret) owners {
	key := s.key.Load()
	if key == nil {
		return nil
	}
	return s.owners(key.sum(value))
}

func (s *values) owners(sum valueSum) owners {
	found, ok := s.known.Load(sum)
	if !ok {
		return nil
	}
	return found.(owners) //nolint:forcetypeassert // known holds nothing else
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
func (s *values) follow(name Name, cell *cell, old, next *View, t *touched) {
	if next == nil || old != nil && old.State.Incarnation != next.State.Incarnation {
		s.forget(name, cell, 0)
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
	others := s.owners(sum).without(token.Name)
	s.known.Store(sum, append(others, owner{name: token.Name, version: token.Version, expires: token.Expires}))
	cell.known = slices.DeleteFunc(cell.known, func(known valueSum) bool { return known == sum || s.over(known, token.Name, now) })
	cell.known = slices.Insert(cell.known, 0, sum)
	s.forget(token.Name, cell, formerValues)
}

// over drops a token's value whose life is over, and reports whether it did.
func (s *values) over(sum valueSum, name Name, now time.Time) bool {
	lives := func(o owner) bool { return o.name == name && now.Before(o.expires) }
	if slices.ContainsFunc(s.owners(sum), lives) {
		return false
	}
	s.drop(sum, name)
	return true
}

// forget drops all but the newest values of a token.
func (s *values) forget(name Name, cell *cell, keep int) {
	for i := keep; i < len(cell.known); i++ {
		s.drop(cell.known[i], name)
	}
	cell.known = cell.known[:min(keep, len(cell.known))]
}

// drop makes a value be a token's no more. Of others that have it, it stays.
func (s *values) drop(sum valueSum, name Name) {
	others := s.owners(sum).without(name)
	if len(others) == 0 {
		s.known.Delete(sum)
		return
	}
	s.known.Store(sum, others)
}

// without returns the others.
func (o owners) without(name Name) owners {
	return slices.DeleteFunc(slices.Clone(o), func(o owner) bool { return o.name == name })
}
