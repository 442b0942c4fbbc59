package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"freshet/coordinator"
)

// keptBody is the body of a call, which can be sent a second time if all of it
// could be kept.
type keptBody struct {
	source   io.Reader
	progress *progress
	room     *room
	most     int64

	mu    sync.Mutex
	kept  bytes.Buffer
	taken int64 // of room
	whole bool  // the source has ended, and kept holds all of it
	going bool  // the source is read while the call is made, and has not ended
	ended bool  // the source, which is not asked again
}

// room is how many bytes of bodies all calls together may keep.
type room struct {
	left atomic.Int64
}

func newRoom(size int64) *room {
	r := &room{}
	r.left.Store(size)
	return r
}

func (r *room) take(n int64) bool {
	if r.left.Add(-n) >= 0 {
		return true
	}
	r.left.Add(n)
	return false
}

func (r *room) giveBack(n int64) { r.left.Add(n) }

var errBodyBroken = coordinator.Invalidf("the body could not be read to its end")

// keep prepares the body of a call. One that is short by its own word is read
// before the call is made: a platform that refuses before it has read everything
// would leave us half of it. The others are kept while they pass.
func (f *carrying) keep(call *http.Request) error {
	most := f.api.forwards.keepBody
	f.body = &keptBody{source: call.Body, progress: f.progress, room: f.api.forwards.room, most: most}
	if call.Body == nil || call.Body == http.NoBody {
		f.body.whole = true
		return nil
	}
	want := call.ContentLength
	if want < 0 {
		want = most
	}
	if want > most || !f.body.room.take(want) {
		f.body.most, want = 0, 0
	}
	f.body.taken = want
	if call.ContentLength < 0 || want == 0 {
		f.body.going = true
		return nil
	}
	_, err := io.Copy(io.Discard, f.body)
	if err != nil || int64(f.body.kept.Len()) != call.ContentLength {
		return errBodyBroken
	}
	return nil
}

// Read reads the source, and keeps what it reads. Who sends a body of a length asks
// once more after its end; by then an answer may have begun, and net/http has closed
// the source.
func (b *keptBody) Read(p []byte) (int, error) {
	if b.over() {
		return 0, io.EOF
	}
	n, err := b.source.Read(p)
	b.progress.touch()
	b.mu.Lock()
	defer b.mu.Unlock()
	ended := errors.Is(err, io.EOF)
	b.ended = b.ended || ended
	b.going = b.going && !ended
	switch {
	case b.most == 0:
		return n, err
	case int64(b.kept.Len()+n) > b.most:
		b.dropLocked()
		return n, err
	}
	b.kept.Write(p[:n])
	b.whole = b.whole || ended
	return n, err
}

func (b *keptBody) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// Close leaves the source to net/http, which owns it.
func (b *keptBody) Close() error { return nil }

func (b *keptBody) dropLocked() {
	b.room.giveBack(b.taken)
	b.taken, b.most, b.kept = 0, 0, bytes.Buffer{}
}

// release forgets what was kept.
func (b *keptBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole = false
	b.dropLocked()
}

// again reports whether the body can be sent again.
func (b *keptBody) again() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole
}

// half reports whether the client is still sending the body. A connection that
// carries one call at a time must be closed after the answer then: what comes next
// on it is no request line, and net/http would read the body itself before it lets
// an answer begin.
func (b *keptBody) half() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.going
}

// attach gives an attempt its body: what was kept, or the source while it is new.
func (b *keptBody) attach(attempt *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.whole && b.kept.Len() == 0:
		attempt.Body, attempt.GetBody = http.NoBody, nil
		attempt.ContentLength = 0
	case b.whole:
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.kept.Bytes())), nil }
		attempt.Body, _ = open()
		attempt.GetBody = open // for a kept connection that broke before anything was written
	default:
		attempt.Body, attempt.GetBody = b, nil
	}
}
