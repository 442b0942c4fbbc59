package httpapi_test

import (
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"freshet/coordinator"
	"freshet/httpapi"
)

// looked counts how often readers look at what has changed, and at how many tokens.
type looked struct {
	httpapi.Node

	times, tokens atomic.Int64
}

func (l *looked) Changes(after coordinator.Point, reach coordinator.Reach) (iter.Seq[coordinator.Changed], coordinator.Point) {
	l.times.Add(1)
	changes, reached := l.Node.Changes(after, reach)
	return func(yield func(coordinator.Changed) bool) {
		for c := range changes {
			l.tokens.Add(1)
			if !yield(c) {
				return
			}
		}
	}, reached
}

// joinLooked is a node whose readers' looks are counted.
func (s *streaming) joinLooked() (*station, *looked) {
	var node *looked
	s.change = func(c *httpapi.Config) {
		node = &looked{Node: c.Node}
		c.Node = node
	}
	return s.join("n1"), node
}

// What changes of other apps wakes every reader: with many of both it must not be
// all that a node does.
func TestStreamReadersLookSeldomAtWhatIsNotTheirs(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n, node := s.joinLooked()
		n.apply("shop")
		n.apply("web")
		r := n.follow(bootstrapKey, "?names=shop", "")
		r.synced(false, "token shop value-1")
		time.Sleep(time.Second)
		before := node.times.Load()
		for i := range 200 {
			s.must(n.PauseApp(s.Context(), "api:test", "web", i%2 == 0))
			time.Sleep(5 * time.Millisecond)
		}
		if looks := node.times.Load() - before; looks > 22 {
			s.Errorf("%d looks in a second", looks)
		}
		began := time.Now()
		n.refresh("shop")
		r.is("token shop value-3")
		if late := time.Since(began); late > time.Second {
			s.Errorf("told %s late", late)
		}
	})
}

// Who names its apps, or may read those of a few, is not made to look at all others.
func TestStreamReadersLookOnlyAtTheirApps(t *testing.T) {
	inBubble(t, func(s *streaming) {
		n, node := s.joinLooked()
		for i := range 20 {
			n.apply(fmt.Sprint("app", i))
		}
		c := n.client(0, time.Time{}, "app3/*", "app5/*")
		var last *reader
		for _, c := range []struct{ key, names string }{{bootstrapKey, "?names=app3/*,app5"}, {ordersKey, ""}} {
			before := node.tokens.Load()
			last = n.follow(c.key, c.names, "")
			last.synced(false, "token app3 value-4", "token app5 value-6")
			if got := node.tokens.Load() - before; got != 2 {
				s.Errorf("a reader with %q looked at %d tokens, want its 2", c.names, got)
			}
		}
		n.client(c.Revision, time.Time{}, "app3/*", "app7/*")
		last.synced(false, "token app3 value-4", "token app7 value-8")
	})
}
