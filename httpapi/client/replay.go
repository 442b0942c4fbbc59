package client

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// replay is the body of a request that may have to be sent twice.
type replay struct {
	req  *http.Request
	most int64
	kept *keeper // what was sent of a body that has no GetBody
}

func newReplay(req *http.Request, most int64) *replay { return &replay{req: req, most: most} }

// first returns the body to send first.
func (r *replay) first() io.ReadCloser {
	body := r.req.Body
	if body == nil || body == http.NoBody || r.req.GetBody != nil || r.most < 0 {
		return body
	}
	r.kept = &keeper{body: body, most: r.most, length: r.req.ContentLength}
	return r.kept
}

// again returns the body to send a second time; false: it cannot be had again.
func (r *replay) again() (io.ReadCloser, bool) {
	switch {
	case r.req.Body == nil || r.req.Body == http.NoBody:
		return r.req.Body, true
	case r.req.GetBody != nil:
		body, err := r.req.GetBody()
		return body, err == nil
	case r.kept == nil:
		return nil, false
	}
	return r.kept.whole()
}

// keeper keeps what is read of a body, up to a bound. It does not read ahead, so
// that a body whose end depends on the answer is sent as ever. A transport may
// read on while its answer is looked at already.
type keeper struct {
	body   io.ReadCloser
	most   int64
	length int64 // as announced; below one: not known

	mu    sync.Mutex
	data  []byte
	ended bool // the end was read
	lost  bool // it is longer than what may be kept
}

func (k *keeper) Read(p []byte) (int, error) {
	n, err := k.body.Read(p)
	k.mu.Lock()
	defer k.mu.Unlock()
	if int64(len(k.data)+n) > k.most {
		k.lost, k.data = true, nil
	}
	if !k.lost {
		k.data = append(k.data, p[:n]...)
	}
	k.ended = k.ended || err == io.EOF
	return n, err
}

func (k *keeper) Close() error { return k.body.Close() }

// whole returns all of the body, if all of it was read and kept.
func (k *keeper) whole() (io.ReadCloser, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost || !k.ended && (k.length < 1 || int64(len(k.data)) < k.length) {
		return nil, false
	}
	return io.NopCloser(bytes.NewReader(k.data)), true
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}
