package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Times of a stream.
const (
	silenceLimit = 40 * time.Second // a node beats every 15 s: one that is silent so long is gone
	streamPause  = time.Second      // before a broken stream is taken up again, unless the node says otherwise
)

// Stream yields every token that names tell, then each change, until ctx ends or
// the loop is left. Names are "app/token", "app" for its access_token, or globs
// such as "shop/*"; none means all that the client may read. EventSynced comes
// once everything was told that there was, and again whenever the stream was
// taken up anew.
//
// A stream that breaks is taken up on the next node that answers, without
// missing the newest version of a token, repeating one, or going back. Errors
// are yielded too; after one that passes it goes on by itself, and after one
// that only a change of the request can mend (a key, a permission) it ends.
func (c *Client) Stream(ctx context.Context, names ...string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := &follower{client: c, names: names, known: map[string]told{}, retry: streamPause}
		for failures := 0; ctx.Err() == nil; {
			err := f.follow(ctx, yield)
			if errors.Is(err, errLeft) || ctx.Err() != nil {
				return
			}
			if f.synced {
				failures = 0
			}
			if !passing(err) && !yield(Event{}, err) || final(err) {
				return
			}
			pause(ctx, f.pauseAfter(err, failures))
			failures++
		}
	}
}

var (
	errLeft = errors.New("the loop was left") // by the caller, whom nothing more is told
	errAnew = errors.New("the stream is to be taken up anew")
)

// passing reports whether the end of a stream is an ordinary one, of which nobody needs to know.
func passing(err error) bool {
	end, ok := errors.AsType[*StreamEnd](err)
	return errors.Is(err, errAnew) || ok && end.Reason == EndDraining
}

// follower is one reader of streams, one after the other.
type follower struct {
	client *Client
	names  []string

	known  map[string]told // :: token name → what the caller was told of it
	listed map[string]bool // names told on this connection, until it is synced
	synced bool            // this connection has told everything
	lastID string          // where to go on
	retry  time.Duration   // the node asked for, before one comes back
}

// follow takes up a stream and tells of it until it ends. It returns why.
func (f *follower) follow(ctx context.Context, yield func(Event, error) bool) error {
	var failure error
	for _, n := range f.client.nodes.inOrder() {
		f.synced, f.listed = false, map[string]bool{} // what one node told counts for nothing on the next
		err := f.followNode(ctx, n, yield)
		if ctx.Err() != nil || errors.Is(err, errLeft) || f.synced || !anotherMayFollow(err) {
			return err
		}
		if failure == nil || final(failure) { // a node that is away may have what another one has not
			failure = err
		}
	}
	return failure
}

// anotherMayFollow reports whether another node may have the stream that this
// one refused: it is going away, has too many, or is of a build that has none.
func anotherMayFollow(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return !ok || p.anotherNode() || p.fromBetween() || p.Code == CodeRateLimited || p.Code == CodeNotFound
}

// followNode tells of the stream of one node.
func (f *follower) followNode(ctx context.Context, n int, yield func(Event, error) bool) error {
	watched, silence, stop := withSilence(ctx)
	defer stop()
	err := f.read(watched, n, silence, yield)
	if ctx.Err() == nil && errors.Is(context.Cause(watched), errSilent) {
		err = fmt.Errorf("following %s: %w", f.client.nodes.address(n), errSilent)
	}
	ours := ctx.Err() != nil || errors.Is(err, errLeft) || errors.Is(err, errAnew)
	if !ours && !final(err) {
		f.client.nodes.failed(n)
	}
	return err
}

func (f *follower) read(ctx context.Context, n int, silence *silence, yield func(Event, error) bool) error {
	body, err := f.open(ctx, n)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	var clock lateness
	frames := newFrames(body, silence.heard)
	for {
		silence.heard()
		next, err := frames.next()
		if err != nil {
			return fmt.Errorf("following %s: %w", f.client.nodes.address(n), unwrapURL(err))
		}
		silence.busy()
		f.retry = min(cmp.Or(frames.retry, f.retry), restMax)
		event, err := parseEvent(next)
		if err != nil {
			return err
		}
		clock.correct(event, time.Now())
		if err := f.take(event, yield); err != nil {
			return err
		}
		f.lastID = next.id
		if f.synced {
			f.client.nodes.worked(n)
		}
	}
}

// eventStream is the media type of a stream.
const eventStream = "text/event-stream"

// open asks a node for its stream.
func (f *follower) open(ctx context.Context, n int) (io.ReadCloser, error) {
	query := url.Values{}
	setText(query, "names", strings.Join(f.names, ","))
	address := f.client.nodes.address(n)
	req, err := f.client.request(ctx, address, call{method: http.MethodGet, path: "/v1/stream", query: query}, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", eventStream)
	if f.lastID != "" {
		req.Header.Set("Last-Event-ID", f.lastID)
	}
	return f.client.openAnswer(address, req)
}
