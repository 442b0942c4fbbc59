package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"
)

// attemptTimeout bounds one request to one node, beside the wait that it asks for.
const attemptTimeout = 15 * time.Second

// maxWait is how long a node waits at most, however long it is asked to.
const maxWait = time.Minute

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// call is one request, whichever node answers it.
type call struct {
	method string
	path   string
	query  url.Values
	body   any           // nil: none
	wait   time.Duration // asked of the node
	once   bool          // must not be sent again after a node may have seen it
	named  string        // idempotency key: however often it is sent, it takes effect once
}

// do sends a call to one node after another until one answers, and decodes the
// answer into out unless that is nil.
func (c *Client) do(ctx context.Context, cl call, out any) error {
	body, err := encodeBody(cl.body)
	if err != nil {
		return err
	}
	cl.wait = min(cl.wait, maxWait)
	order := c.nodes.inOrder()
	for i, n := range order {
		err = c.attempt(ctx, c.nodes.address(n), cl, body, share(ctx, cl, len(order)-i), out)
		if err == nil {
			c.nodes.worked(n)
			return nil
		}
		if notThisNode(ctx, cl, err) {
			c.nodes.failed(n)
		}
		if ctx.Err() != nil || !nextMayAnswer(cl, err) {
			return err
		}
	}
	return err
}

// share returns how long one node may take, beside the wait that is asked of
// it, so that a caller in a hurry still gets to the next one if this one hangs.
func share(ctx context.Context, cl call, nodesLeft int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok || cl.once || nodesLeft == 1 {
		return attemptTimeout
	}
	return min(attemptTimeout, max(0, time.Until(deadline)-cl.wait)/time.Duration(nodesLeft)+time.Millisecond)
}

func encodeBody(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return encoded, nil
}

// nextMayAnswer reports whether another node may be asked after err.
func nextMayAnswer(cl call, err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.anotherNode() || p.fromBetween() && !cl.once
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true // nobody has seen the request
	}
	return !cl.once
}

// notThisNode reports whether the node is to blame for err. A caller who went
// away is not, and neither is a deadline that cut a wait short.
func notThisNode(ctx context.Context, cl call, err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.anotherNode() || p.fromBetween()
	}
	if ctx.Err() == nil {
		return true
	}
	return cl.wait == 0 && errors.Is(ctx.Err(), context.DeadlineExceeded)
}

// attempt sends a call to one node.
func (c *Client) attempt(ctx context.Context, address string, cl call, body []byte, timeout time.Duration, out any) error {
	ctx, cancel := context.WithTimeout(ctx, cl.wait+timeout)
	defer cancel()
	req, err := c.request(ctx, address, cl, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w", address, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return problemFrom(resp, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("the answer of %s is not what this API answers (status %d, %d bytes)", address, resp.StatusCode, len(data))
	}
	return nil
}

func (c *Client) request(ctx context.Context, address string, cl call, body []byte) (*http.Request, error) {
	target := address + cl.path
	if len(cl.query) > 0 {
		target += "?" + cl.query.Encode()
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, cl.method, target, reader)
	if err != nil {
		return nil, fmt.Errorf("building the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "freshet-client")
	if *c.key != "" {
		req.Header.Set("Authorization", "Bearer "+*c.key)
	}
	if cl.named != "" {
		req.Header.Set("Idempotency-Key", cl.named)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// openAnswer makes a request whose answer is read as it comes, however long that
// takes, and returns its body where it is of the media type that is accepted.
func (c *Client) openAnswer(address string, req *http.Request) (io.ReadCloser, error) {
	endless := *c.http
	endless.Timeout = 0 // it would end the answer
	resp, err := endless.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", address, unwrapURL(err))
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode == http.StatusOK && media == req.Header.Get("Accept") {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxFrame))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	return nil, problemFrom(resp, data)
}

// unwrapURL drops the method and URL that net/http puts before an error, which
// repeat what the caller knows.
func unwrapURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
