package clienttest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"freshet/httpapi/client"
)

const (
	beatEvery = 15 * time.Second
	retryMS   = 1000
)

// stream is one reader that follows.
type stream struct {
	node    *Node
	to      http.ResponseWriter
	wanted  []*regexp.Regexp
	of      int64            // incarnation that is followed
	at      int64            // position up to which the reader knows everything
	values  map[string]int64 // :: token name → version told here
	resumed bool
	synced  bool
}

// stream tells of everything, and then of each change.
func (n *Node) stream(w http.ResponseWriter, r *http.Request) (any, error) {
	s := &stream{node: n, to: w, values: map[string]int64{}}
	for glob := range strings.SplitSeq(cmp.Or(r.URL.Query().Get("names"), "**"), ",") {
		s.wanted = append(s.wanted, pattern(glob))
	}
	known, _ := n.look()
	s.of = known.incarnation
	var incarnation, position int64
	if _, err := fmt.Sscanf(r.Header.Get("Last-Event-ID"), "%d.%d", &incarnation, &position); err == nil {
		if incarnation == known.incarnation && position <= known.position {
			s.at, s.resumed = position, true
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if _, err := fmt.Fprintf(w, "retry: %d\n\n", retryMS); err != nil {
		return nil, err
	}
	return nil, s.run(r)
}

var errEnded = errors.New("the stream has ended")

func (s *stream) run(r *http.Request) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		known, draining := s.node.look()
		if err := s.tell(known, draining); err != nil {
			return err
		}
		if err := http.NewResponseController(s.to).Flush(); err != nil {
			return err
		}
		select {
		case <-known.moved:
		case <-beat.C:
			if _, err := fmt.Fprint(s.to, ": beat\n\n"); err != nil {
				return err
			}
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// tell writes what has changed.
func (s *stream) tell(known view, draining bool) error {
	switch {
	case known.incarnation != s.of:
		return errEnded
	case known.revoked:
		return s.end(client.EndUnauthenticated)
	case draining:
		return s.end(client.EndDraining)
	}
	var changes []*token
	for name, t := range known.tokens {
		wanted := slices.ContainsFunc(s.wanted, func(glob *regexp.Regexp) bool { return glob.MatchString(name) })
		if wanted && t.position > s.at && (s.synced || s.resumed || !t.deleted) {
			changes = append(changes, t)
		}
	}
	slices.SortFunc(changes, func(a, b *token) int { return cmp.Compare(a.position, b.position) })
	for _, t := range changes {
		at := s.at // until everything of a snapshot was told, there is nowhere to go on from
		if s.synced || s.resumed {
			at = t.position
		}
		if err := s.change(fmt.Sprintf("%d.%d", known.incarnation, at), t); err != nil {
			return err
		}
	}
	s.at = max(s.at, known.position)
	if s.synced {
		return nil
	}
	s.synced = true
	return s.event(fmt.Sprintf("%d.%d", known.incarnation, s.at), client.EventSynced, client.StreamSynced{Resumed: s.resumed})
}

func (s *stream) change(id string, t *token) error {
	name := t.Name()
	switch {
	case t.deleted:
		return s.event(id, client.EventDeleted, client.StreamDeleted{App: t.App, Token: t.Token.Token})
	case time.Now().Before(t.ExpiresAt) && s.values[name] < t.Version:
		s.values[name] = t.Version
		return s.event(id, client.EventToken, s.node.answered(t))
	}
	return s.event(id, client.EventState, stateOf(t))
}

func (s *stream) end(reason string) error {
	if err := s.event("", client.EventEnd, client.StreamEnd{Reason: reason}); err != nil {
		return err
	}
	return errEnded
}

func (s *stream) event(id, kind string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, err = fmt.Fprintf(s.to, "%sevent: %s\ndata: %s\n\n", id, kind, text)
	return err
}

// pattern reads a name or a glob: "*" stays within a segment, "**" crosses.
func pattern(glob string) *regexp.Regexp {
	if !strings.ContainsAny(glob, "*?[") {
		glob = full(glob)
	}
	text := strings.NewReplacer(`\*\*`, ".*", `\*`, "[^/]*", `\?`, "[^/]").Replace(regexp.QuoteMeta(glob))
	return regexp.MustCompile("^" + text + "$")
}
