package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// Event is one change that a stream tells. Printing it shows no value.
type Event struct {
	Kind  string // EventToken, EventState, EventDeleted or EventSynced
	Name  string // of the token, "app/token"; empty for EventSynced
	Token Token  // of EventToken
	State State  // of EventState
}

// LogValue logs what happened to which token.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", e.Kind), slog.String("token", e.Name), slog.Int64("version", max(e.Token.Version, e.State.Version)))
}

// Error returns why the node ended the stream.
func (e *StreamEnd) Error() string { return fmt.Sprintf("the node ended the stream (%.40s)", e.Reason) }

var errNotAnEvent = errors.New("the stream holds an event that this API does not write")

// parseEvent reads an event: a *Token, a *State, a *StreamDeleted, a
// *StreamSynced, a *StreamEnd, or nil for a kind of a later version. The error
// holds nothing of what was read.
func parseEvent(f frame) (any, error) {
	switch f.event {
	case EventToken:
		return decode(f, func(t *Token) bool { return named(t.App, t.Token) && t.Value != "" && t.Version > 0 })
	case EventState:
		return decode(f, func(s *State) bool { return named(s.App, s.Token) })
	case EventDeleted:
		return decode(f, func(d *StreamDeleted) bool { return named(d.App, d.Token) })
	case EventSynced:
		return decode(f, func(*StreamSynced) bool { return true })
	case EventEnd:
		return decode(f, func(*StreamEnd) bool { return true })
	}
	return nil, nil //nolint:nilnil // nothing that this version knows
}

func named(app, token string) bool { return app != "" && token != "" }

func decode[T any](f frame, whole func(*T) bool) (any, error) {
	out := new(T)
	if json.Unmarshal(f.data, out) != nil || !whole(out) {
		return nil, errNotAnEvent
	}
	return out, nil
}
