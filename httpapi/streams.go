package httpapi

import (
	"net/http"
	"sync"

	"freshet/coordinator"
)

// streams counts the streams that are open, and bounds them.
type streams struct {
	most, mostOfClient int

	mu       sync.Mutex
	open     int
	byClient map[string]int // :: name of a client → its open streams
}

func newStreams(most, mostOfClient int) *streams {
	return &streams{most: most, mostOfClient: mostOfClient, byClient: map[string]int{}}
}

// enter counts a stream of a client; leave must be called when it has ended.
func (s *streams) enter(client string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.most || s.byClient[client] >= s.mostOfClient {
		return nil, errStreams
	}
	s.open++
	s.byClient[client]++
	return func() { s.leave(client) }, nil
}

func (s *streams) leave(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.byClient[client]--
	if s.byClient[client] == 0 {
		delete(s.byClient, client)
	}
}

// lastEventID reads from where a reader goes on. What is not an id of ours, or
// one of a build that writes them otherwise, is none: such a reader is told
// everything, which is never wrong.
func lastEventID(header http.Header) (coordinator.Position, error) {
	values := header["Last-Event-Id"]
	if len(values) > 1 {
		return coordinator.Position{}, coordinator.Invalidf("header Last-Event-ID is given %d times; give it once", len(values))
	}
	if len(values) == 0 {
		return coordinator.Position{}, nil
	}
	position, _ := coordinator.ParsePosition(values[0])
	return position, nil
}
