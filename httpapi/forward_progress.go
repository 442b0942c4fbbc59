package httpapi

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// progress gives a forwarded call up in which nothing moves any more. It takes the
// place of the server's time limits, which a stream would outlive.
type progress struct {
	idle    time.Duration
	control *http.ResponseController
	stop    context.CancelCauseFunc
	timer   *time.Timer

	mu       sync.Mutex
	ended    bool
	still    bool // it was given up
	answered bool // there is an answer to be written
}

// newProgress begins to watch a call. When nothing has moved for so long its
// context is ended, and who waits for the client to read or write is woken.
func newProgress(w http.ResponseWriter, idle time.Duration, stop context.CancelCauseFunc) *progress {
	p := &progress{idle: idle, control: http.NewResponseController(w), stop: stop}
	p.deadlines(time.Time{}, time.Time{})
	p.timer = time.AfterFunc(idle, p.giveUp)
	return p
}

// touch says that something has moved.
func (p *progress) touch() { p.timer.Reset(p.idle) }

func (p *progress) giveUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.still = true
	p.stop(errStalled)
	write := time.Time{} // it will be told so: over HTTP/2 nobody could any more
	if p.answered {
		write = time.Unix(1, 0)
	}
	p.deadlines(time.Unix(1, 0), write)
}

// end stops watching. What is left to write, and to read of the body, has a limit
// again; of a call that was given up nothing is read.
func (p *progress) end() {
	p.timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	read, write := time.Now().Add(slowest), time.Now().Add(slowest)
	if p.still {
		read = time.Unix(1, 0)
	}
	p.deadlines(read, write)
}

// deadlines sets those of the client's connection, if it can have any.
func (p *progress) deadlines(read, write time.Time) {
	_ = p.control.SetReadDeadline(read)
	_ = p.control.SetWriteDeadline(write)
}

// watch returns the body of an answer, whose every move counts. That of an
// upgraded connection stays one that is written to. closed is called when the body
// was closed: then the trailers are known.
func (p *progress) watch(body io.ReadCloser, closed func()) io.ReadCloser {
	p.mu.Lock()
	p.answered = true
	p.mu.Unlock()
	m := moving{ReadCloser: body, progress: p, closed: closed}
	if conn, upgraded := body.(io.ReadWriteCloser); upgraded {
		return &movingConn{moving: m, writer: conn}
	}
	return &m
}

type moving struct {
	io.ReadCloser

	progress *progress
	closed   func()
}

func (m *moving) Close() error {
	defer m.closed()
	return m.ReadCloser.Close()
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.progress.touch()
	return n, err
}

type movingConn struct {
	moving

	writer io.Writer
}

func (m *movingConn) Write(p []byte) (int, error) {
	n, err := m.writer.Write(p)
	m.progress.touch()
	return n, err
}
