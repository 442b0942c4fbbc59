package httpapi

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"freshet/coordinator"
	"freshet/httpapi/client"
)

// Times of a stream.
const (
	beatEvery   = 15 * time.Second      // between two signs of life
	streamPause = 50 * time.Millisecond // after a look; what changes within it is told together
	retryLeast  = time.Second           // a reader whose connection broke waits so long and
	retrySpread = 2 * time.Second       // up to so much longer, so that not all come at once
)

func (a *API) streamRoutes(r router) {
	r.handle(http.MethodGet, "/v1/stream", a.authenticated(a.getStream, "names"))
}

// getStream tells a reader of its tokens: first of each as it is, then of every
// change, until the reader goes, or may not stay.
func (a *API) getStream(r request) error {
	wanted, err := r.wantedNames()
	if err != nil {
		return err
	}
	from, err := lastEventID(r.Request.Header)
	if err != nil {
		return err
	}
	switch health := a.node.Health(); {
	case !health.Synced:
		return coordinator.ErrNotSynced
	case health.Draining:
		return errDraining
	}
	leave, err := a.streams.enter(r.client.Name)
	if err != nil {
		return err
	}
	defer leave()
	s := &stream{api: a, request: r, wanted: wanted, reach: reach(wanted, r.client), out: newEventWriter(r.Writer, a.streamWrite)}
	defer func() { _ = s.out.extend() }() // for the last bytes, which net/http writes
	if err := s.open(); err != nil || r.Request.Method == http.MethodHead {
		return nil // a reader that has gone needs no answer
	}
	if point, ok := a.node.Resume(r.ctx(), from); ok {
		s.at, s.resumed = point, true
	}
	if err := s.run(); err != nil && s.out.late() {
		a.log.DebugContext(r.ctx(), "a reader of a stream was cut off", "client", s.client.Name, "err", err)
	}
	return nil
}

// stream is one reader that follows. It keeps where the reader is and nothing
// of what it was told: what is held for a reader is its connection with its
// buffers and two goroutines, about 36 KB, and while it does not take an event that
// event once more (TestACrowdFollowsOneNode measures both).
type stream struct {
	request // its client is the one it was when it was last looked at

	api    *API
	wanted coordinator.Names
	reach  coordinator.Reach // holds what of wanted the client may read
	out    *eventWriter

	at      coordinator.Point
	synced  bool // the reader knows everything up to at
	resumed bool // it was not told everything, but what it had missed
}

// reach is where changes are looked for that a client follows: not among all tokens
// there are, where it names its apps or its permissions do.
func reach(wanted coordinator.Names, c coordinator.Client) coordinator.Reach {
	return wanted.Reach().Narrower(c.Reach(coordinator.VerbRead))
}

// open sends the headers and how long to wait after a broken connection.
func (s *stream) open() error {
	header := s.Writer.Header()
	header["Content-Type"] = []string{"text/event-stream"}
	header["X-Accel-Buffering"] = []string{"no"} // or a proxy would collect events
	s.Status(http.StatusOK)
	return s.out.begin(retryLeast + rand.N(retrySpread))
}

// run tells of changes until the reader goes or is sent away; then the error is
// nil, or that of a write.
func (s *stream) run() error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		moved := s.api.node.Moved()
		if reason := s.lookAtClient(); reason != "" {
			return s.end(reason)
		}
		if err := s.tell(); err != nil {
			return err
		}
		pause(s.ctx())
		if err := s.await(moved, beat.C); err != nil {
			return err
		}
	}
}

// pause waits for a moment, in which further changes come together. It follows
// every look: what is another reader's wakes this one as well.
func pause(ctx context.Context) {
	over := time.NewTimer(streamPause)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
	}
}

// await waits until there may be something to tell, and beats meanwhile.
func (s *stream) await(moved <-chan struct{}, beat <-chan time.Time) error {
	var expired <-chan time.Time
	if ends := s.client.Expires; !ends.IsZero() {
		timer := time.NewTimer(time.Until(ends))
		defer timer.Stop()
		expired = timer.C
	}
	for {
		select {
		case <-moved:
			return nil
		case <-expired:
			return nil
		case <-beat:
			if err := s.out.comment("beat"); err != nil {
				return err
			}
		case <-s.ctx().Done():
			return s.ctx().Err()
		}
	}
}

// lookAtClient looks whether the reader may stay, and says why not. One whose
// permissions have changed is told everything that it may read now.
func (s *stream) lookAtClient() (reason string) {
	if s.api.node.Health().Draining {
		return client.EndDraining
	}
	now, err := s.api.authenticate(s.Request)
	if err != nil {
		return client.EndUnauthenticated
	}
	if now.Name == s.client.Name && now.Revision == s.client.Revision {
		return ""
	}
	s.client, s.reach = now, reach(s.wanted, now)
	if s.mayFollow(s.wanted) != nil {
		return client.EndForbidden
	}
	s.at, s.synced, s.resumed = coordinator.Point{}, false, false
	return ""
}

// tell tells what has changed since the reader was told last. The position that
// is reached goes out with the last event: a reader that has missed the others
// must not go on from there.
func (s *stream) tell() (err error) {
	changes, reached := s.api.node.Changes(s.at, s.reach)
	var held coordinator.Changed
	told := false
	for change := range changes {
		if !s.wanted.Has(change.Name) || !s.client.May(coordinator.VerbRead, change.Name) {
			continue
		}
		if told {
			if err := s.event(s.at.Position, held); err != nil {
				return err
			}
		}
		held, told = change, true
	}
	id := reached.Position
	if !s.synced {
		id = s.at.Position
	}
	if told {
		err = s.event(id, held)
	}
	if err == nil && !s.synced {
		told, err = true, s.out.event(reached.Position, client.EventSynced, client.StreamSynced{Resumed: s.resumed})
	}
	if err == nil && told {
		err = s.out.flush()
	}
	s.at, s.synced = reached, true
	return err
}

// event tells of one token: of its value where that is a new one and lives,
// otherwise of its state.
func (s *stream) event(id coordinator.Position, c coordinator.Changed) error {
	now := time.Now()
	switch {
	case c.View == nil:
		return s.out.event(id, client.EventDeleted, client.StreamDeleted{App: c.Name.App, Token: c.Name.Token})
	case c.Value && c.View.Lives(now, s.api.node.Margin()) > 0:
		return s.out.raw(id, client.EventToken, func(to []byte) []byte {
			return bytes.TrimSuffix(appendToken(to, c.View, now, s.api.headers.node[0]), []byte("\n"))
		})
	}
	return s.out.event(id, client.EventState, s.api.stateOf(c.View, now))
}

// end sends the reader away.
func (s *stream) end(reason string) error {
	if err := s.out.event(s.at.Position, client.EventEnd, client.StreamEnd{Reason: reason}); err != nil {
		return err
	}
	return s.out.flush()
}
