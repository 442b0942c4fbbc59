package client

import (
	"errors"
	"time"
)

// told is what the caller knows of a token.
type told struct {
	edition edition // of the newest value told; zero: none
	state   string
	reason  string
	expires int64 // of what was told last, in Unix seconds
}

// edition is where a value stands among those of its token.
type edition struct {
	version int64
	issued  int64 // Unix seconds
}

func editionOf(version int64, issued time.Time) edition { return edition{version, issued.Unix()} }

// anew is how much later a lower version must have been issued to be one of a
// cluster that began anew; clocks of nodes differ by less.
const anew = int64(time.Minute / time.Second)

// before reports whether other comes after e. Versions only rise, so a lower one
// comes from a node that lags, unless it was issued later: then the cluster has
// lost its history and counts from the beginning.
func (e edition) before(other edition) bool {
	return other.version > e.version || other.version < e.version && other.issued > e.issued+anew
}

// lags reports whether e is of a node that does not know other yet.
func (e edition) lags(other edition) bool { return e.version < other.version && !other.before(e) }

// take tells the caller of one event, if it is news.
func (f *follower) take(event any, yield func(Event, error) bool) error {
	switch e := event.(type) {
	case *Token:
		return f.takeToken(e, yield)
	case *State:
		return f.takeState(e, yield)
	case *StreamDeleted:
		return f.drop(e.App+"/"+e.Token, yield)
	case *StreamSynced:
		return f.takeSynced(e, yield)
	case *StreamEnd:
		return f.takeEnd(e)
	}
	return nil
}

// takeToken tells of a value that is newer than the one before. One that was
// told already may still say that the token's state, or its end, has changed.
func (f *follower) takeToken(t *Token, yield func(Event, error) bool) error {
	name, edition := t.Name(), editionOf(t.Version, t.IssuedAt)
	known, seen := f.known[name]
	f.list(name)
	switch {
	case !seen || known.edition.before(edition):
		f.known[name] = told{edition: edition, state: t.State, expires: t.ExpiresAt.Unix()}
		return tell(yield, Event{Kind: EventToken, Name: name, Token: *t})
	case known.edition != edition || known.state == t.State && known.expires == t.ExpiresAt.Unix():
		return nil
	}
	f.known[name] = told{edition: edition, state: t.State, expires: t.ExpiresAt.Unix()}
	return tell(yield, Event{Kind: EventState, Name: name, State: State{
		App: t.App, Token: t.Token, State: t.State, Version: t.Version, Fingerprint: t.Fingerprint,
		IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt, ExpiresIn: t.ExpiresIn,
	}})
}

func (f *follower) takeState(s *State, yield func(Event, error) bool) error {
	name, edition := s.Name(), editionOf(s.Version, s.IssuedAt)
	known, seen := f.known[name]
	f.list(name)
	same := known.state == s.State && known.reason == s.Reason && known.expires == s.ExpiresAt.Unix()
	if seen && (edition.lags(known.edition) || same) {
		return nil
	}
	known.state, known.reason, known.expires = s.State, s.Reason, s.ExpiresAt.Unix()
	f.known[name] = known
	return tell(yield, Event{Kind: EventState, Name: name, State: *s})
}

func (f *follower) drop(name string, yield func(Event, error) bool) error {
	if _, seen := f.known[name]; !seen {
		return nil
	}
	delete(f.known, name)
	return tell(yield, Event{Kind: EventDeleted, Name: name})
}

// list notes that a name was told on this connection.
func (f *follower) list(name string) {
	if f.listed != nil {
		f.listed[name] = true
	}
}

// takeSynced drops what a snapshot lacked. A second snapshot on one connection,
// after the client's permissions changed, cannot be told from the changes before
// it, so the stream is taken up anew instead.
func (f *follower) takeSynced(e *StreamSynced, yield func(Event, error) bool) error {
	if f.synced && !e.Resumed {
		f.lastID = ""
		return errAnew
	}
	if !e.Resumed {
		for name := range f.known {
			if !f.listed[name] {
				if err := f.drop(name, yield); err != nil {
					return err
				}
			}
		}
	}
	f.synced, f.listed = true, nil
	return tell(yield, Event{Kind: EventSynced})
}

// takeEnd says why a node ended the stream, as a refusal where it is one.
func (f *follower) takeEnd(e *StreamEnd) error {
	switch e.Reason {
	case EndForbidden:
		return &Problem{Title: "the client may not read this any more", Code: CodeForbidden, Status: 403}
	case EndUnauthenticated:
		return &Problem{Title: "the client key is not valid any more", Code: CodeUnauthenticated, Status: 401}
	}
	return e
}

func tell(yield func(Event, error) bool, e Event) error {
	if !yield(e, nil) {
		return errLeft
	}
	return nil
}

// pauseAfter returns how long to wait before the stream is taken up again: a
// moment, so that not all readers of a node that died come at once; longer where
// no node answers.
func (f *follower) pauseAfter(err error, failures int) time.Duration {
	if errors.Is(err, errAnew) {
		return 0
	}
	asked := jittered(f.retry)
	if failures > 0 {
		asked = max(asked, jittered(backoff(failures)))
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		asked = max(asked, p.RetryAfter)
	}
	return min(asked, restMax)
}
