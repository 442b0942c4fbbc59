package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"
)

// Times of Watch.
const (
	watchWait     = 30 * time.Second // of one request
	watchPauseMin = time.Second      // between a refusal and the next request
	watchPauseMax = 30 * time.Second
)

// Watch yields the value of a token above a version (0: the one there is), then
// each newer one, until ctx ends or the loop is left. Errors are yielded too;
// after one that passes it goes on by itself, and after one that only a change
// of the request can mend (a key, a permission, a name) it ends. A version goes
// back only to one that was issued later, by a cluster that began anew.
func (c *Client) Watch(ctx context.Context, name string, after int64) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		var last edition // that was yielded
		for ctx.Err() == nil {
			began := time.Now()
			token, err := c.Token(ctx, name, TokenOptions{After: after, Wait: watchWait})
			if nothingNewer(err) && last.version > 0 {
				token, err = c.begunAnew(ctx, name, last, err)
			}
			if err == nil {
				after, last = token.Version, editionOf(token.Version, token.IssuedAt)
				if !yield(token, nil) {
					return
				}
				continue
			}
			if ctx.Err() != nil {
				return
			}
			// That nothing is newer is the ordinary end of a long poll.
			if !nothingNewer(err) && (!yield(Token{}, err) || final(err)) {
				return
			}
			pause(ctx, watchPause(err, time.Since(began)))
		}
	}
}

// begunAnew returns the value of a cluster that counts from the beginning, or
// the error that said that there is nothing newer than the last one.
func (c *Client) begunAnew(ctx context.Context, name string, last edition, nothing error) (Token, error) {
	token, err := c.Token(ctx, name, TokenOptions{})
	if err == nil && last.before(editionOf(token.Version, token.IssuedAt)) {
		return token, nil
	}
	return Token{}, nothing
}

func nothingNewer(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Code == CodeNoNewerToken
}

// final reports whether asking the same again cannot help.
func final(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		return false
	}
	switch p.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return false
}

// watchPause returns how long to wait before the next request. A long poll that
// lasted is followed at once.
func watchPause(err error, took time.Duration) time.Duration {
	if nothingNewer(err) && took >= watchWait/2 {
		return 0
	}
	asked := watchPauseMin
	if p, ok := errors.AsType[*Problem](err); ok {
		asked = max(asked, p.RetryAfter)
	}
	return min(asked, watchPauseMax)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
